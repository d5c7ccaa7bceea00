"""Which tests can see a mutant, the likeliest first."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.mutants.copies import ROOT
from tests.mutants.known import Known, Lines
from tests.mutants.sample import Mutant

PACKAGES = ("mhc_core", "app")
BUDGET_S, FAR_SHARE = 60.0, 0.2  # for tests of the room, and for the others, of each suite


@dataclass(frozen=True)
class Batch:
    """Tests that one run of pytest takes, in this order."""

    tests: tuple[str, ...]
    seconds: float

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(test.partition("::")[0] for test in self.tests))


def plan(mutant: Mutant, known: Iterable[Known], full: bool, budget_s: float = BUDGET_S) -> list[Batch]:
    """Tests that run the mutated statement: those of its room, then the others; a file's tests stay together."""
    lines = _find_lines(mutant)
    suite = [item for item in known if item.full == full and not item.failed]
    found = [item for item in suite if _runs_any(item, lines)] or (suite if mutant.place.on_import else [])
    rooms = mutant.stratum.tests
    near = [item for item in found if item.test.startswith(rooms)]
    far = [item for item in found if not item.test.startswith(rooms)]
    return [_order(_cut(*batch)) for batch in ((near, budget_s), (far, FAR_SHARE * budget_s)) if batch[0]]


def _cut(items: list[Known], budget_s: float) -> list[Known]:
    """The quickest, as many as run in the time that a mutant is worth: most lines of the core are run by most tests."""
    quickest = sorted(items, key=lambda item: item.seconds)
    ends = itertools.accumulate(item.seconds for item in quickest)
    taken = {item.test for item, end in zip(quickest, ends, strict=True) if end < budget_s}
    return [item for item in items if item.test in taken]


def _find_lines(mutant: Mutant) -> Lines:
    """Lines that run or use what is mutated.

    A statement that runs on import is used wherever what it defines is named; if it defines nothing, by its whole file.
    """
    place = mutant.place
    if not place.on_import:
        return {place.file: set(range(place.lines[0], place.lines[1] + 1))}
    if not place.names:
        return {place.file: set(range(1, len(mutant.code.splitlines()) + 1))}
    named = re.compile(rf"\b({'|'.join(place.names)})\b")
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        str(path.relative_to(ROOT)): {
            number for number, line in enumerate(path.read_text().splitlines(), 1) if named.search(line)
        }
        for path in files
    }


def _runs_any(item: Known, lines: Lines) -> bool:
    return any(not item.lines.get(file, set()).isdisjoint(numbers) for file, numbers in lines.items())


def _order(items: list[Known]) -> Batch:
    cost: dict[str, float] = {}
    for item in items:
        file = item.test.partition("::")[0]
        cost[file] = cost.get(file, 0.0) + item.seconds
    ordered = sorted(items, key=lambda item: cost[item.test.partition("::")[0]])
    return Batch(tuple(item.test for item in ordered), sum(cost.values()))


class Only:
    """A plugin of pytest that runs the tests of a batch and no other."""

    def __init__(self, batch: Batch) -> None:
        self._places = {test: place for place, test in enumerate(batch.tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places), key=lambda item: self._places[item.nodeid]
        )
