"""Samples of the fast suite hold what they promise, and leave the rest to the full one."""

from itertools import combinations, product

import pytest

from tests.sampling import choose, choose_rest, cover

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


@pytest.mark.parametrize("wanted", [1, 5, 7, 48, "values", "pairs"])
@pytest.mark.parametrize("fast", [{0}, {0, 7, 14}])
def test_every_value_occurs_in_one_of_the_two_targets(wanted: int | str, fast: set[int]) -> None:
    taken = choose_rest(CASES, wanted, fast)
    assert {value for index in taken for value in CASES[index]} == set().union(*CASES)
    assert taken >= choose(CASES, wanted, fast) >= fast


def test_what_the_fast_suite_covers_is_not_covered_again() -> None:
    fast = cover(CASES, 1)
    assert choose_rest(CASES, "values", fast) == fast
