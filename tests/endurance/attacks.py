"""Attacks: every test that is marked as one, on real servers, counted by kind. Each of its cases must be refused.

The tests stand beside what they are about, in `tests/app`; this runs them all and says how many there are.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.rows import Row

TESTS = Path(__file__).resolve().parent.parent / "app"
KINDS = ("XSS", "traversal", "CSRF", "rebinding", "spoofed address", "ownership")  # what must be among them
AT_LEAST = 40


class Judge:
    """A plugin of pytest that counts cases by kind, and those that were refused."""

    def __init__(self) -> None:
        self.tried, self.refused = Counter[str](), Counter[str]()
        self._kinds: dict[str, str] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the kind of each."""
        for item in items:
            marker = item.get_closest_marker("attack")
            assert marker is not None, "others are deselected by now"
            (self._kinds[item.nodeid],) = marker.args

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case when it is over; one whose server could not be prepared was not refused."""
        if not report.passed:
            self._failed.add(report.nodeid)
        if report.when == "teardown":
            kind = self._kinds[report.nodeid]
            self.tried[kind] += 1
            self.refused[kind] += report.nodeid not in self._failed


def run(arguments: Sequence[str]) -> list[Row]:
    """Try them all, or those of one file or folder."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance attacks")
    parser.add_argument("--tests", default=str(TESTS), help="a file or a folder of tests")
    known = parser.parse_args(arguments)
    judge = Judge()
    code = pytest.main(["-n", "0", "-q", "-m", "attack", known.tests], plugins=[judge])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"pytest ended with {code!r}")
    return build_rows(judge)


def build_rows(judge: Judge) -> list[Row]:
    """A row a kind, and the sum."""
    rows = [
        Row(
            f"{kind}: refused",
            f"of {judge.tried[kind]}",
            judge.refused[kind],
            "",
            judge.tried[kind] or 1,
            at_least=True,
        )
        for kind in dict.fromkeys((*KINDS, *sorted(judge.tried)))
    ]
    tried, refused = sum(judge.tried.values()), sum(judge.refused.values())
    return [
        *rows,
        Row("attacks in all", "different cases", tried, "", AT_LEAST, at_least=True),
        Row("attacks that were not refused", f"of {tried}", tried - refused, "", 0),
    ]
