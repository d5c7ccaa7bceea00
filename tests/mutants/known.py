"""What is known of a test: whether the fast suite has it, its time, and the lines that it runs."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

Lines = dict[str, set[int]]  # By file.


@dataclass
class Known:
    """One test.

    Attributes
    ----------
    test: node id.
    full: whether only the full suite has it.
    lines: lines of the program that it runs, by file.
    """

    test: str
    full: bool
    lines: Lines
    seconds: float = 0.0
    failed: bool = False


class Timer:
    """A plugin of pytest that lists tests, how long they take, and whether they fail without any fault."""

    def __init__(self) -> None:
        self.tests: dict[str, Known] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.tests[item.nodeid] = Known(item.nodeid, item.get_closest_marker("full") is not None, {})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Without what is set up, which the first test would seem to pay for all.
        self.tests[report.nodeid].seconds += report.duration if report.when == "call" else 0.0
        self.tests[report.nodeid].failed |= report.failed


def save(file: Path, known: Iterable[Known]) -> None:
    """Write whole or not at all."""
    plain = [{**vars(item), "lines": {name: sorted(lines) for name, lines in item.lines.items()}} for item in known]
    part = file.with_suffix(".part")
    part.write_text(json.dumps(plain))
    os.replace(part, file)


def load(file: Path) -> list[Known]:
    """As `save` wrote them."""
    items = [Known(**item) for item in json.loads(file.read_text())]
    for item in items:
        item.lines = {name: set(lines) for name, lines in item.lines.items()}
    return items
