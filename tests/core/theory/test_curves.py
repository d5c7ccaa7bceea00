"""Theory's curves beside real runs: columns lie in the bands where a law applies, and no law is told elsewhere."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.frames import StartFrame
from mhc_core.theory.laws import Curve, predict
from tests.core.conftest import build_spec, find_one, measure, require

SEEDS = (1, 2, 3)  # HC's last layer of 32 is a rare one under seed 0: one draw in 3000 is smaller
BASE: dict[str, Any] = {
    "width": 128,
    "depth": 32,
    "dtype": "float32",
    "device": "cpu",
    "input": {"kind": "gaussian", "batch": 2, "tokens": 16},
}
PLAIN, RESIDUAL = {"kind": "none"}, {"kind": "residual"}
MLP: dict[str, Any] = {"kind": "mlp", "activation": "relu", "norm_position": "none", "mlp_ratio": 0}
TWO: dict[str, Any] = {**MLP, "mlp_ratio": 2}
PRE: dict[str, Any] = {**TWO, "norm_position": "pre"}

# Spec, and the laws that it must be given: law -> metrics.
SIGNALS = {"act_rms", "grad_rms"}
GAINS = {"composite_gain_fwd", "composite_gain_bwd"}
IDENTITY = {"doubly_stochastic": GAINS}
CASES: dict[str, tuple[dict[str, Any], dict[str, set[str]]]] = {
    "relu": ({"connection": PLAIN, "block": MLP}, {"mean_field": SIGNALS, "correlation_map": {"token_cos"}}),
    "relu-two": ({"connection": PLAIN, "block": TWO}, {"mean_field": SIGNALS, "correlation_map": {"token_cos"}}),
    "relu-correlated": (
        {"connection": PLAIN, "block": MLP, "input": {"kind": "correlated", "correlation": 0.7}},
        {"mean_field": SIGNALS, "correlation_map": {"token_cos"}},
    ),
    "relu-text": ({"connection": PLAIN, "block": MLP, "input": {"kind": "text"}}, {"mean_field": {"act_rms"}}),
    "relu-pre": (
        {"connection": PLAIN, "block": {**MLP, "norm_position": "pre"}},
        {"mean_field": SIGNALS, "correlation_map": {"token_cos"}},
    ),
    "relu-post": (
        {"connection": PLAIN, "block": {**MLP, "norm_position": "post"}},
        {"post_norm": {"act_rms"}, "mean_field": {"grad_rms"}, "correlation_map": {"token_cos"}},
    ),
    "tanh": (
        {"connection": PLAIN, "block": {**MLP, "activation": "tanh"}},
        {"mean_field": SIGNALS, "correlation_map": {"token_cos"}},
    ),
    "tanh-xavier": (
        {"connection": PLAIN, "block": {**TWO, "activation": "tanh", "weights": "xavier", "norm_position": "pre"}},
        {"mean_field": SIGNALS, "correlation_map": {"token_cos"}},
    ),
    "linear-orthogonal": (
        {"connection": PLAIN, "block": {**MLP, "activation": "linear", "weights": "orthogonal"}},
        {"mean_field": SIGNALS, "correlation_map": {"token_cos"}},
    ),
    "residual-pre": ({"connection": RESIDUAL, "block": PRE}, {"residual_pre": SIGNALS, **IDENTITY}),
    "residual-pre-text": (
        {"connection": RESIDUAL, "block": PRE, "input": {"kind": "text"}},
        {"residual_pre": {"act_rms"}, **IDENTITY},
    ),
    "residual-pre-layernorm": (
        {"connection": RESIDUAL, "block": {**PRE, "norm": "layernorm", "activation": "tanh", "branch_scale": 2.0}},
        {"residual_pre": SIGNALS, **IDENTITY},
    ),
    "residual-none": ({"connection": RESIDUAL, "block": TWO}, {"residual_none": SIGNALS, **IDENTITY}),
    "residual-post": (
        {"connection": RESIDUAL, "block": {**TWO, "norm_position": "post"}},
        {"residual_post": {"grad_rms"}, "post_norm": {"act_rms"}, **IDENTITY},
    ),
    "zero": (
        {"connection": RESIDUAL, "block": {"kind": "transformer", "branch_scale": 0.0}},
        {"rezero": SIGNALS, **IDENTITY},
    ),
    "mhc": (
        {"connection": {"kind": "mhc"}, "block": PRE},
        {"residual_pre": SIGNALS, "rows_exact": {"composite_gain_fwd"}},
    ),
    "mhc-megatron": (
        {"connection": {"kind": "mhc", "init": "megatron"}, "block": PRE},
        {"residual_pre": SIGNALS, "rows_exact": {"composite_gain_fwd"}},
    ),
    "mhc-deepseek": (
        {"connection": {"kind": "mhc", "init": "deepseek_v4"}, "block": PRE},
        {"residual_pre": SIGNALS, "rows_exact": {"composite_gain_fwd"}},
    ),
    "mhc-lucidrains": (
        {"connection": {"kind": "mhc", "init": "lucidrains", "noise": 4.0, "dynamic": True}, "block": PRE},
        {"residual_pre": SIGNALS, "rows_exact": {"composite_gain_fwd"}},
    ),
    "hc-undisturbed": (
        {"connection": {"kind": "hc", "noise": 0.0}, "block": PRE},
        {"residual_pre": SIGNALS, **IDENTITY},
    ),
    "hc": ({"connection": {"kind": "hc"}, "block": PRE}, {"drift_gain": GAINS}),
    "hc-wild": (
        {"connection": {"kind": "hc", "noise": 2.0, "streams": 3, "dynamic": True}, "block": PRE},
        {"drift_gain": GAINS},
    ),
    **{
        kind: (
            {"connection": {"kind": kind, "init": "mhc_lite", "noise": 2.0, "dynamic": True}, "block": PRE},
            IDENTITY,
        )
        for kind in ("mhc_lite", "kromhc", "orthostochastic", "identity_hc")
    },
}


def normal_miss(curve: Curve, seed: int, fields: dict[str, Any]) -> np.ndarray:
    """How far a measured column lies from the curve where it speaks, in half-widths of its band."""
    result = measure(build_spec(BASE, seed=seed, **fields))
    log = curve.values_log10 is not None
    column = (result.layers_log10 if log else result.layers)[curve.metric]
    value, low, high = (
        (curve.values_log10, curve.low_log10, curve.high_log10) if log else (curve.values, curve.low, curve.high)
    )
    assert value is not None
    miss = np.where(column > value, (column - value) / (high - value), (value - column) / (value - low))
    return miss[curve.speaks_L]


@pytest.mark.sample(7, "values")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_measured_columns_lie_in_the_bands(name: str, seed: int) -> None:
    fields, laws = CASES[name]
    told: dict[str, set[str]] = {}
    for curve in predict(build_spec(BASE, seed=seed, **fields)):
        told.setdefault(curve.law, set()).add(curve.metric)
        miss = normal_miss(curve, seed, fields)
        assert len(miss) > 0
        assert np.isfinite(miss).all()
        assert miss.max() < 1, (curve.law, curve.metric, int(miss.argmax()))
    assert told == laws


SPREAD = ("relu", "relu-two", "tanh", "residual-pre", "residual-none", "mhc-lucidrains", "hc")


@pytest.mark.full
@pytest.mark.parametrize("name", SPREAD)
def test_bands_are_not_so_wide_that_nothing_could_leave_them(name: str) -> None:
    """Over twelve seeds the columns take a fair part of the band: it is a few standard deviations, not forty."""
    fields, _ = CASES[name]
    fields = {**fields, "depth": 16}
    for curve in predict(build_spec(BASE, **fields)):
        if curve.metric == "act_rms" or curve.law == "drift_gain":
            widest = max(normal_miss(curve, seed, fields).max() for seed in range(12))
            assert 0.2 < widest < 1, (curve.law, curve.metric)


WRONG = {
    "relu without He's factor": ("relu", {"block": {**MLP, "weights": "xavier"}}, "act_rms"),
    "tanh read as relu": ("relu", {"block": {**MLP, "activation": "tanh"}}, "token_cos"),
    "a smaller branch": ("residual-pre", {"block": {**PRE, "branch_scale": 0.5}}, "act_rms"),
    "more drift": ("hc", {"connection": {"kind": "hc", "noise": 3.0}}, "composite_gain_fwd"),
    "exp read as Sinkhorn": ("mhc", {"connection": {"kind": "mhc", "sinkhorn_iters": 0}}, "composite_gain_fwd"),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_law_s_column_leaves_the_band(name: str) -> None:
    case, other, metric = WRONG[name]
    fields, _ = CASES[case]
    (curve,) = (curve for curve in predict(build_spec(BASE, **fields)) if curve.metric == metric)
    assert normal_miss(curve, 0, {**fields, **other}).max() > 2


SILENT: dict[str, dict[str, Any]] = {
    "gelu that nothing passes by": {"connection": PLAIN, "block": {**MLP, "activation": "gelu"}},
    "silu that nothing passes by": {"connection": PLAIN, "block": {**TWO, "activation": "silu"}},
    "a transformer without a path": {"connection": PLAIN, "block": {"kind": "transformer"}},
    "narrow layers": {"connection": PLAIN, "block": MLP, "width": 12},
    "layernorm of relu's outputs": {
        "connection": PLAIN,
        "block": {**MLP, "norm_position": "pre", "norm": "layernorm"},
    },
    "exp without Sinkhorn": {"connection": {"kind": "mhc", "sinkhorn_iters": 0}},
    "Sinkhorn with eps": {"connection": {"kind": "mhc", "sinkhorn_eps": 1e-6}},
    "one free stream": {"connection": {"kind": "hc", "streams": 1}},
    "HC after training": {"connection": {"kind": "hc"}, "input": {"kind": "text"}, "train": {"steps": 10}},
    "nothing left": {"connection": PLAIN, "block": {**MLP, "branch_scale": 0.0}},
}


@pytest.mark.parametrize("name", SILENT)
def test_theory_is_silent_where_its_premises_fail(name: str) -> None:
    assert predict(build_spec(BASE, **SILENT[name])) == []


ONLY_GAINS: dict[str, dict[str, Any]] = {
    "streams of their own": {"connection": {"kind": "mhc", "init": "mhc_lite"}, "block": PRE},
    "coefficients of tokens": {"connection": {"kind": "mhc", "init": "megatron", "dynamic": True}, "block": PRE},
    "several streams without a norm": {"connection": {"kind": "mhc"}, "block": TWO},
    "a transformer": {"connection": RESIDUAL, "block": {"kind": "transformer"}},
    "relu's mean past a skip": {"connection": RESIDUAL, "block": MLP},
    "gelu's mean past a skip": {"connection": RESIDUAL, "block": {**PRE, "activation": "gelu", "mlp_ratio": 0}},
    "after training": {"connection": RESIDUAL, "block": PRE, "input": {"kind": "text"}, "train": {"steps": 10}},
}


@pytest.mark.parametrize("name", ONLY_GAINS)
def test_signals_have_no_law_but_gains_do(name: str) -> None:
    curves = predict(build_spec(BASE, **ONLY_GAINS[name]))
    assert curves
    assert {curve.metric for curve in curves} <= GAINS


def curve_of(metric: str, **fields: Any) -> np.ndarray:
    (curve,) = (curve for curve in predict(build_spec(BASE, **fields)) if curve.metric == metric)
    return curve.values


def test_curves_say_what_textbooks_do() -> None:
    """At a width where the median and the mean are one."""
    wide: dict[str, Any] = {"width": 4096, "input": {"kind": "gaussian", "batch": 2, "tokens": 512}}
    depth = np.arange(1, 33)
    linear = {**PRE, "activation": "linear", "mlp_ratio": 0}
    for scale in (1.0, 0.5):
        block = {**linear, "branch_scale": scale}
        grown = curve_of("act_rms", connection=RESIDUAL, block=block, **wide)
        np.testing.assert_allclose(grown**2, 1 + scale**2 * depth, rtol=2e-3)
    by_depth = {**linear, "scaling": "inv_sqrt_depth"}
    np.testing.assert_allclose(
        curve_of("act_rms", connection=RESIDUAL, block=by_depth, **wide) ** 2, 1 + depth / 32, rtol=2e-3
    )
    doubled = curve_of("act_rms", connection=RESIDUAL, block=TWO, **wide)
    np.testing.assert_allclose(np.log2(doubled**2), depth, atol=0.03)
    still: dict[str, Any] = {"kind": "transformer", "scaling": "rezero"}
    for metric, value in (("act_rms", 1.0), ("grad_rms", 1 / 1024)):
        np.testing.assert_allclose(curve_of(metric, connection=RESIDUAL, block=still, **wide), value, rtol=1e-3)


@pytest.mark.sample(3)
@pytest.mark.parametrize(("width", "depth"), [(512, 100), (1024, 96), (1024, 400), (4096, 200), (4096, 1024)])
def test_the_cosine_curve_is_the_exact_map_of_wide_layers(width: int, depth: int) -> None:
    """And the exact value lies in the band, at every width and depth."""
    (curve,) = (
        curve
        for curve in predict(build_spec(BASE, connection=PLAIN, block=MLP, width=width, depth=depth))
        if curve.metric == "token_cos"
    )
    c, exact = 0.0, np.empty(depth)
    for layer in range(depth):
        c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        exact[layer] = c
    assert curve.speaks_L.all()
    assert ((curve.low <= exact) & (exact <= curve.high)).all()
    # A few layers' width off the limit, and the median of a log-normal variable below its mean.
    variance = 8 * np.arange(1, depth + 1) / width
    distance = np.log((1 - curve.values) / (1 - exact))
    assert (np.abs(distance) < 0.05 + variance / 2 + 0.15 * np.sqrt(variance)).all()


def draw_cosines(depth: int, width: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Mean cosines (L) of a random relu stack, from the exact law of a layer: units are Gaussian given the last."""
    x_CN, found = rng.standard_normal((width, samples)), np.empty(depth)
    for layer in range(depth):
        values, vectors = np.linalg.eigh(2 * x_CN.T @ x_CN / width)
        root = vectors * np.sqrt(np.maximum(values, 0))
        x_CN = np.maximum(rng.standard_normal((width, samples)) @ root.T, 0)
        unit = x_CN / np.linalg.norm(x_CN, axis=0)
        found[layer] = ((unit.sum(1) ** 2).sum() - samples) / (samples * (samples - 1))
    return found


