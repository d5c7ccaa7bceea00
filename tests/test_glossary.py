"""The dictionary holds: words that GLOSSARY.md retired do not come back, and no two classes have one name."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("mhc_core", "app", "mhc_probe", "mhc_service")
# Folders whose names, comments and docstrings were read for the dictionary, with the endings of their files.
READ = {
    "app/mhc_scope": "*.py",
    "mhc_core": "*.py",
    "mhc_probe": "*.py",
    "mhc_service": "*.py",
    "mhc_service/static": "*.js",
    "mhc_service/templates": "*.html",
    "static/css": "*.css",
    "static/js": "*.js",
    "templates": "*.html",
}
# `unfolded` alone is a column and a panel; the next word tells prose from their names.
RETIRED = re.compile(
    r"(?i)\b(heard|hearing|told|tells?|asked|held|fed|anew|whoever|beside|unfolded (connection|skip)s?)\b"
)
# Words that files of one subject do not use, as the subject has another word.
CHECK_FILES = (
    *("mhc_core/checks/check.py", "mhc_core/checks/consistency.py", "mhc_core/checks/detection.py"),
    *(
        "mhc_core/checks/verification.py",
        "mhc_core/theory/laws.py",
        "mhc_core/theory/premises.py",
        "app/mhc_scope/api/models/verifications.py",
    ),
    *("mhc_probe/check_command.py", "mhc_probe/conformance/*.py", "docs/check.md", "static/js/cards/verify*.js"),
)
SWEEP_FILES = ("mhc_core/figures/sweep.py", "app/mhc_scope/pages/raster_sweep.py", "static/js/sweep/*.js")
ATLAS_FILES = ("static/js/edits/*.js", "static/js/state/atlas.js", "static/js/state/atlascells.js")
NOT_CHECK = re.compile(r"(?i)(?<![a-z])(lines?|claims?|claimed|obstacles?)(?![a-z])")
NOT_FIGURE = re.compile(r"""(?<![\w.'"-])maps?\b(?!\()""")  # a map is a function; "map" is a panel's key
ONE_WORD = [(files, NOT_CHECK) for files in CHECK_FILES] + [(files, NOT_FIGURE) for files in SWEEP_FILES + ATLAS_FILES]
# Retired words that stay, as others read them.
KEPT = {
    ".tell()": "a method of Python's files",
    "told: str": "a field of a preset in the HTTP interface",
    '"told": self.number_title': "writes that field",
    ".told}": "reads that field",
    'PENDING = "held"': "a state of a sweep's run in the HTTP interface",
    '{"held": ""': "reads that state",
    "held-out data": "the usual word for data that training never sees",
    "`held` ones": "describes that state",
    "held, queued, running": "describes that state",
    "run id -> held (": "describes that state",
    "held: 'not started'": "reads that state",
    "counts.held": "reads that state",
    'build_finding("heard"': "the key of a finding in stored records",
}


def list_files(folder: str, names: str = "*.py") -> list[Path]:
    return sorted((ROOT / folder).rglob(names))


def read_lines(folder: str) -> Iterator[tuple[str, str]]:
    """Each line that was read for the dictionary, with its place."""
    for path in list_files(folder, READ[folder]):
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{name}:{number}", line.strip()


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for folder in PRODUCT
        for path in list_files(folder)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.parametrize("folder", READ)
def test_retired_words_do_not_come_back(folder: str) -> None:
    lines = list(read_lines(folder))
    assert lines
    found = []
    for place, line in lines:
        left = line
        for kept in KEPT:
            left = left.replace(kept, "")
        if RETIRED.search(left):
            found.append(f"{place}: {line}")
    assert found == []


@pytest.mark.parametrize(("files", "other_words"), ONE_WORD)
def test_checks_sweeps_and_atlases_have_one_name(files: str, other_words: re.Pattern[str]) -> None:
    paths = sorted(ROOT.glob(files))
    assert paths
    numbered = [(path, *place) for path in paths for place in enumerate(path.read_text().splitlines(), 1)]
    found = [f"{path.name}:{number}: {line}" for path, number, line in numbered if other_words.search(line)]
    assert found == []


def test_each_retired_word_that_stays_is_there() -> None:
    text = "\n".join(line for folder in READ for _, line in read_lines(folder))
    assert [kept for kept in KEPT if kept not in text] == []
