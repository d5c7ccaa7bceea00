"""Overflow is a result: strong free mixing runs to its end, and its gain is known beyond the range of floats."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from mhc_core.layers.norms import normalise
from mhc_core.record.result import Result
from tests.core.conftest import build_spec, measure, require

BIG = build_spec(depth=512, width=16, dtype="float32", connection={"kind": "hc", "noise": 3.0}, input={"tokens": 8})


@pytest.fixture(scope="module")
def result() -> Result:
    return measure(BIG)


def exact_products(matrices: np.ndarray) -> list[list[list[Decimal]]]:
    """H_l ... H_1 for every l, with 28 digits and no largest number."""
    n = matrices.shape[1]
    total = [[Decimal(int(i == j)) for j in range(n)] for i in range(n)]
    found = []
    for matrix in matrices:
        rows = [[Decimal(float(entry)) for entry in row] for row in matrix]
        columns = list(zip(*total, strict=True))
        total = [[sum((a * b for a, b in zip(r, c, strict=True)), Decimal()) for c in columns] for r in rows]
        found.append(total)
    return found


def log10_of(value: Decimal) -> float:
    return float(value.log10())


@pytest.mark.full
def test_the_gain_beyond_float64_is_exact(result: Result) -> None:
    products = exact_products(result.matrices["h_res"])
    gain = [log10_of(max(abs(sum(row, Decimal())) for row in product)) for product in products]
    norm = [log10_of(max(sum((abs(entry) for entry in row), Decimal()) for row in product)) for product in products]
    assert gain[-1] > 309  # the case is what it claims to be
    np.testing.assert_allclose(result.layers_log10["composite_gain_fwd"], gain, atol=1e-9)
    np.testing.assert_allclose(result.layers_log10["composite_norm_inf"], norm, atol=1e-9)


def test_the_backward_gain_beyond_float64_is_exact(result: Result) -> None:
    # The backward product from layer l grows on its right; transposed and read from the end it grows on its left.
    turned = result.matrices["h_res"][::-1].transpose(0, 2, 1)
    gain = [log10_of(max(abs(sum(row, Decimal())) for row in product)) for product in exact_products(turned)][::-1]
    np.testing.assert_allclose(result.layers_log10["composite_gain_bwd"], gain, atol=1e-9)


def test_what_overflows_has_a_status_and_no_value(result: Result) -> None:
    for key in ("composite_gain_fwd", "composite_gain_bwd", "composite_norm_inf", "composite_norm_1"):
        value, log10 = result.layers[key], result.layers_log10[key]
        beyond = log10 > math.log10(np.finfo(np.float64).max)
        assert beyond.any()
        assert set(np.flatnonzero(beyond)) == set(result.status[key])
        assert set(result.status[key].values()) == {"overflow"}
        assert np.isnan(value[beyond]).all()
        np.testing.assert_allclose(np.log10(value[~beyond]), log10[~beyond], atol=1e-9)


def test_states_that_overflow_say_so(result: Result) -> None:
    status = result.status["act_rms"]
    first = min(status)
    assert status[first] == "overflow"
    assert set(status) == set(range(first, 512))  # once lost, never found again
    assert result.layers_log10["act_rms"][first - 1] > 35
    assert np.isfinite(result.layers["act_rms"][:first]).all()
    assert "loss" in {finding.key for finding in result.summary.findings}


def test_the_story_tells_the_gain_and_the_limit(result: Result) -> None:
    findings = {finding.key: finding for finding in result.summary.findings}
    headline = result.summary.headline
    assert headline.value is None
    assert headline.log10 == pytest.approx(np.nanmax(result.layers_log10["composite_gain_fwd"]))
    log10 = require(headline.log10)
    power = str(int(log10)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    assert headline.text.startswith(f"gain ×{10 ** (log10 % 1):.1f}×10{power}, backward ")
    assert findings["limits"].numbers["layer"] == min(result.status["act_rms"])


def test_in_float64_the_states_of_the_same_stack_stay_finite_longer() -> None:
    double = measure(build_spec(depth=120, width=16, connection={"kind": "hc", "noise": 3.0}, input={"tokens": 8}))
    single = measure(BIG)
    first = min(single.status["act_rms"])
    assert "act_rms" not in double.status
    assert double.layers_log10["act_rms"][-1] > 50
    np.testing.assert_allclose(double.layers["act_rms"][:first], single.layers["act_rms"][:first], rtol=1e-3)


@pytest.mark.full
def test_sigma2_far_below_the_least_float_keeps_its_logarithm() -> None:
    result = measure(build_spec(depth=1024, dtype="float32", connection={"init": "megatron", "noise": 1.0}))
    log10 = result.layers_log10["composite_sigma2"]
    assert np.isfinite(log10).all()
    assert log10[-1] < -330
    # Each layer shrinks differences by about the same factor.
    slope, offset = np.polyfit(np.arange(1024), log10, 1)
    assert np.abs(log10 - (slope * np.arange(1024) + offset)).max() < 0.05 * abs(log10[-1])
    assert result.status["composite_sigma2"][1023] == "underflow"
    # Streams stay identical under this preset: there is no gradient that could reach the logits.
    unknown = {"composite_sigma2", "composite_sigma_min", "gauge_write_norm", "mixing_grad_share"}
    assert set(result.status) == unknown


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", ["rmsnorm", "layernorm"])
@pytest.mark.parametrize("scale", [1e6, 1e12, 1e14, 1e16, 1e18, 1e20, 1e30, 1e37])
def test_a_large_vector_is_normalised_and_differentiated_truly(kind: str, scale: float) -> None:
    """The square overflows in float32 past 1.8e19; in the derivative, rms^-3 underflows past 5e12."""
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    large = (scale * x).requires_grad_()
    assert torch.allclose(normalise(large, kind), normalise(x, kind), rtol=1e-5, atol=1e-6)
    exact = (scale * x.double()).requires_grad_()
    for leaf, factor in ((large, weight), (exact, weight.double())):
        (normalise(leaf, kind) * factor).sum().backward()
    assert large.grad is not None
    assert exact.grad is not None
    assert torch.allclose(large.grad.double() * scale, exact.grad * scale, rtol=1e-4, atol=1e-5)


@pytest.mark.sample(3)
@pytest.mark.parametrize("norm", ["rmsnorm", "layernorm"])
@pytest.mark.parametrize(
    "connection",
    [
        {"kind": "hc", "noise": 3.0},
        {"kind": "hc", "noise": 3.0, "dynamic": True},
        {"kind": "mhc", "noise": 3.0, "sinkhorn_iters": 0, "init": "megatron", "dynamic": True},
    ],
    ids=["hc", "hc-dynamic", "exp-dynamic"],
)
def test_float32_states_between_the_root_of_its_range_and_its_range_are_measured_truly(
    connection: dict[str, object], norm: str
) -> None:
    """Past 1.8e19 a float32 square is infinite; nothing may turn to zero there without a word."""
    depth = 34 if connection["kind"] == "hc" else 14
    for seed in (0, 1):
        single, double = (
            measure(build_spec(depth=depth, seed=seed, dtype=dtype, connection=connection, block={"norm": norm}))
            for dtype in ("float32", "float64")
        )
        assert double.layers["act_rms"][-1] > 1e20
        assert "act_rms" not in single.status
        for key in ("act_rms", "branch_in_rms", "branch_out_rms", "grad_rms"):
            ratio = single.layers_log10[key] - double.layers_log10[key]
            assert np.abs(ratio).max() < 0.01, key
        assert single.loss == pytest.approx(double.loss, rel=1e-2)