@pytest.mark.sample(4)
@pytest.mark.parametrize(("width", "depth"), [(64, 64), (1024, 96), (256, 256), (1024, 400)])
def test_cosines_of_independent_draws_lie_in_the_band(width: int, depth: int) -> None:
    (curve,) = (
        curve
        for curve in predict(build_spec(BASE, connection=PLAIN, block=MLP, width=width, depth=depth))
        if curve.metric == "token_cos"
    )
    rng = np.random.default_rng(0)
    columns = np.array([draw_cosines(depth, width, 32, rng) for _ in range(8)])
    outside = ((columns < curve.low) | (columns > curve.high)) & curve.speaks_L
    assert not outside.any()
    # The band is some standard deviations wide and no more.
    deviation = np.log(1 - columns[:, -1]).std()
    assert np.log((1 - curve.low[-1]) / (1 - curve.values[-1])) < 8 * deviation


@pytest.mark.parametrize("correlation", [1.0, 0.999])
def test_rounding_may_take_a_cosine_past_one(correlation: float) -> None:
    """In float32 samples that are the same have cosines up to 1.0000004."""
    spec = build_spec(
        BASE, connection=PLAIN, block={"kind": "mlp"}, input={"kind": "correlated", "correlation": correlation},
        width=64, depth=40,
    )  # fmt: skip
    (curve,) = (curve for curve in predict(spec) if curve.metric == "token_cos")
    column = measure(spec).layers["token_cos"]
    if correlation == 1:
        assert (curve.values == 1).all()
        assert (np.abs(column - 1) < 1e-6).all()
        assert column.max() > 1  # else the case shows nothing
    assert ((column >= curve.low) & (column <= curve.high)).all()
    assert (curve.high <= 1 + 40 * 2**-20).all()


