"""The figures that the product promises: HC at rest is the residual network, mHC with identical streams is too, and
free mixing blows up where constrained mixing does not."""

from typing import Any

import numpy as np
import pytest

from mhc_core.layers.connections import build_connection
from mhc_core.metrics.mixing import measure_composites
from mhc_core.spec import DEFAULT_SEED, RunSpec
from tests.core.conftest import build_spec, measure

SEEDS = range(200)


def worst_difference(one: RunSpec, other: RunSpec, *keys: str) -> float:
    left, right = measure(one), measure(other)
    return max(float(np.abs(left.layers[key] / right.layers[key] - 1).max()) for key in keys)


def promised(connection: dict[str, Any], **fields: Any) -> RunSpec:
    """The issue's size: deep enough that a difference would grow."""
    fields = {"depth": 32, "width": 32, "block": {"heads": 4, "mlp_ratio": 4}, **fields}
    return build_spec(connection=connection, **fields)


@pytest.mark.sample(3)
@pytest.mark.parametrize("position", ["pre", "post", "none"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_hc_without_noise_is_the_residual_network(dynamic: bool, position: str) -> None:
    block = {"heads": 4, "norm_position": position, "branch_scale": 0.5}
    residual = promised({"kind": "residual"}, block=block)
    hc = promised({"kind": "hc", "noise": 0.0, "dynamic": dynamic}, block=block)
    keys = ("act_rms", "grad_rms", "branch_in_rms", "branch_out_rms", "branch_grad_rms", "param_grad_norm")
    assert worst_difference(hc, residual, *keys) < 1e-10
    assert measure(hc).loss == pytest.approx(measure(residual).loss, rel=1e-12)
    np.testing.assert_allclose(measure(hc).matrices["cka"], measure(residual).matrices["cka"], atol=1e-10)
    assert (measure(hc).layers["composite_gain_fwd"] == 1).all()


@pytest.mark.sample("values")
@pytest.mark.parametrize("position", ["pre", "post", "none"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_mhc_with_identical_streams_is_the_residual_network(noise: float, dynamic: bool, position: str) -> None:
    block = {"heads": 4, "norm_position": position, "branch_scale": 0.5}
    residual = promised({"kind": "residual"}, block=block)
    mhc = promised({"kind": "mhc", "init": "residual", "noise": noise, "dynamic": dynamic}, block=block)
    keys = ("act_rms", "grad_rms", "branch_in_rms", "branch_out_rms", "branch_grad_rms", "param_grad_norm")
    assert worst_difference(mhc, residual, *keys) < 1e-9
    assert measure(mhc).layers["stream_cos"] == pytest.approx(1, abs=1e-12)


def mixing_alone(kind: str, seed: int) -> dict[str, np.ndarray]:
    """Composite columns of the connection without any branch: n = 4, noise 0.3, 64 layers."""
    spec = build_spec(
        {},
        width=4,
        seed=seed,
        connection={"kind": kind, "streams": 4, "noise": 0.3, "init": "residual"},
    )
    static = build_connection(spec).static_mixing()
    assert static is not None
    h_res = static.h_res.detach().double().numpy()
    assert h_res.shape == (64, 4, 4)
    return {key: value for key, (value, _) in measure_composites(h_res).items()}


@pytest.fixture(scope="module")
def gains() -> dict[str, dict[str, np.ndarray]]:
    """Largest composite gains and least column sums of HC and mHC over the seeds."""
    found = {}
    for kind in ("hc", "mhc"):
        runs = [mixing_alone(kind, seed) for seed in SEEDS]
        found[kind] = {key: np.array([run[key].max() for run in runs]) for key in runs[0]}
        found[kind]["composite_min_col_sum"] = np.array([run["composite_min_col_sum"].min() for run in runs])
    return found


@pytest.mark.full
def test_free_mixing_multiplies_to_a_gain_near_a_thousand(gains: dict[str, dict[str, np.ndarray]]) -> None:
    forward = gains["hc"]["composite_gain_fwd"]
    low, median, high = np.percentile(forward, [5, 50, 95])
    print(f"\nHC, 200 seeds: largest forward gain {median:.0f} in the median, 5th to 95th {low:.0f} to {high:.0f}")
    # One seed says little: the README has these numbers.
    assert (round(low), round(median)) == (29, 636)
    assert high == pytest.approx(13_000, rel=0.02)


def test_the_law_of_the_growth_of_free_mixing() -> None:
    # E ||(I + s G) x||^2 = (1 + n s^2) ||x||^2: take the mean over seeds at a depth where it has not yet run away.
    squares = []
    for seed in SEEDS:
        spec = build_spec({}, width=4, seed=seed, depth=4, connection={"kind": "hc", "noise": 0.3})
        static = build_connection(spec).static_mixing()
        assert static is not None
        x = np.ones(4)
        for matrix in static.h_res.detach().double().numpy():
            x = matrix @ x
        squares.append(x @ x / 4)
    error = np.std(squares) / len(squares) ** 0.5
    assert abs(np.mean(squares) - (1 + 4 * 0.09) ** 4) < 4 * error


def test_constrained_mixing_with_the_same_draws_keeps_its_gain(gains: dict[str, dict[str, np.ndarray]]) -> None:
    forward, backward = gains["mhc"]["composite_gain_fwd"], gains["mhc"]["composite_gain_bwd"]
    least = gains["mhc"]["composite_min_col_sum"]
    print(
        f"\nmHC, 200 seeds: forward gain 1 within {np.abs(forward - 1).max():.1e}; backward gain "
        f"{np.median(backward):.4f} in the median, {backward.max():.4f} at most; least column sum "
        f"{np.median(least):.4f} in the median, {least.min():.4f} at least"
    )
    assert np.abs(forward - 1).max() < 1e-5
    # Twenty rounds leave an error, and it sits in the columns.
    assert np.median(backward) == pytest.approx(1.005, abs=0.003)
    assert backward.max() < 1.2
    assert least.min() > 0.8


def test_the_default_seed_is_an_ordinary_one(gains: dict[str, dict[str, np.ndarray]]) -> None:
    forward = gains["hc"]["composite_gain_fwd"]
    low, median, high = np.percentile(forward, [25, 50, 75])
    default = mixing_alone("hc", DEFAULT_SEED)["composite_gain_fwd"].max()
    print(f"\ndefault seed: {default:.0f}; 25th, 50th, 75th percentile: {low:.0f}, {median:.0f}, {high:.0f}")
    assert low < default < high
    assert default == pytest.approx(790, abs=0.5)
