"""The dictionary holds: words that GLOSSARY.md retired do not come back, and no two classes have one name."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("mhc_core", "app", "mhc_probe", "mhc_service")
# One of each stands in the JSON schema of a spec, under its name.
IN_SCHEMA = {"TextInput", "DigitsInput"}
# Folders whose names, comments and docstrings were read for the dictionary; others follow.
READ = ("mhc_probe",)
RETIRED = re.compile(r"(?i)\b(heard|hearing|told|tells?|asked|held|fed|anew|whoever|beside)\b")


def list_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in list_files(*PRODUCT)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert {name for name, count in names.items() if count > 1} == IN_SCHEMA


@pytest.mark.parametrize("folder", READ)
def test_retired_words_do_not_come_back(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in list_files(folder)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if RETIRED.search(line.replace(".tell()", ""))
    ]
    assert found == []