@pytest.mark.full
def test_pre_norm_shrinks_the_last_gradient_by_the_root_of_depth_and_post_norm_does_not() -> None:
    last: dict[str, list[float]] = {"pre": [], "post": []}
    for position, found in last.items():
        for depth in (16, 64):
            block = {**TWO, "norm_position": position}
            spec = {"connection": RESIDUAL, "block": block, "depth": depth}
            measured = [float(measure(build_spec(BASE, seed=seed, **spec)).layers["grad_rms"][-1]) for seed in SEEDS]
            found.append(float(np.mean(measured)))
            assert curve_of("grad_rms", **spec)[-1] == pytest.approx(found[-1], rel=0.06)
    assert last["pre"][0] / last["pre"][1] == pytest.approx(math.sqrt(65 / 17), rel=0.08)
    assert last["post"][0] == pytest.approx(last["post"][1], rel=1e-9)


def test_relu_s_log_size_has_the_printed_mean_and_variance() -> None:
    """One matrix: -5 l / (2 C) and 5 l / C where all samples are one. Two: 2 / C + 5 / (r C) a layer."""
    depth, same = np.arange(1, 33), {"kind": "correlated", "correlation": 1.0}
    for block, per_layer in ((MLP, 5.0), (TWO, 2 + 5 / 2)):
        (curve,) = (
            curve
            for curve in predict(build_spec(BASE, connection=PLAIN, block=block, input=same))
            if curve.metric == "act_rms"
        )
        assert curve.values_log10 is not None
        assert curve.high_log10 is not None
        variance = (2 + per_layer * depth) / 128  # of ln v; the 2 is the input's own
        # The median of 1024 draws is known to 1.25 standard deviations over their root.
        assert curve.low_log10 is not None
        error = 2 * np.log(10) * curve.values_log10 + variance / 2
        assert curve.speaks_L[:20].all()
        assert (np.abs(error)[curve.speaks_L] < 4 * 1.25 * np.sqrt(variance / 1024)[curve.speaks_L]).all()
        ends = [(part - curve.values_log10) * np.log(10) / (np.sqrt(variance) / 2)
                for part in (curve.high_log10, curve.low_log10)]  # fmt: skip
        # As many standard deviations everywhere, but for what skews the first layers and the draws' own noise.
        high, low = (end[curve.speaks_L] for end in ends)
        assert (high > 3).all()
        assert (low < -3).all()
        assert (high - low).max() < 1.15 * (high - low).min()


