"""Eigenvalues of mixing: the page and Python find the same, and they are those of the matrices."""

import copy
from typing import Any

import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.composites import multiply
from mhc_core.figures.eigenvalues import find_eigenvalues, to_spokes
from mhc_core.figures.filling import fill
from tests.core import measures
from tests.core.figures.filled import (
    LABELS,
    assert_same_values,
    decode_result,
    encode_lines,
    fill_in_page,
    get_template,
)

VIEWS = figures.PANELS["eigenvalues"].views


@pytest.mark.sample(5)
@pytest.mark.parametrize("comparison", ["three", "overflow", "many streams", "parts", "dynamic"])
@pytest.mark.parametrize("view", VIEWS, ids=[view.key for view in VIEWS])
def test_the_page_finds_the_same_at_every_layer(view: Any, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = get_template("eigenvalues", view, len(lines))
    results = [decode_result(part) for part in lines]
    cursors = [5, 0, 3]
    for cursor, theirs in zip(cursors, fill_in_page(template, list(lines), cursors), strict=True):
        ours = fill(copy.deepcopy(template), list(results), LABELS, cursor)
        assert_same_values(ours, theirs, f"{comparison} {cursor}")


def find(stack: np.ndarray, span: str, cursor: int = 0) -> list[complex]:
    found = find_eigenvalues(multiply(stack, span, cursor))
    assert found is not None
    return found


def test_each_belongs_to_a_vector_that_the_matrix_only_scales() -> None:
    stack = np.random.default_rng(0).standard_normal((5, 4, 4))
    for cursor in range(5):
        product = measures.product(stack, 0, cursor)
        for value, matrix in (
            *((value, stack[cursor]) for value in find(stack, "cursor-cursor", cursor)),
            *((value * abs(value) ** cursor, product) for value in find(stack, "first-cursor", cursor)),
        ):
            assert np.linalg.svd(matrix - value * np.eye(4), compute_uv=False)[-1] < 1e-12 * np.linalg.norm(matrix)


def test_a_rotation_is_two_points_on_the_circle_at_any_depth() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert find(np.tile(turn, (3, 1, 1)), "first-last") == pytest.approx([(0.8 + 0.6j) ** 3, (0.8 - 0.6j) ** 3])
    spokes = to_spokes(find(turn[None], "first-last"), "text")
    assert spokes == ["", "size 1, angle 37°", None, "", "size 1, angle 37°"]


def test_a_product_beyond_float64_has_a_factor_per_layer() -> None:
    stack = np.tile(np.diag([2e4, 1e4]), (200, 1, 1))
    assert find(stack, "1-2") == pytest.approx([2e4, 1e4])
    assert find(stack, "first-last") == pytest.approx([2e4]), "the other is 2^-200 of it"


def test_what_may_be_rounding_is_left_out() -> None:
    assert find(np.full((1, 4, 4), 0.25), "first-last") == pytest.approx([1.0])
    assert find(np.zeros((1, 4, 4)), "first-last") == []
    assert find_eigenvalues(multiply(np.full((1, 2, 2), np.nan), "first-last", 0)) is None
