"""Which lines of the app each file of tests runs, in its servers too: one run of pytest a file, each with a tracer."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.copies import changed
from tests.mutants.known import Known, Lines, Timer, load, save
from tests.mutants.processes import run_pytest
from tests.mutants.tracer import FILE

# Not those of figures and engines, which know nothing of services and store, and not those of the command line.
PATHS = (
    "tests/app/api",
    "tests/app/services",
    "tests/app/store",
    "tests/app/engine/test_cancel.py",
    "tests/app/engine/test_crash.py",
    "tests/app/pages/test_link_cards.py",
    "tests/contract/test_released.py",
)
# A traced import of the large libraries would take half a minute.
HOOK = "import fastapi, sqlalchemy, torch\nfrom tests.mutants.tracer import start\n\nstart()\n"
LIMIT_S = 600.0


def load_served_map(copy: Path, folder: Path) -> list[Known]:
    """What is known of tests that talk to servers; found out first where the folder does not have it."""
    files = [file for path in PATHS for file in sorted((copy / path).rglob("test_*.py")) or [copy / path]]
    return [item for file in files for item in _load_file(copy, file, folder)]


def _load_file(copy: Path, file: Path, folder: Path) -> list[Known]:
    kept = folder / f"{file.stem}.json"
    if not kept.exists():
        arguments = ["--maxfail=100", str(file.relative_to(copy))]
        with changed(copy / "app/__init__.py", HOOK), _traced(kept.with_suffix(".lines")):
            run_pytest(copy, arguments, [Writer(copy, kept)], kept.with_suffix(".log"), LIMIT_S)
    return load(kept) if kept.exists() else []


@contextlib.contextmanager
def _traced(sink: Path) -> Iterator[None]:
    sink.write_text("")
    os.environ[FILE] = str(sink)
    try:
        yield
    finally:
        del os.environ[FILE]


class Writer(Timer):
    """A plugin of pytest that writes tests of a file, all with the lines that the file as a whole runs."""

    def __init__(self, copy: Path, kept: Path) -> None:
        super().__init__()
        self._copy, self._kept = copy, kept

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        lines = _read_lines(self._copy, self._kept.with_suffix(".lines"))
        for item in self.tests.values():
            item.lines = lines
        save(self._kept, self.tests.values())


def _read_lines(copy: Path, sink: Path) -> Lines:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for line in sink.read_text().splitlines():
        path, _, number = line.partition("\t")
        found[str(Path(path).relative_to(copy))].add(int(number))
    return dict(found)
