"""Sentences are claims: each is held against the numbers of runs that could make it false."""

import re

import numpy as np
import pytest
import torch

from mhc_core.findings.words import format_loss, format_magnitude
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure
from tests.core.findings.reader import Run, read_headline, read_sentence

SPECS: dict[str, RunSpec] = {
    **{name: build_spec(connection=connection) for name, connection in CONNECTIONS.items()},
    "default preset": build_spec(depth=12, connection={"noise": 0.3}),
    "exp": build_spec(connection={"sinkhorn_iters": 0, "noise": 0.5}),
    "exp at rest": build_spec(connection={"sinkhorn_iters": 0, "noise": 0.0}),
    "one round": build_spec(connection={"sinkhorn_iters": 1, "noise": 3.0}),
    "large eps": build_spec(connection={"sinkhorn_eps": 1e-3}),
    "small branches": build_spec(connection={"init": "mhc_lite"}, block={"branch_scale": 1e-3}),
    "random projections": build_spec(depth=12, connection={"init": "megatron", "dynamic": True}),
    "few rounds, token by token": build_spec(
        connection={"init": "deepseek_v4", "dynamic": True, "noise": 3.0, "sinkhorn_iters": 3}
    ),
    "few rounds with eps": build_spec(
        dtype="float32",
        connection={"init": "lucidrains", "dynamic": True, "noise": 3.0, "sinkhorn_iters": 3, "sinkhorn_eps": 1e-3},
    ),
    "one stream": build_spec(connection={"streams": 1}),
    "one layer": build_spec(depth=1),
    "post": build_spec(connection={"kind": "residual"}, block={"norm_position": "post"}),
    "no norm": build_spec(depth=200, dtype="float32", connection={"kind": "residual"}, block={"norm_position": "none"}),
    "overflow": build_spec(depth=120, dtype="float32", connection={"kind": "hc", "noise": 3.0}),
    "overflow of gain alone": build_spec(depth=512, connection={"kind": "hc", "noise": 3.0}),
    "vanishing": build_spec(
        depth=64, dtype="float32", connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.05}
    ),
    "no branches": build_spec(depth=8, dtype="float32", connection={"noise": 0.3}, block={"branch_scale": 0.0}),
    "zero": build_spec(connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.0}),
    "trained": build_spec(connection={"kind": "hc"}, train={"steps": 6, "lr": 0.05}),
    "trained on the manifold": build_spec(connection={"init": "mhc_lite"}, train={"steps": 6, "lr": 0.05}),
    "trained, one stream": build_spec(connection={"kind": "residual"}, train={"steps": 1}),
    "trained, exploded": build_spec(
        dtype="float32",
        connection={"kind": "residual"},
        block={"kind": "mlp", "activation": "relu", "norm_position": "none"},
        train={"steps": 40, "lr": 10.0, "optimizer": "sgd"},
    ),
    "gaussian": build_spec(input={"kind": "gaussian"}),
    "digits": build_spec(input={"kind": "digits", "tokens": 64}),
    "corpus": build_spec(input={"kind": "corpus"}),
    "rezero": build_spec(block={"scaling": "rezero"}),
    "deepnorm": build_spec(block={"scaling": "deepnorm", "norm_position": "post"}),
}
PANELS = {"activation", "gradient", "gain", "mixing", "similarity", "cka", "detail", "unfolded", "gauge"}


# Left to `make test-rest`: two of each three connections, and stacks that take seconds.
REST = {"no norm", "overflow of gain alone", *(name for place, name in enumerate(CONNECTIONS) if place % 3)}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.full) if name in REST else name for name in SPECS])
def measured(request: pytest.FixtureRequest) -> tuple[RunSpec, Result, dict[str, Finding]]:
    spec = SPECS[request.param]
    result = measure(spec)
    return spec, result, {finding.key: finding for finding in result.summary.findings}


MeasuredRun = tuple[RunSpec, Result, dict[str, Finding]]


