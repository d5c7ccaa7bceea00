"""Families whose mixing is doubly or singly stochastic by construction: closed forms, starts and bounds."""

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.discovery import load
from mhc_core.families import FAMILIES
from mhc_core.families.circulant import BUDGET
from mhc_core.family import MapSettings
from mhc_core.layers.connections import build_connection
from mhc_core.spec import parse_spec
from tests.core.conftest import draw_h_res

Array = np.ndarray
D = 1 / (1 + math.exp(8))  # the share of the uniform matrix in tbp


def mix(kind: str, logits: Any, n: int, depth: int = 1) -> Array:
    """H_res in float64 of raw logits (..., m)."""
    found: Array = load(FAMILIES[kind].map)(MapSettings(n, depth=depth))(
        torch.tensor(logits, dtype=torch.float64)
    ).numpy()
    return found


def start(kind: str, certainty: float, n: int, depth: int = 1) -> Array:
    return mix(kind, load(FAMILIES[kind].map)(MapSettings(n, depth=depth)).start(certainty), n, depth)


def multiply(h_res: Array) -> Array:
    """The product of all layers, the last one leftmost."""
    product: Array = np.linalg.multi_dot(h_res[::-1]) if len(h_res) > 1 else h_res[0]
    return product


def draw_doubly_stochastic(rng: np.random.Generator, n: int) -> Array:
    """A mean of all permutations with random weights."""
    weights = rng.dirichlet(np.ones(math.factorial(n)))
    return sum(w * np.eye(n)[list(order)] for w, order in zip(weights, permutations(range(n)), strict=True))


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["go_mhc", "tbp", "one_sided"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16])
def test_a_certainty_of_0_is_the_uniform_matrix_and_8_is_near_the_identity(kind: str, n: int) -> None:
    assert start(kind, 0.0, n) == pytest.approx(np.full((n, n), 1 / n), abs=1e-14)
    # go_mhc: Q = I + 2 e^-4 A to first order, and eigenvalues of A end at tan(3 pi / 8).
    away = 4 * math.exp(-8) * math.tan(3 * math.pi / 8) ** 2 if kind == "go_mhc" else n * math.exp(-8) + D
    assert np.diagonal(start(kind, 8.0, n)).min() > 1 - away


def test_circulant_mixing_starts_uniform_but_for_the_identity_that_it_keeps() -> None:
    g = BUDGET / 64
    assert start("circulant", 0.0, 4, depth=32) == pytest.approx((1 - g) * np.eye(4) + g / 4, abs=1e-15)
    assert np.diagonal(start("circulant", 8.0, 4, depth=1)).min() > 0.998


# go_mhc.


def test_a_rotation_of_one_row_of_two_blocks_mixes_them_by_half_its_sine_squared() -> None:
    """A = [[0, -a], [a, 0]] gives the rotation by 2 arctan(a); the other rows of the blocks stay."""
    a = 0.7
    logits = np.zeros((4, 4))
    logits[2, 0] = a
    moved = math.sin(2 * math.atan(a)) ** 2 / 2
    assert mix("go_mhc", logits.flatten(), 2) == pytest.approx(np.array([[1 - moved, moved], [moved, 1 - moved]]))


def test_what_turns_the_rows_of_one_block_mixes_no_streams() -> None:
    logits = np.kron(np.diag([1.0, -2.0, 0.5]), np.array([[0.0, 3.0], [0.0, 0.0]]))
    assert mix("go_mhc", logits.flatten(), 3) == pytest.approx(np.eye(3), abs=1e-15)


def test_the_transform_turns_the_way_the_published_code_turns() -> None:
    """The transpose of Q would give the transpose of H_res: checked against the series of (I - A)^-1 (I + A)."""
    t = 0.05 * np.random.default_rng(3).standard_normal((6, 6))
    skew, q, term = t - t.T, np.eye(6), np.eye(6)
    for _ in range(60):
        term = term @ skew
        q += 2 * term
    energy = (q**2).reshape(3, 2, 3, 2).sum((1, 3)) / 2
    assert mix("go_mhc", t.flatten(), 3) == pytest.approx(energy, abs=1e-14)
    assert np.abs(energy - energy.T).max() > 1e-4


# tbp.


def test_logits_of_0_place_each_entry_in_the_middle_of_its_range() -> None:
    """Of 3 streams, by hand: 1/2, then half of the rest of a row; then between 0 and 1/2, and between 1/4 and 3/4."""
    filled = np.array([[1 / 2, 1 / 4, 1 / 4], [1 / 4, 3 / 8, 3 / 8], [1 / 4, 3 / 8, 3 / 8]])
    assert mix("tbp", np.zeros(4), 3) == pytest.approx((1 - D) * filled.T + D / 3, abs=1e-15)


