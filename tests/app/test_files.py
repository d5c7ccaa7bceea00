"""What a browser is sent of scripts that are written with comments: all but those, told by a compiler."""

import json
import subprocess
from pathlib import Path

from mhc_scope.files import CHECKOUT, COMMENTED, NODE_MODULES, STATIC, list_files, read_file, strip_comments
from mhc_scope.pages.vendored import list_carried
from tests.core.figures.filled import find_node

CARRIED = [f"{NODE_MODULES}/{path}" for path in list_carried()]
SCRIPTS = [path for path in (*list_files(f"{STATIC}/js"), *CARRIED) if COMMENTED.fullmatch(path)]
ADDED = [path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob(f"mhc_*/{STATIC}/*.js")]  # of add-ons
# Prints a program anew, without comments: what two texts of one program have in common.
OPTIONS = {"allowJs": True, "noCheck": True, "noResolve": True, "removeComments": True, "types": [], "target": "esnext"}


def _compile(programs: dict[str, bytes], folder: Path) -> dict[str, str]:
    """Each script as TypeScript's compiler writes it."""
    for path, body in programs.items():
        (folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / path).write_bytes(body)
    options = OPTIONS | {"rootDir": str(folder / "in"), "outDir": str(folder / "out")}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["in/**/*.js"]}))
    compiler = [find_node(), str(CHECKOUT / NODE_MODULES / ".bin" / "tsc")]
    done = subprocess.run([*compiler, "-p", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return {path: (folder / "out" / path).read_text() for path in programs}


def test_scripts_lose_their_comments_and_nothing_else(tmp_path: Path) -> None:
    written = {path: (CHECKOUT / path).read_bytes() for path in (*SCRIPTS, *ADDED)}
    served = {path: read_file(path) for path in SCRIPTS} | {path: strip_comments(written[path]) for path in ADDED}
    both = {"written": written, "served": served}
    # The compiler leaves out what lies below a folder of this name.
    names = {path: path.replace("node_modules", "others") for path in written}
    programs = _compile(
        {f"{way}/{names[path]}": body for way, found in both.items() for path, body in found.items()}, tmp_path
    )
    assert len(SCRIPTS) > 100
    for path in written:
        assert programs[f"served/{names[path]}"] == programs[f"written/{names[path]}"], path
    assert sum(map(len, served.values())) < 0.85 * sum(map(len, written.values()))


def test_a_line_keeps_its_number() -> None:
    """What a console says of line 40 is found in line 40 of the source."""
    for path in SCRIPTS:
        assert read_file(path).count(b"\n") == (CHECKOUT / path).read_bytes().count(b"\n"), path


def test_all_other_files_of_others_are_passed_on_as_they_are() -> None:
    paths = [path for path in CARRIED if path not in SCRIPTS]
    assert any((CHECKOUT / path).read_bytes().startswith(b"/*") for path in paths)
    for path in paths:
        assert read_file(path) == (CHECKOUT / path).read_bytes(), path