@pytest.mark.sample(9)
def test_every_sentence_is_one_with_a_panel_and_plain_numbers(measured: MeasuredRun) -> None:
    spec, result, findings = measured
    assert result.summary.findings[0].key == "connection"
    assert len(findings) == len(result.summary.findings)
    for finding in findings.values():
        assert finding.text.endswith(".")
        assert finding.text[0].isupper() or finding.text[0].isdigit() or finding.text.startswith(spec.dtype)
        assert "nan" not in finding.text.split()
        assert not re.search(r"\d[eE][+-]?\d", finding.text), "powers of ten are written as in figures"
        assert not re.search(r"\b1 (layers|rounds|matrices|\w+ rounds|\w+ \w+ matrices)", finding.text)
        assert finding.panel in PANELS
        for value in finding.numbers.values():
            assert value is None or isinstance(value, int | float | str)
            assert not isinstance(value, float) or np.isfinite(value)


def test_every_sentence_and_the_headline_say_what_the_columns_say(measured: MeasuredRun) -> None:
    spec, result, findings = measured
    run = Run(spec, result, [result])
    for finding in findings.values():
        read_sentence(run, finding.key, finding.text)
    read_headline(run, result.summary.headline.text)


def test_sentences_are_there_where_there_is_something_to_say(measured: MeasuredRun) -> None:
    spec, result, findings = measured
    lost = {key for key in ("act_rms", "grad_rms", "composite_gain_fwd") if key in result.status}
    assert ("limits" in findings) == bool(lost)
    assert ("loss" in findings) == (spec.input.kind in ("text", "corpus", "digits"))
    assert ("training" in findings) == (spec.streams > 1 and spec.train.steps > 0)
    updates = np.isfinite(result.steps["step_grad_norm"]).sum() if spec.train.steps else 0
    assert ("stop" in findings) == (updates < spec.train.steps)


def test_numbers_of_findings_are_those_of_the_columns(measured: MeasuredRun) -> None:
    _, result, findings = measured
    if "activation" in findings:
        numbers, logs = findings["activation"].numbers, result.layers_log10["act_rms"]
        assert numbers["input_rms"] == pytest.approx(result.input["act_rms"])
        assert numbers["last_rms_log10"] == pytest.approx(logs[np.isfinite(logs)][-1])
    if "gradient" in findings:
        first, last = result.layers_log10["grad_rms"][[0, -1]]
        wanted = None if result.layers["grad_rms"][0] == 0 else pytest.approx(first - last)
        assert findings["gradient"].numbers["first_to_last_log10"] == wanted
    if "loss" in findings and result.steps:
        numbers = findings["loss"].numbers
        assert numbers["loss_untrained"] == result.loss_untrained
        assert numbers["loss"] == (result.loss if np.isfinite(result.loss) else None)
    if "training" in findings:
        numbers = findings["training"].numbers
        for key in ("fwd", "bwd"):
            before, after = np.max(result.steps_log10[f"step_gain_{key}"][0]), numbers[f"gain_{key}_log10"]
            assert after == pytest.approx(np.max(result.layers_log10[f"composite_gain_{key}"]), abs=1e-12)
            assert numbers[f"gain_{key}_log10_untrained"] == pytest.approx(before, abs=1e-12)
            assert numbers[f"gain_{key}_log10_largest"] >= max(before, after) - 1e-12


def test_no_signal_by_symmetry_is_said_only_where_h_res_has_no_gradient(measured: MeasuredRun) -> None:
    spec, _, findings = measured
    if spec.connection.kind != "mhc" or spec.streams == 1:
        assert "symmetry" not in findings
        return
    stack = build_stack(spec)
    stack().backward()
    named = [(name, parameter.grad) for name, parameter in stack.connection.named_parameters()]
    grads = [grad for name, grad in named if name.endswith("b_res") and grad is not None]
    largest = max(grad.abs().max().item() for grad in grads)
    states = spread_of_streams(spec)
    if "symmetry" in findings:
        assert "frozen" not in findings, "logits cannot let through what does not arrive"
        assert largest < (1e-9 if spec.dtype == "float64" else 1e-6)
        assert states < 1e-6
    else:
        assert largest > 1e-12


def spread_of_streams(spec: RunSpec) -> float:
    """Largest distance of a stream from the mean of streams, over all layers, relative to the state's size."""
    stack, worst = build_stack(spec), 0.0
    with torch.no_grad():
        state, static = stack.embed(), stack.connection.static_mixing()
        for layer in range(spec.depth):
            mixing = None if static is None else type(static)(*(part[layer] for part in static))
            state = stack.layer(layer, state, mixing).state
            streams = stack.connection.streams(state)
            apart = (streams - streams.mean(0)).abs().max() / streams.abs().max()
            worst = max(worst, apart.item())
    return worst


