"""Samples of the fast suite hold what they promise, and leave the rest to the full one."""

from itertools import combinations, product

import pytest

from tests.sampling import cover

AXES = {"connection": "abcdefgh", "block": "pqr", "dtype": "xy"}
CASES = [list(zip(AXES, values, strict=True)) for values in product(*AXES.values())]


@pytest.mark.parametrize(("size", "most"), [(1, 8), (2, 24)])
def test_every_combination_of_values_occurs_and_few_cases_are_needed(size: int, most: int) -> None:
    taken = cover(CASES, size)
    wanted = {chosen for case in CASES for chosen in combinations(case, size)}
    assert {chosen for index in taken for chosen in combinations(CASES[index], size)} == wanted
    assert len(taken) <= most


def test_values_that_are_covered_take_turns() -> None:
    blocks = [dict(CASES[index])["block"] for index in cover(CASES, 1)]
    assert min(blocks.count(block) for block in AXES["block"]) >= 2
