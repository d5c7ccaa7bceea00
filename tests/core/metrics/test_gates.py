"""Gates of single features: the family's own formula, closed forms, edits, and which features are kept."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.figures import PANELS, figure
from mhc_core.measure.passes import measure as measure_stack
from mhc_core.metric import LayerBlock, pick_features
from mhc_core.metrics import LAYER_METRICS
from mhc_core.record.result import Result
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import build_spec, measure, shake
from tests.core.reference import trace

Array = np.ndarray

KIND: dict[str, Any] = {"kind": "gated", "streams": 3, "gate_rank": 5}
CUT = {"layers": [2, 2], "what": "stream", "index": 1, "do": "zero"}
SCALED = {"layers": [2, 2], "what": "stream", "index": 1, "do": "scale", "value": 5.0}
MIXED = {"layers": [2, 2], "what": "stream", "index": 1, "do": "mean"}


def collect_stack(stack: Stack) -> Result:
    result = Result(stack.spec.depth)
    for frame in measure_stack(stack, torch.device("cpu")):
        result.add(frame)
    return result


def build_moved(**fields: Any) -> Stack:
    return shake(build_stack(build_spec(connection=KIND, **fields)))


def compute_plain_gates(stack: Stack, layer: int, x_nNC: Array) -> Array:
    """sigmoid(W_up silu(W_down v / n)) of every sample, (N, n, C), from the parameters and the streams."""
    n, samples, width = x_nNC.shape
    down, up = (
        dict(stack.connection.named_parameters())[f"mixers.{layer}.{name}"].detach().double().numpy()
        for name in ("w_down", "w_up")
    )
    units = x_nNC / np.sqrt((x_nNC**2).mean(2, keepdims=True))
    low = units.swapaxes(0, 1).reshape(samples, n * width) @ down.T / n
    gates: Array = 1 / (1 + np.exp(-(low / (1 + np.exp(-low))) @ up.T))
    return gates.reshape(samples, n, width)


@pytest.mark.parametrize("edits", [[], [MIXED]], ids=["plain", "edited"])
def test_gates_are_those_of_the_formula_of_the_family(edits: list[dict[str, Any]]) -> None:
    stack = build_moved(edits=edits)
    result, states = collect_stack(stack), trace(stack).states
    for layer in range(stack.spec.depth):
        x_nNC = states[layer].reshape(3, -1, stack.spec.width).copy()
        if layer == 2 and edits:
            x_nNC[1] = x_nNC[1].mean(0)
        wanted = compute_plain_gates(stack, layer, x_nNC)
        assert wanted.std() > 0.01, "gates differ"
        np.testing.assert_allclose(result.matrices["gates"][layer], wanted.mean(0), rtol=1e-12, atol=0)
        np.testing.assert_allclose(result.matrices["gates_std"][layer], wanted.std(0), rtol=1e-10, atol=1e-14)


def test_projections_of_zero_leave_every_gate_at_a_half_for_all_tokens() -> None:
    stack = build_moved()
    with torch.no_grad():
        for mixer in stack.connection.mixers:  # type: ignore[union-attr]
            mixer.w_up.zero_()
    result = collect_stack(stack)
    np.testing.assert_allclose(result.matrices["gates"], 0.5, rtol=1e-13)
    assert result.matrices["gates_std"].max() < 1e-13


def test_a_stream_that_is_cut_has_gates_of_zero_and_one_that_is_scaled_has_the_same_gates() -> None:
    plain, cut, scaled = (collect_stack(build_moved(edits=edits)).matrices["gates"] for edits in ([], [CUT], [SCALED]))
    assert not cut[2, 1].any()
    assert cut[2, [0, 2]].min() > 0
    np.testing.assert_allclose(scaled[2], plain[2], rtol=1e-12)


def test_static_weights_of_features_are_gates_of_streams_of_the_size_one() -> None:
    """Weights without an axis of samples, as a gate that no token changes has them."""
    generator = torch.Generator().manual_seed(2)
    x_nNC = torch.randn(3, 7, 8, generator=generator, dtype=torch.float64)
    weights = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    block = LayerBlock(x_nNC[None], x_nNC[:1], x_nNC[:1], x_nNC[:1], [SimpleNamespace(features=weights)], (), [x_nNC])
    sizes = x_nNC.square().mean(2).sqrt().numpy()
    wanted = 3 * sizes.T[:, :, None] * weights.numpy()
    for key, moment in (("gates", np.mean), ("gates_std", np.std)):
        found = LAYER_METRICS[key].measure_block(block, 1, 3, 8)
        np.testing.assert_allclose(found[0], moment(wanted, axis=0), rtol=1e-12)


def test_of_wide_streams_features_are_kept_at_even_distances() -> None:
    assert pick_features(8, 4).tolist() == list(range(8))
    assert pick_features(64, 4).tolist() == list(range(64))
    assert pick_features(4096, 4).tolist() == list(range(0, 4096, 64))
    assert pick_features(300, 1)[[0, 1, 6, 7, -1]].tolist() == [0, 1, 7, 8, 298]
    for width, streams in ((4096, 4), (100, 7), (5, 64), (3, 300)):
        kept = pick_features(width, streams)
        assert len(kept) * streams <= max(256, streams)
        assert (np.diff(kept) > 0).all()
        assert 0 <= kept.min() <= kept.max() < width


WIDE = build_spec(width=96, connection=KIND)  # three streams of 96 features; a record keeps 85 of them


def test_values_in_tables_have_the_number_of_their_feature() -> None:
    stack = build_stack(WIDE)
    wanted = compute_plain_gates(stack, 1, trace(stack).states[1].reshape(3, -1, 96)).mean(0)
    table = measure(WIDE).to_pandas("gates").query("layer == 1")
    assert len(table) == 3 * 85
    np.testing.assert_allclose(table["gates"], wanted[table["stream"], table["feature"]], rtol=1e-12)


def test_the_map_has_a_band_a_stream_and_the_number_of_every_feature() -> None:
    result = measure(WIDE)
    (heat,) = figure("gates", [result], ["run"], 0, "light").data
    rows, gates = np.asarray(heat.z), result.matrices["gates"]
    numbers = 1 + pick_features(96, 3)
    for row in range(len(rows)):
        place = heat.y0 + row * heat.dy
        stream, feature = round(place) - 1, row % (85 + 5)
        if feature >= 85:
            assert np.isnan(rows[row]).all()
            continue
        np.testing.assert_allclose(rows[row], gates[:, stream, feature], rtol=1e-6)
        assert (np.asarray(heat.customdata)[row] == numbers[feature]).all()
    assert len(rows) == 3 * 90 - 5


def test_runs_without_gates_have_no_map_and_are_said_to_have_none() -> None:
    plain = measure(build_spec(connection={"kind": "mhc"}))
    assert not {"gates", "gates_std"} & plain.matrices.keys()
    drawn = figure("gates", [plain], ["run"], 0, "light")
    assert [note.text for note in drawn.layout.annotations] == ["No gates: layers read whole streams."]
    assert PANELS["gates"].views[0].needs == "gates", "the page does not offer it"


def test_runs_with_other_features_are_not_subtracted() -> None:
    results = [measure(build_spec(width=width, connection=KIND | {"streams": n})) for n, width in ((3, 96), (2, 96))]
    drawn = figure("gates", results, ["A", "B"], 0, "light", difference=True)
    assert not any(heat.visible is not False for heat in drawn.data)


def test_a_file_keeps_the_gates_of_a_record(tmp_path: Path) -> None:
    result = measure(WIDE)
    result.save(tmp_path / "gates.mhct")
    loaded = Result.load(tmp_path / "gates.mhct")
    assert loaded.width == 96
    for key in ("gates", "gates_std"):
        np.testing.assert_array_equal(loaded.matrices[key], result.matrices[key])