def test_the_start_frame_carries_the_curves() -> None:
    spec = build_spec(BASE, connection=RESIDUAL, block=PRE)
    theory = require(find_one(itertools.islice(run(spec), 1), StartFrame).theory)
    curves = predict(spec)
    assert [told.law for told in theory] == [curve.law for curve in curves]
    for told, curve in zip(theory, curves, strict=True):
        assert METRICS[told.metric].shape == "L"
        assert len(told.values) == spec.depth
        assert told.holds.endswith(".")
        assert told.formula
        assert told.source
        assert (told.values_log10 is None) == (METRICS[told.metric].scale == "linear")
        low, values, high = (
            np.array([require(value) for value in told_L]) for told_L in (told.low, told.values, told.high)
        )
        np.testing.assert_allclose(values, curve.values, rtol=1e-6)
        assert ((low <= values) & (values <= high)).all()


def test_growth_beyond_floats_keeps_its_logarithm() -> None:
    isometric = {**MLP, "activation": "linear", "weights": "orthogonal", "branch_scale": 10.0}
    spec = {"connection": RESIDUAL, "block": isometric, "depth": 1024}
    curves = {curve.metric: curve for curve in predict(build_spec(BASE, **spec))}
    log10 = curves["act_rms"].values_log10
    assert log10 is not None
    assert log10[-1] == pytest.approx(512 * math.log10(101), rel=0.02)
    assert np.isinf(curves["act_rms"].values[-1])


def test_a_band_is_wider_by_the_rounding_of_the_type_and_no_more() -> None:
    wide = []
    for dtype in ("float32", "bfloat16"):
        curves = predict(build_spec(BASE, dtype=dtype, connection=RESIDUAL, block=PRE))
        (size,) = [curve for curve in curves if curve.metric == "act_rms"]
        wide.append((require(size.high_log10) - require(size.values_log10)) * np.log(10))
    # A rounding is half a unit in the last place; eight of them a layer is what the band allows.
    rounding = (wide[1] - wide[0]) / np.arange(1, BASE["depth"] + 1)
    assert (rounding > 2**-8).all()
    assert (rounding < 8 * 2**-8).all()
