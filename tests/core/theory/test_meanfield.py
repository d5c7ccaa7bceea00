"""Closed forms of the theory: printed reference values, and each of them once more by Monte Carlo in plain numpy."""

import math

import numpy as np
import pytest

from mhc_core.theory.bands import find_band
from mhc_core.theory.drift import DRIFT_DRAWS, find_drift_walk, sample_drift_gain
from tests.core.theory import textbook


def test_relu_correlation_from_zero() -> None:
    c, found = 0.0, {}
    for layer in range(1, 101):
        c = textbook.relu_correlation(c)
        found[layer] = c
    for layer, value in (
        (1, 0.31830989), (2, 0.49373109), (3, 0.60482572), (5, 0.73594635), (10, 0.87153552), (20, 0.94842848),
        (100, 0.99642315),
    ):  # fmt: skip
        assert found[layer] == pytest.approx(value, abs=5e-9)
    assert textbook.relu_correlation(1.0) == 1.0


@pytest.mark.parametrize(
    ("bias", "weight", "q"),
    [(0.01, 1.42420529, 0.27330091), (0.05, 1.76095464, 0.57004788), (0.1, 1.98607264, 0.80579918)],
)
def test_tanh_critical_points(bias: float, weight: float, q: float) -> None:
    found = textbook.tanh_critical_point(bias)
    assert found == pytest.approx((weight, q), abs=6e-9)
    assert textbook.tanh_fixed_point(found[0], bias) == pytest.approx(q, abs=1e-7)
    assert textbook.tanh_chi(q, weight) == pytest.approx(1, abs=1e-7)


def test_tanh_order_and_chaos() -> None:
    q = textbook.tanh_fixed_point(1.3, 0.05)
    assert q == pytest.approx(0.315316, abs=6e-7)
    assert textbook.tanh_chi(q, 1.3) == pytest.approx(0.880164, abs=6e-7)
    assert textbook.tanh_depth_scale(1.3, 0.05) == pytest.approx(7.8341, abs=6e-5)
    assert textbook.tanh_chi(textbook.tanh_fixed_point(2.5, 0.05), 2.5) == pytest.approx(1.133516, abs=6e-7)


def test_rates_of_gaussian_products() -> None:
    for n, rate in ((2, 0.05797), (4, 0.55797), (8, 0.97463)):
        assert textbook.gaussian_product_rate(n) == pytest.approx(rate, abs=6e-6)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_gaussian_products_grow_at_that_rate(n: int) -> None:
    rng, layers = np.random.default_rng(0), 2000
    x, total = np.ones(n) / math.sqrt(n), 0.0
    for _ in range(layers):
        x = rng.standard_normal((n, n)) @ x
        size = float(np.linalg.norm(x))
        x, total = x / size, total + math.log(size)
    # ln of a chi variable of n degrees has a standard deviation below 0.65.
    assert total / layers == pytest.approx(textbook.gaussian_product_rate(n), abs=4 * 0.65 / math.sqrt(layers))


def test_drift_grows_in_the_mean_square_and_the_median_stays_far_below() -> None:
    n, s, layers, draws = 4, 0.3, 8, 20_000
    rng = np.random.default_rng(0)
    x = np.ones((draws, n))
    for _ in range(layers):
        x = x + s * np.einsum("dij,dj->di", rng.standard_normal((draws, n, n)), x)
    square = (x**2).sum(1) / n
    assert square.mean() == pytest.approx(textbook.drift_growth(n, s, layers), abs=4 * square.std() / math.sqrt(draws))
    assert np.median(square) < 0.8 * square.mean()


def test_the_sampled_drift_gain_is_that_of_whole_matrices() -> None:
    n, s, layers, draws = 4, 0.3, 64, 400
    rng = np.random.default_rng(0)
    product, gains = np.broadcast_to(np.eye(n), (draws, n, n)), np.empty((layers, draws))
    for layer in range(layers):
        product = (np.eye(n) + s * rng.standard_normal((draws, n, n))) @ product
        gains[layer] = np.log(np.abs(product.sum(2)).max(1))
    ours = sample_drift_gain(n, s, layers)
    median, low, high = find_band(ours)
    # A median of 400 draws and one of 4096, each known to 1.25 standard deviations over the root of its draws.
    error = 4 * 1.25 * np.std(gains, 1) * math.sqrt(1 / draws + 1 / DRIFT_DRAWS)
    assert (np.abs(np.median(gains, 1) - median) < error).all()
    # One column of 500 leaves the band, and the band itself is known from a sample.
    assert ((gains < low[:, None]) | (gains > high[:, None])).any(0).mean() <= 4 / draws
    assert 0.35 < ((np.quantile(gains, 0.99, 1) - median) / (high - median)).mean() < 0.7


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("n", "s", "layers"), [(4, 0.3, 32), (2, 0.3, 32), (4, 0.3, 8), (8, 1.0, 64), (4, 0.1, 32), (2, 1.0, 128)]
)
def test_two_or_three_of_1000_honest_drifts_fail_any_comparison(n: int, s: float, layers: int) -> None:
    """Products of whole matrices: columns and steps, forward and backward, all four together."""
    draws, rng = 4000, np.random.default_rng(1)
    matrices = np.eye(n) + s * rng.standard_normal((layers, draws, n, n))
    walk, failed = find_drift_walk(n, s, layers), np.zeros(draws, dtype=bool)
    assert walk.steps is not None
    for order in (matrices, matrices[::-1].swapaxes(2, 3)):
        v, log, column = np.ones((draws, n)), np.zeros(draws), np.empty((layers, draws))
        for layer, matrix in enumerate(order):
            v = np.einsum("dij,dj->di", matrix, v)
            size = np.abs(v).max(1)
            v, log = v / size[:, None], log + np.log(size)
            column[layer] = log
        for band, values in ((walk.whole, column), (walk.steps, np.diff(column, axis=0))):
            failed |= ((values < band.low[:, None]) | (values > band.high[:, None])).any(0)
    # 0.34 % at most were counted in 8000 draws of nine cases; four standard deviations more.
    assert failed.mean() <= 0.0034 + 4 * math.sqrt(0.0034 / draws)


def test_a_deep_gaussian_linear_net_stretches_as_said() -> None:
    width, rng = 600, np.random.default_rng(0)
    product = np.eye(width)
    for layers in (1, 2, 3):
        product = rng.standard_normal((width, width)) / math.sqrt(width) @ product
        largest = np.linalg.svd(product, compute_uv=False)[0] ** 2
        # Edges of the spectrum lie within a few C^(-2/3).
        assert largest == pytest.approx(textbook.deep_linear_largest(layers), rel=0.08)
    assert textbook.deep_linear_largest(1) == pytest.approx(4)
    assert textbook.deep_linear_largest(2) == pytest.approx(27 / 4)
