"""Expectations over one and two Gaussians: against mpmath, closed forms, and plain sums over a fine grid."""

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

from mhc_core.theory.activations import ACTIVATIONS
from mhc_core.theory.moments import LN_Q, mean_square_slope, second_moment, square_of, squared_slope_of
from mhc_core.theory.pairs import PairTable, build_table, find_table
from tests.core.theory.textbook import relu_correlation

Q = (1e-6, 1e-2, 1.0, 30.0, 100.0, 900.0, 1e6)
OURS = {"square": second_moment, "slope": mean_square_slope}


def sigma(h: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-h))


THEIRS: dict[str, dict[str, Callable[[mp.mpf], mp.mpf]]] = {
    "tanh": {"square": lambda h: mp.tanh(h) ** 2, "slope": lambda h: mp.sech(h) ** 4},
    "relu": {"square": lambda h: max(h, 0) ** 2, "slope": lambda h: mp.mpf(h > 0)},
    "linear": {"square": lambda h: h**2, "slope": lambda h: mp.mpf(1)},
    "gelu": {"square": lambda h: (h * mp.ncdf(h)) ** 2, "slope": lambda h: (mp.ncdf(h) + h * mp.npdf(h)) ** 2},
    "silu": {
        "square": lambda h: (h * sigma(h)) ** 2,
        "slope": lambda h: (sigma(h) * (1 + h * sigma(-h))) ** 2,
    },
}


def by_mpmath(function: Callable[[mp.mpf], mp.mpf], q: float) -> float:
    """E[f(sqrt(q) z)] to twenty digits, cut where f or the Gaussian changes."""
    with mp.workdps(20):
        scale = mp.sqrt(q)
        marks = {0, 1, 3, 10, 30} | {h / float(scale) for h in (0.3, 1, 3, 10, 30) if h / float(scale) < 30}
        marks |= {-mark for mark in marks}
        return float(mp.quad(lambda z: function(scale * z) * mp.npdf(z), sorted(marks)))


