"""Which tests can see a mutant, the likeliest first."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tests.mutants.known import Known
from tests.mutants.sample import Mutant


@dataclass(frozen=True)
class Batch:
    """Tests that one run of pytest takes, in this order."""

    tests: tuple[str, ...]
    seconds: float

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(test.partition("::")[0] for test in self.tests))


def plan(mutant: Mutant, known: Iterable[Known], full: bool) -> list[Batch]:
    """Tests that run the mutated statement: those of its room, then the others; a file's tests stay together.

    What runs as a file is imported is seen by tests of whatever uses it, so all that run some line of it are taken.
    """
    found = [item for item in known if item.full == full and not item.failed and _sees(mutant, item)]
    rooms = mutant.stratum.tests
    near = [item for item in found if item.test.startswith(rooms)]
    far = [item for item in found if not item.test.startswith(rooms)]
    return [_order(batch) for batch in (near, far) if batch]


def _sees(mutant: Mutant, item: Known) -> bool:
    lines = item.lines.get(mutant.place.file, set())
    first, last = mutant.place.lines
    return bool(lines) if mutant.place.on_import else not lines.isdisjoint(range(first, last + 1))


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
