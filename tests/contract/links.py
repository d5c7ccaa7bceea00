"""Hash links: what the page's own modules of a checkout read in them."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("links.js")
FUNCTIONS = ("fromHash", "toHash", "toFields", "toSpecs", "fromSpecs", "toLabels")
# Beside those that were released: unlike order, empty parts, traps of encoding, and what cannot be read.
HASHES = [
    "v=1&layer=2&runs=mhc,hc&width=16",
    "v=1&runs=mhc,hc&A.name=%CF%80+%26+100+%25&B.name=ours&A.connection.streams=2&seed=3",
    "v=1&runs=hc&depth=7&input.kind=correlated&input.correlation=0.25&block.norm=layernorm&dtype=float64",
    "v=1&train.steps=8&train.lr=0.01&train.optimizer=sgd&train.kept=3&step=8&input.text=a%23b%3Fc%0Ad",
    "v=9&depth=twelve&width_=3&runs=hc,gru&layer=0&D.depth=3&seed=7&interval=5-2&difference=A&map=E",
]


def open_links(
    folder: Path, schema: dict[str, Any], rules: Any, hashes: Sequence[str], comparisons: Sequence[Any]
) -> Any:
    """View, problems, specs and labels of each hash, and the same of hashes written for `comparisons`.

    `rules` is what the checkout's server sends with its page, None of one whose modules hold it themselves.
    """
    asked = {"modules": find_modules(folder), "schema": schema, "rules": rules}
    asked |= {"hashes": hashes, "comparisons": comparisons}
    command = [find_node(), str(DRIVER)]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the links of {folder} could not be read:\n{done.stderr}")
    return json.loads(done.stdout)


def find_modules(folder: Path) -> dict[str, str]:
    """Where a checkout defines the functions: files may have moved, names have not."""
    texts = {path: path.read_text() for path in sorted((folder / "static" / "js").rglob("*.js"))}
    found = {}
    for name in FUNCTIONS:
        paths = [path for path, text in texts.items() if re.search(rf"^export function {name}\b", text, re.MULTILINE)]
        if len(paths) != 1:
            raise RuntimeError(f"{folder} defines {name} in {len(paths)} modules, not in one")
        found[name] = str(paths[0])
    return found


def read_released(folder: Path) -> dict[str, dict[str, Any]]:
    """Links that were given out, by their hash, with what the page shows for them."""
    (path,) = (folder / "tests").rglob("links.json")
    return {link["hash"]: link for link in json.loads(path.read_text())}


def find_node() -> str:
    """Node of the machine, else the one beside this Python."""
    places = os.environ.get("PATH", "") + os.pathsep + str(Path(sys.executable).parent)
    found = shutil.which("node", path=places)
    if found is None:
        raise RuntimeError("node is missing: `make setup` installs it")
    return found
