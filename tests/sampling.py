"""Which cases of a parametrized test the fast suite runs: the others are marked `full`.

`@pytest.mark.sample("values")` takes so many cases that every value of every parameter occurs,
`@pytest.mark.sample("pairs")` so many that every pair of values of two parameters does, and
`@pytest.mark.sample(3)` each third. A second argument of the same form says which cases `make test-rest` adds:
`@pytest.mark.sample("values", "pairs")`. No target runs the cases that both leave out: where parameters do not act on
each other, a fault shows in one of those that remain.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations

import pytest

Value = tuple[str, str]  # A parameter and what it is.


def mark_full(items: Iterable[pytest.Item], *, everyday: bool = False) -> list[pytest.Item]:
    """Mark the trials, what is exhaustive, and cases that samples leave out; return the cases that no target runs.

    everyday: return none, since all of them are marked `full`. The choice takes a second.
    """
    left_out: list[pytest.Item] = []
    cases: defaultdict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("trial") or item.get_closest_marker("exhaustive"):
            item.add_marker(pytest.mark.full)
        if isinstance(item, pytest.Function) and item.get_closest_marker("sample"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for test in cases.values():
        marker = test[0].get_closest_marker("sample")
        assert marker is not None
        fast, *rest = (choose(test, wanted) for wanted in marker.args[: 1 if everyday else 2])
        for index, item in enumerate(test):
            if index in fast:
                continue
            item.add_marker(pytest.mark.full)
            if rest and index not in rest[0]:
                left_out.append(item)
    return left_out


def choose(test: list[pytest.Function], wanted: int | str) -> set[int]:
    """Indices of the cases of one test that a sample of this size takes."""
    if isinstance(wanted, int):
        return set(range(0, len(test), wanted))
    size = {"values": 1, "pairs": 2}[wanted]
    return set(cover([list_values(item) for item in test], size))


def list_values(item: pytest.Function) -> list[Value]:
    """Parameters of a case with their values."""
    return [(name, repr(value)) for name, value in item.callspec.params.items()]


def cover(cases: list[list[Value]], size: int) -> list[int]:
    """Indices of cases that hold every combination of `size` values; each case adds as many as it can.

    Of equals the one whose values occurred least, so that values which are covered still take turns.
    """
    sets = [set(combinations(values, min(size, len(values)))) for values in cases]
    missing, used, taken = set().union(*sets), Counter[Value](), []
    while missing:
        best = max(range(len(cases)), key=lambda k: (len(sets[k] & missing), -sum(used[v] for v in cases[k])))
        missing -= sets[best]
        used.update(cases[best])
        taken.append(best)
    return sorted(taken)
