"""The audit of packages says what it found, and does not call well what it could not look up."""

import json
import runpy
from typing import Any

import pytest

from tests.conftest import ROOT

AUDIT = runpy.run_path(str(ROOT / "docs" / "audit.py"))
# As pip-audit 2.10 and npm 10 write them.
SAFE = {"name": "numpy", "version": "2.3.1", "vulns": []}
BAD = {"name": "pillow", "version": "9.0", "vulns": [{"id": "PYSEC-2022-1", "fix_versions": ["9.0.1"]}]}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "asked", "found"),
    [([SAFE, BAD, SKIPPED], 2, 1), ([SAFE], 1, 0), ([SKIPPED], 0, 0)],
    ids=["one", "none", "all skipped"],
)
def test_python_packages(packages: list[dict[str, Any]], asked: int, found: int) -> None:
    report = AUDIT["read_python"](json.dumps({"dependencies": packages, "fixes": []}))
    assert (report.asked, len(report.found)) == (asked, found)
    text = AUDIT["describe"](report)
    assert ("pillow 9.0: PYSEC-2022-1, fixed in 9.0.1" in text) == bool(found)
    assert ("no database could be reached" in text) == (asked == 0)
    assert ("not in the database: torch" in text) == (SKIPPED in packages and asked > 0)


def test_javascript_packages() -> None:
    told = {"vulnerabilities": {"left": {"severity": "high"}}, "metadata": {"dependencies": {"total": 90}}}
    report = AUDIT["read_npm"](json.dumps(told))
    assert (report.asked, report.found) == (90, ["left: high"])


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"message": "405 Method Not Allowed"}'])
def test_what_was_not_reached_is_said(text: str) -> None:
    for read in ("read_python", "read_npm"):
        assert "no database could be reached" in AUDIT["describe"](AUDIT[read](text))
