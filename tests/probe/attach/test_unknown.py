"""What was not recorded is `unknown`, and what was computed and is no number is `nan`: numbers of a trace say which."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.findings.numerals import format_value
from mhc_core.metric import OURS, Chart, LayerMetric, Metric
from mhc_core.metrics import LAYER_METRICS, METRICS
from mhc_core.record.frames import ForwardFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_probe.measurement import build_frames
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
from mhc_probe.recording.parameter_norms import ParameterNorms

LAYERS, SAMPLES, WIDTH, LOST = 4, 6, 8, 1
SOURCE = TraceSource(model=Model(name="Drawn", parameters=0), versions={})
COEFFICIENTS = {"h_pre", "h_post", "h_res"}
# What a layer lacks, by the number of streams.
LACKING: list[tuple[int, dict[str, Any]]] = [
    (2, {"u_NC": None}),
    (2, {"grad_u_NC": None}),
    (2, {"h_pre": None}),
    (2, {"h_post": None}),
    (2, {"h_res": []}),
    (2, {"h_post": None, "h_res": [], "y_NC": None}),
    (1, {"y_NC": None, "h_post": None, "h_res": []}),
]


def draw(streams: int) -> JoinedPasses:
    """A pass that keeps x' = H_res x + H_post y in every layer."""
    torch.manual_seed(0)
    state = start = torch.randn(streams, SAMPLES, WIDTH)
    layers = []
    for place in range(LAYERS):
        h_pre, h_post, y = torch.rand(streams), torch.rand(streams), torch.randn(SAMPLES, WIDTH)
        h_res = torch.ones(1, 1) if streams == 1 else torch.rand(streams, streams)
        u = torch.einsum("n,nbc->bc", h_pre, state)
        state = torch.einsum("ij,jbc->ibc", h_res, state) + torch.einsum("n,bc->nbc", h_post, y)
        grads = (torch.randn_like(state), torch.randn_like(y))
        layers.append(JoinedLayer(f"layer {place}", [], [], state, u, y, h_pre, h_post, [h_res], *grads))
    return JoinedPasses(torch.float32, start, torch.randn_like(start), layers, 1.0)


def measure(recorded: JoinedPasses) -> Result:
    result = Result()
    for frame in build_frames(recorded, ParameterNorms([]), SOURCE, None):
        result.add(frame)
    return result


def list_flags(result: Result) -> set[tuple[str, int, str]]:
    return {(key, layer, flag) for key, flags in result.status.items() for layer, flag in flags.items()}


@pytest.mark.sample(4)
@pytest.mark.parametrize(("streams", "lacking"), LACKING, ids=[f"{n} {'+'.join(part)}" for n, part in LACKING])
def test_everything_made_of_what_was_not_heard_is_unknown(streams: int, lacking: dict[str, Any]) -> None:
    before = list_flags(measure(draw(streams)))
    recorded = draw(streams)
    for name, value in lacking.items():
        setattr(recorded.layers[LOST], name, value)
    added = list_flags(measure(recorded)) - before
    assert added
    assert {flag for *_, flag in added} == {"unknown"}
    beside = {key for key, layer, _ in added if layer != LOST}
    assert all(key.startswith(("composite", "unfolded", "kernel", "gauge", "cos_prev")) for key in beside)


@pytest.mark.parametrize("streams", [1, 2])
def test_what_was_computed_and_is_no_number_stays_nan(streams: int) -> None:
    recorded = draw(streams)
    for layer in recorded.layers[LOST:]:
        layer.after_nNC = torch.full_like(layer.after_nNC, float("nan"))
    flags = list_flags(measure(recorded)) - list_flags(measure(draw(streams)))
    assert {flag for *_, flag in flags} == {"nan"}
    assert ("act_rms", LOST, "nan") in flags


def test_a_matrix_that_is_no_number_is_told_as_that() -> None:
    recorded = draw(2)
    recorded.layers[LOST].h_res = [torch.full((2, 2), float("nan"))]
    flags = list_flags(measure(recorded))
    assert ("gain_fwd", LOST, "nan") in flags
    assert ("composite_gain_fwd", LAYERS - 1, "nan") in flags
    recorded.layers[LOST + 1].h_res = []
    flags = list_flags(measure(recorded))
    assert ("gain_fwd", LOST + 1, "unknown") in flags
    assert ("composite_gain_fwd", LAYERS - 1, "nan") in flags, "the worse of the two reasons is told"


def test_a_trace_from_before_unknown_is_read_as_it_was_written(tmp_path: Path) -> None:
    """It has `nan` for what was not recorded, too: nothing in it tells the two apart, and nothing is made up."""
    recorded = draw(2)
    recorded.layers[LOST].h_pre = None
    old = Result()
    for frame in build_frames(recorded, ParameterNorms([]), SOURCE, None):
        if isinstance(frame, ForwardFrame):
            frame = replace(frame, status=dict.fromkeys(frame.status, "nan"))
        old.add(frame)
    old.save(tmp_path / "old.mhct")
    read = Result.load(tmp_path / "old.mhct")
    assert ("h_pre", LOST, "nan") in list_flags(read)
    assert ("h_pre", LOST, "unknown") not in list_flags(read)
    assert format_value(None, status=read.status["h_pre"][LOST]) == "nan"
    assert format_value(None, status=measure(recorded).status["h_pre"][LOST]) == "not known"


def test_what_is_not_read_by_weights_is_told_in_a_sentence() -> None:
    recorded = draw(2)
    recorded.layers[LOST].h_pre = None
    texts = {finding.key: finding.text for finding in measure(recorded).summary.findings}
    assert texts["reading"].startswith("In 1 of 4 layers H_pre is not known")
    assert "reading" not in {finding.key for finding in measure(draw(2)).summary.findings}


def test_a_metric_of_another_package_is_unknown_where_an_input_of_the_layer_is(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Metric("write_peak", "Peak", "", "linear", "L", "forward", "Largest entry.", "max |y|", OURS)
    added = LayerMetric(
        metric=words,
        measure=lambda block: block.y_KNC.abs().amax((1, 2)),
        reference=lambda spec, layer: float(abs(layer.y_NC).max()),
        chart=Chart(reading="", symbol="y"),
    )
    monkeypatch.setitem(METRICS, "write_peak", words)
    monkeypatch.setitem(LAYER_METRICS, "write_peak", added)
    recorded = draw(2)
    layer = recorded.layers[LOST]
    layer.y_NC, layer.h_post, layer.h_res = None, None, []  # with the mixing, the states would tell the branch output
    result = measure(recorded)
    assert result.status["write_peak"] == {LOST: "unknown"}
    assert np.isfinite(np.delete(result.layers["write_peak"], LOST)).all()
