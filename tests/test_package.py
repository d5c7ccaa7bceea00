"""What a wheel carries: everything that the product reads, and signs for everything that it writes."""

import ast
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

import mhc_probe
from mhc_scope.cli import main
from mhc_scope.files import CHECKOUT, NODE_MODULES, is_installed, list_files
from mhc_scope.pages.vendored import FONTS, list_carried

pytestmark = pytest.mark.full

# Where sentences, labels and names stand that may come to be drawn, with the files that hold them.
SOURCES = dict.fromkeys(("app", "mhc_core", "mhc_probe", "mhc_service"), "*.py")
SOURCES |= {"static/js": "*.js", "static/css": "*.css", "templates": "*.html"}
SOURCES |= {"mhc_service/static": "*.js", "mhc_service/templates": "*.html"}

# Names and titles that people write.
LETTERS = (*range(0x20, 0x180), *range(0x384, 0x3CF), *range(0x400, 0x460))  # Latin, Greek, Cyrillic


def test_a_checkout_reads_its_own_files() -> None:
    assert not is_installed()
    assert Path(__file__).resolve().parent.parent == CHECKOUT
    assert "templates/index.html" in list_files("templates")


DISPLAY = """
from mhc_core.figures.notebook import build_bundle
from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from mhc_scope.cli import main
from mhc_scope.widget import Widget

result = Result()
for frame in run(parse_spec({"depth": 2, "width": 8, "input": {"tokens": 8}})):
    result.add(frame)
print(sorted(build_bundle(result)), Widget.__name__, main.__module__)
"""


def test_an_app_of_someone_else_breaks_nothing(tmp_path: Path) -> None:
    """An app.py next to a notebook, and another distribution's package of that name."""
    (tmp_path / "app.py").write_text("raise RuntimeError('this is the app.py of a user')")
    (tmp_path / "other" / "app").mkdir(parents=True)
    (tmp_path / "other" / "app" / "__init__.py").write_text("raise RuntimeError('this is the app of another package')")
    for path in (tmp_path, tmp_path / "other"):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, "-c", DISPLAY]
        done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert "application/vnd.plotly.v1+json" in done.stdout


def test_all_files_of_others_are_there() -> None:
    assert [path for path in list_carried() if not (CHECKOUT / NODE_MODULES / path).is_file()] == []


def _read_signs() -> set[str]:
    """Every character of our sources that ASCII lacks."""
    paths = [path for room, names in SOURCES.items() for path in (CHECKOUT / room).rglob(names)]
    return {character for path in paths for character in path.read_text() if not character.isascii()}


@pytest.mark.parametrize("is_bold", [False, True])
def test_the_fonts_have_a_shape_for_each_sign_and_letter(is_bold: bool) -> None:
    font, signs = TTFont(CHECKOUT / NODE_MODULES / FONTS[is_bold]), _read_signs()
    assert {"Σ", "−", "ᵀ", "…", "✕"} <= signs  # it looks where they are
    letters = {chr(code) for code in LETTERS if unicodedata.category(chr(code)).startswith("L")}
    assert {character for character in signs | letters if ord(character) not in font.getBestCmap()} == set()


def test_the_description_for_others_names_commands_and_code_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    text = (CHECKOUT / "docs" / "package.md").read_text()
    commands, code = (
        re.findall(r"^mhc-scope (\w+)", text, re.MULTILINE),
        re.findall(r"```python\n(.*?)```", text, re.DOTALL),
    )
    with pytest.raises(SystemExit):
        main(["--help"])
    help_text = capsys.readouterr().out
    assert len(commands) == 5
    assert [name for name in commands if not re.search(rf"^    {name}\s", help_text, re.MULTILINE)] == []
    tree = ast.parse("".join(code))
    imported = [part for part in tree.body if isinstance(part, ast.ImportFrom)]
    assert [name.name for part in imported for name in part.names] == ["Monitor", "attach"]
    assert {"Monitor", "attach"} <= set(mhc_probe.__all__)
