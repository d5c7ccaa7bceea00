"""What a browser is sent of our scripts and style sheets: all but their comments, told by a compiler and a browser."""

import json
import subprocess
from pathlib import Path

from app.files import CHECKOUT, NODE_MODULES, STATIC, list_files, read_file
from app.pages.vendored import list_carried
from tests.app.figures.filled import find_node

SCRIPTS = [path for path in list_files(f"{STATIC}/js") if path.endswith(".js")]
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
    written = {path: (CHECKOUT / path).read_bytes() for path in SCRIPTS}
    served = {path: read_file(path) for path in SCRIPTS}
    both = {"written": written, "served": served}
    programs = _compile(
        {f"{way}/{path}": body for way, found in both.items() for path, body in found.items()}, tmp_path
    )
    assert len(SCRIPTS) > 100
    for path in SCRIPTS:
        assert programs[f"served/{path}"] == programs[f"written/{path}"], path
    assert sum(map(len, served.values())) < 0.85 * sum(map(len, written.values()))


def test_a_line_keeps_its_number() -> None:
    """What a console says of line 40 is found in line 40 of the source."""
    for path in SCRIPTS:
        assert read_file(path).count(b"\n") == (CHECKOUT / path).read_bytes().count(b"\n"), path


def test_files_of_others_are_passed_on_as_they_are() -> None:
    paths = [f"{NODE_MODULES}/{path}" for path in list_carried()]
    assert any((CHECKOUT / path).read_bytes().startswith(b"/*") for path in paths)
    for path in paths:
        assert read_file(path) == (CHECKOUT / path).read_bytes(), path