@pytest.mark.sample(4, "values")
@pytest.mark.parametrize("q", Q)
@pytest.mark.parametrize("part", OURS)
@pytest.mark.parametrize("name", THEIRS)
def test_expectations_are_those_of_mpmath(name: str, part: str, q: float) -> None:
    assert OURS[part](name, q) == pytest.approx(by_mpmath(THEIRS[name][part], q), rel=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_means_between_exact_ones_are_right_to_three_digits(name: str) -> None:
    for find, exact in ((square_of, second_moment), (squared_slope_of, mean_square_slope)):
        mean = find(name)
        for ln_q in (*(LN_Q[:-1:8] + 0.2), -100.0, 70.0):
            assert mean.at(np.array(ln_q)) == pytest.approx(math.log(exact(name, math.exp(ln_q))), abs=2e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_samples_of_different_sizes_pass_the_mean_of_what_each_passes(name: str) -> None:
    own = np.random.default_rng(0).standard_normal(20_000) * math.sqrt(0.3) - 0.15
    found = square_of(name).respond(0.5, np.array([-0.4, 0.8]), 0.3)
    for x, mean in zip((-0.4, 0.8), found, strict=True):
        each = np.exp(square_of(name).at(0.5 + x + own)) / second_moment(name, math.exp(0.5))
        assert mean == pytest.approx(each.mean(), rel=5 * each.std() / each.mean() / math.sqrt(len(each)))


GRID = np.linspace(-7, 7, 1401)  # a kink at zero costs 1e-4


def average_pairs(name: str, q: float, c: float) -> dict[str, float]:
    """The fields of `Pair` by a plain sum over a square grid."""
    density = np.exp(-GRID * GRID / 2)
    weight = np.outer(density, density) / density.sum() ** 2
    first = math.sqrt(q) * GRID[:, None] * np.ones(len(GRID))
    second = math.sqrt(q) * (c * GRID[:, None] + math.sqrt(1 - c * c) * GRID)
    phi, slope = ACTIVATIONS[name].phi, ACTIVATIONS[name].slope
    square, slope2 = second_moment(name, q), mean_square_slope(name, q)

    def average(f: Callable[[np.ndarray], np.ndarray], g: Callable[[np.ndarray], np.ndarray]) -> float:
        return float((weight * f(first) * g(second)).sum())

    return {
        "rho": average(phi, phi) / square,
        "square": average(lambda h: phi(h) ** 2, lambda h: phi(h) ** 2) / square**2,
        "slope": average(slope, slope) / slope2,
        "square_slope": average(lambda h: slope(h) ** 2, lambda h: slope(h) ** 2) / slope2**2,
        "cross": average(lambda h: phi(h) ** 2, lambda h: slope(h) ** 2) / (square * slope2),
    }


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("c", [-0.9, -0.3, 0.0, 0.4, 0.95])
@pytest.mark.parametrize("q", [0.01, 2.0, 20.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pairs_are_those_of_a_sum_over_a_grid(name: str, q: float, c: float) -> None:
    pair = build_table(name, q).at(np.array(c))
    for key, due in average_pairs(name, q, c).items():
        # The grid sees relu's step to a few per mille.
        assert getattr(pair, key) == pytest.approx(due, rel=0.02, abs=0.005), key


def test_the_correlation_map_of_relu_is_cho_and_saul_s() -> None:
    for c in np.linspace(-1, 1, 41):
        assert build_table("relu", 3.0).at(np.array(c)).rho == pytest.approx(relu_correlation(float(c)), abs=1e-12)


def test_the_correlation_map_has_no_other_fixed_point_than_one() -> None:
    """Reference values: Cho & Saul's map from 0, in 50 digits."""
    c, found = np.array(0.0), {}
    for layer in range(1, 101):
        c = build_table("relu", 1.0).at(c).rho
        found[layer] = float(c)
    for layer, value in (
        (1, 0.31830989), (2, 0.49373109), (3, 0.60482572), (5, 0.73594635), (10, 0.87153552), (20, 0.94842848),
        (100, 0.99642315),
    ):  # fmt: skip
        assert found[layer] == pytest.approx(value, abs=5e-9)


@pytest.mark.sample(4, "values")
@pytest.mark.parametrize("c", [-0.97, -0.2, 0.07, 0.5, 0.95, 0.998, 0.99999])
@pytest.mark.parametrize("q", [0.03, 1.0, 7.0])
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "silu"])
def test_distances_after_a_layer_are_exact_to_three_digits(name: str, q: float, c: float) -> None:
    """(1 - rho), relative: layer upon layer it is a factor.

    By 2-d quadrature on the half difference and half sum, whose nodes do not see relu's kink: relu has a closed form
    (Cho & Saul 2009).
    """
    phi = ACTIVATIONS[name].phi
    z, weight = np.polynomial.hermite_e.hermegauss(300)
    weight = weight / weight.sum()
    total, difference = math.sqrt(q * (1 + c) / 2) * z[:, None], math.sqrt(q * (1 - c) / 2) * z
    apart = (phi(total + difference) - phi(total - difference)) ** 2
    due = float(weight @ apart @ weight) / 2 / second_moment(name, q)
    if name == "relu":
        due = 1 - (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    for table in (build_table(name, q), find_table(name, q)):
        rows = PairTable(table.rows, None, table.square, table.square_slope, table.cross, table.along)
        assert 1 - rows.at(np.array(c)).rho == pytest.approx(due, rel=1e-3)


def test_tanh_of_large_inputs_is_their_sign() -> None:
    for c in (1 - np.linspace(1, 0, 17) ** 2)[:-1]:
        rho = build_table("tanh", 1e6).at(np.array(c)).rho
        assert rho == pytest.approx(2 / math.pi * math.asin(c), abs=1.5e-3)


def test_a_table_between_powers_of_two_is_near_the_exact_one() -> None:
    c = np.linspace(-1, 1, 21)
    for name in ACTIVATIONS:
        for q in (0.3, 3.0, 700.0):
            near, exact = find_table(name, q).at(c), build_table(name, q).at(c)
            np.testing.assert_allclose(near.rho, exact.rho, atol=5e-4)
            np.testing.assert_allclose(near.square, exact.square, rtol=5e-3, atol=5e-3)


@pytest.mark.sample("values")
@pytest.mark.parametrize(("name", "q", "c"), [("relu", 2.0, 0.5), ("tanh", 1.0, 0.3), ("gelu", 2.0, 0.7)])
def test_the_variance_of_a_mean_cosine_is_what_draws_show(name: str, q: float, c: float) -> None:
    width, samples, draws = 256, 16, 1500
    rng, cosine = np.random.default_rng(0), np.empty(draws)
    for draw in range(draws):
        common, own = rng.standard_normal(width), rng.standard_normal((samples, width))
        out = ACTIVATIONS[name].phi(math.sqrt(q) * (math.sqrt(c) * common + math.sqrt(1 - c) * own))
        unit = out / np.linalg.norm(out, axis=1, keepdims=True)
        cosine[draw] = ((unit.sum(0) ** 2).sum() - samples) / (samples * (samples - 1))
    pair = build_table(name, q).at(np.array(c))
    # 1500 draws know a variance to 15 percent; the delta method costs as much again.
    assert cosine.var() * width == pytest.approx(pair.cosine_variance(samples), rel=0.25)
    error = 4 * cosine.std() / math.sqrt(draws)
    assert cosine.mean() == pytest.approx(float(pair.rho + pair.bend / width), abs=error)


def test_narrow_layers_move_the_mean_cosine_by_the_bend() -> None:
    """At width 8 the mean cosine of two relu outputs is 5 % off the wide layer's; 200,000 draws see it to 0.3 %."""
    width, c, draws = 8, 0.9, 200_000
    rng = np.random.default_rng(0)
    first = rng.standard_normal((draws, width))
    second = c * first + math.sqrt(1 - c * c) * rng.standard_normal((draws, width))
    one, two = (np.maximum(part, 0) for part in (first, second))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    cosine = ((one * two).sum(1) / np.where(lengths == 0, 1, lengths))[lengths > 0]
    pair = build_table("relu", 1.0).at(np.array(c))
    shift = cosine.mean() - float(pair.rho)
    assert abs(shift) > 20 * cosine.std() / math.sqrt(draws)
    # The next order is 1 / width of it.
    assert shift == pytest.approx(float(pair.bend) / width, rel=0.35)
