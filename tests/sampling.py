"""Which cases of a parametrized test the fast suite runs: the others are marked `full`.

`@pytest.mark.sample("values")` takes so many cases that every value of every parameter occurs,
`@pytest.mark.sample("pairs")` so many that every pair of values of two parameters does, and
`@pytest.mark.sample(3)` each third. A second argument of the same form says which cases `make test-rest` adds:
`@pytest.mark.sample("values", "pairs")`. It also adds cases until each value occurs in one of the two targets. No
target runs the cases that both leave out. Where parameters do not act on each other, a fault shows in the others.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from itertools import combinations

import pytest

Value = tuple[str, str]  # A parameter and what it is.
Cases = list[list[Value]]


def mark_full(items: Iterable[pytest.Item], *, everyday: bool = False) -> list[pytest.Item]:
    """Mark the trials, and cases that samples leave out; return the cases that no target runs.

    everyday: return none, since all of them are marked `full`. The choice takes a second.
    """
    left_out: list[pytest.Item] = []
    tests: defaultdict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("trial"):
            item.add_marker(pytest.mark.full)
        if isinstance(item, pytest.Function) and item.get_closest_marker("sample"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for test in tests.values():
        marker = test[0].get_closest_marker("sample")
        assert marker is not None
        cases = [list_values(item) for item in test]
        fast = choose(cases, marker.args[0])
        rest = range(len(cases)) if everyday or len(marker.args) == 1 else choose_rest(cases, marker.args[1], fast)
        for index, item in enumerate(test):
            if index not in fast:
                item.add_marker(pytest.mark.full)
            if index not in rest:
                left_out.append(item)
    return left_out


def choose(cases: Cases, wanted: int | str, taken: Collection[int] = ()) -> set[int]:
    """Indices of the cases that a sample of this size takes in addition to those that are `taken`, and these."""
    if isinstance(wanted, int):
        return {*taken, *range(0, len(cases), wanted)}
    return cover(cases, {"values": 1, "pairs": 2}[wanted], taken)


def choose_rest(cases: Cases, wanted: int | str, fast: Collection[int]) -> set[int]:
    """Indices of the cases that run in one of the two targets; every value is among them."""
    return cover(cases, 1, choose(cases, wanted, fast))


def list_values(item: pytest.Function) -> list[Value]:
    """Parameters of a case with their values."""
    return [(name, repr(value)) for name, value in item.callspec.params.items()]


def cover(cases: Cases, size: int, taken: Collection[int] = ()) -> set[int]:
    """Indices of cases that hold every combination of `size` values, among them those that are `taken`.

    Each further case adds as many combinations as it can. Of equals the one whose values occurred least, so that values
    which are covered still take turns.
    """
    sets = [set(combinations(values, min(size, len(values)))) for values in cases]
    chosen = set(taken)
    used = Counter(value for index in chosen for value in cases[index])
    missing = set().union(*sets).difference(*(sets[index] for index in chosen))
    while missing:
        best = max(range(len(cases)), key=lambda k: (len(sets[k] & missing), -sum(used[v] for v in cases[k])))
        missing -= sets[best]
        used.update(cases[best])
        chosen.add(best)
    return chosen