def test_rows_of_the_chart_index_the_input() -> None:
    filled = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert mix("tbp", [-50.0, -50.0, 50.0, -50.0], 3) == pytest.approx((1 - D) * filled.T + D / 3, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_every_doubly_stochastic_matrix_has_logits(n: int) -> None:
    """The place of each entry between its ends, from sums over the entries before it, gives the matrix again."""
    rng = np.random.default_rng(n)
    for _ in range(20):
        x, logits = draw_doubly_stochastic(rng, n), []
        for i in range(n - 1):
            for j in range(n - 1):
                row, columns = x[i, j:].sum(), x[i:].sum(0)
                least, most = max(0.0, row - columns[j + 1 :].sum()), min(row, columns[j])
                logits.append(math.log((x[i, j] - least) / (most - x[i, j])))
        assert mix("tbp", logits, n) == pytest.approx((1 - D) * x.T + D / n, abs=1e-10)


@pytest.mark.parametrize("size", [1.0, 10.0, 300.0])
def test_entries_stay_above_the_uniform_share_for_logits_of_any_size(size: float) -> None:
    logits = size * np.random.default_rng(5).standard_normal((200, 49))
    h_res = mix("tbp", logits, 8)
    assert h_res.min() > D / 8 - 1e-14
    assert np.abs(h_res.sum(-1) - 1).max() < 1e-13
    assert np.abs(h_res.sum(-2) - 1).max() < 1e-13


# circulant.


@pytest.mark.sample(5)
@pytest.mark.parametrize("n", [2, 4, 8])
@pytest.mark.parametrize("depth", [6, 8, 12, 64, 256])
def test_the_least_singular_value_of_all_layers_reaches_its_bound(n: int, depth: int) -> None:
    """The shift by n/2 has the eigenvalue -1: the product has (1 - b/L)^L, and the printed bound is below it."""
    logits = np.zeros((depth, n))
    logits[:, n // 2] = 50.0
    least = np.linalg.svd(multiply(mix("circulant", logits, n, depth)), compute_uv=False)[-1]
    assert least == pytest.approx((1 - BUDGET / depth) ** depth, rel=1e-9)
    assert least >= math.exp(-BUDGET - BUDGET**2 / depth)


@pytest.mark.parametrize("depth", [6, 20, 100])
def test_no_logits_go_below_the_bound(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for size in (0.3, 3.0, 30.0):
        h_res = mix("circulant", size * rng.standard_normal((depth, 4)), 4, depth)
        least = np.linalg.svd(multiply(h_res), compute_uv=False)[-1]
        assert least >= math.exp(-BUDGET - BUDGET**2 / depth)


def test_few_layers_can_go_below_the_printed_bound() -> None:
    """Of 5 layers it is wrong, 4 can be singular, and a single one keeps entries of at least 0."""
    worst = np.array([0.0, 0.0, 50.0, 0.0])
    five = multiply(mix("circulant", np.tile(worst, (5, 1)), 4, 5))
    assert np.linalg.svd(five, compute_uv=False)[-1] < math.exp(-BUDGET - BUDGET**2 / 5)
    assert np.linalg.svd(mix("circulant", worst, 4, 4), compute_uv=False)[-1] < 1e-15
    assert mix("circulant", np.array([1.0, -2.0, 3.0, 0.0]), 4, 1).min() > 0


def test_a_shift_adds_to_the_stream_that_is_read() -> None:
    h_res = mix("circulant", np.array([0.0, 50.0, 0.0, 0.0]), 4, 1)
    assert h_res == pytest.approx(np.roll(np.eye(4), 1, axis=1), abs=1e-12)


# one_sided.


@pytest.mark.parametrize("n", [2, 4, 16])
def test_no_product_of_row_stochastic_matrices_exceeds_the_root_of_n(n: int) -> None:
    rng = np.random.default_rng(n)
    for size in (0.5, 3.0, 30.0):
        h_res = mix("one_sided", size * rng.standard_normal((40, n * n)), n)
        for layers in (1, 2, 40):
            norm = np.linalg.norm(multiply(h_res[:layers]), 2)
            assert 1 - 1e-12 <= norm <= math.sqrt(n) + 1e-12
    one_stream = np.zeros((n, n))
    one_stream[:, 0] = 60.0
    assert np.linalg.norm(mix("one_sided", one_stream.flatten(), n), 2) == pytest.approx(math.sqrt(n))


# The depth.


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.has_streams])
def test_layers_depend_on_the_depth_where_the_family_says_so(kind: str) -> None:
    specs = [parse_spec({"depth": depth, "connection": {"kind": kind, "noise": 1.0}}) for depth in (5, 9)]
    assert torch.equal(draw_h_res(specs[0]), draw_h_res(specs[1])[:5]) != FAMILIES[kind].by_depth
    shallow, deep = (build_connection(spec).static_mixing() for spec in specs)
    if shallow is None or deep is None:
        assert FAMILIES[kind].always_by_token
        return
    assert torch.equal(shallow.h_pre, deep.h_pre[:5]) or FAMILIES[kind].page_map is None
    assert torch.equal(shallow.h_post, deep.h_post[:5])