def test_signals_that_vanish_below_the_least_float_are_told() -> None:
    result = measure(SPECS["vanishing"])
    assert result.layers["act_rms"][-1] == 0  # in float32; in truth about 1e-60
    texts = {finding.key: finding.text for finding in result.summary.findings}
    first = int(np.flatnonzero(result.layers["act_rms"] == 0)[0])
    assert texts["zero"] == f"Activations are zero from layer {first + 1} on."
    small = [layer for layer, flag in result.status.get("act_rms", {}).items() if flag == "underflow"]
    assert all(first > layer for layer in small)


def test_rows_are_off_with_eps() -> None:
    """What the sentence on rows must not hide."""
    result = measure(SPECS["few rounds with eps"])
    assert np.abs(result.layers["h_res_row_sum"] - 1).max() > 1e-3
    (text,) = [finding.text for finding in result.summary.findings if finding.key == "truncation"]
    assert re.fullmatch(
        r"After 3 Sinkhorn rounds, a row or column sum of the worst token is off by \S+ at layer \d\.", text
    )


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (76492201984.0, "7.65×10¹⁰"),
        (5.5451774, "5.545"),
        (12345.678, "12345.678"),
        (2.5e-5, "2.5×10⁻⁵"),
        (-0.25, "−0.250"),
        (0.0, "0"),
        (float("nan"), "not a finite number"),
    ],
)
def test_losses_are_written_with_three_decimals_or_as_powers(loss: float, text: str) -> None:
    assert format_loss(loss) == text


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_only_what_is_above_one_amplifies(noise: float) -> None:
    spec = build_spec(connection={"kind": "hc", "noise": noise})
    text = measure(spec).summary.findings[0].text
    assert ("amplifies" in text) == (noise > 0)
    if not noise:
        assert (
            text == "The product of up to 4 unconstrained mixing matrices has a gain of up to ×1.00 forward and ×1.00 "
            "backward."
        )


@pytest.mark.parametrize(
    ("log10", "text"),
    [
        (367.914, "8.2×10³⁶⁷"),
        (-367.1, "7.9×10⁻³⁶⁸"),
        (5.0, "1×10⁵"),
        (-3.7, "2×10⁻⁴"),
        (np.log10(12345), "12345"),
        (np.log10(0.99996), "1.00"),
        (np.log10(1.025), "1.025"),
        (np.log10(2.5), "2.5"),
        (np.log10(999.96), "1000"),
        (-np.inf, "0"),
        (np.nan, "not a number"),
        (np.inf, "beyond all numbers"),
    ],
)
def test_magnitudes_in_sentences_are_written_as_in_figures(log10: float, text: str) -> None:
    assert format_magnitude(float(log10)) == text


@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_a_gradient_that_rounding_decides_is_called_unresolved(scale: float, seed: int) -> None:
    """Without a norm, attention passes from shares to a choice of one token, and a stack from calm to chaos."""
    block = {"norm_position": "none", "branch_scale": scale}
    fields = {"depth": 64, "seed": seed, "device": "cpu", "connection": {"kind": "residual"}, "block": block}
    coarse, fine = (measure(build_spec({}, **fields, dtype=dtype)) for dtype in ("float32", "float64"))
    found = {finding.key: finding for finding in coarse.summary.findings}
    miss = np.abs(coarse.layers_log10["grad_rms"] - fine.layers_log10["grad_rms"])
    assert "resolution" in found or miss.max() < np.log10(1.05)
    assert ("resolution" in found) == (scale == 1.0)
    assert ("gradient" in found) == (scale != 1.0), "a growth that rounding decides is not stated"
    assert "limits" not in found
    assert "resolution" not in {finding.key for finding in fine.summary.findings}


def test_a_magnitude_may_come_as_a_float32() -> None:
    """A power of a float32 is a float32, which has no 1e-46."""
    assert format_magnitude(np.float32(-45.9)) == "1.3×10⁻⁴⁶"
    assert format_magnitude(np.float32(60.1)) == "1.3×10⁶⁰"
