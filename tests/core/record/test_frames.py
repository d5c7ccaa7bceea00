"""The sequence of frames: its order, what each holds, what a cut leaves, and that nothing is silently null."""

import json
from typing import Any

import numpy as np
import pytest

from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.codec import decode_line, encode_frame, to_fields
from mhc_core.record.columns import to_groups
from mhc_core.record.frames import AnyFrame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.start import Device
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import Stack
from tests.core.conftest import CONNECTIONS, build_spec, collect, require, run_frames

DEEP = {
    name: build_spec(depth=40, width=8, connection=connection, dtype="float32")
    for name, connection in CONNECTIONS.items()
}
VANISHING = parse_spec(
    {
        "depth": 400,
        "width": 16,
        "connection": {"kind": "none"},
        "block": {"kind": "mlp", "activation": "gelu", "norm_position": "none"},
    }
)
# What leaves the range of its type, upwards, downwards, and at once.
EXTREME = {
    "hc-overflow": build_spec(depth=512, dtype="float32", connection={"kind": "hc", "noise": 3.0}),
    "hc-dynamic-overflow": build_spec(
        depth=100, dtype="float32", connection={"kind": "hc", "noise": 3.0, "dynamic": True}
    ),
    "hc-bfloat16": build_spec(depth=100, dtype="bfloat16", connection={"kind": "hc", "noise": 3.0}),
    "hc-float64": build_spec(depth=512, connection={"kind": "hc", "noise": 3.0}),
    "exp": build_spec(depth=64, dtype="float32", connection={"noise": 10.0, "sinkhorn_iters": 0}),
    "sigma2-underflow": build_spec(depth=1024, dtype="float32", connection={"init": "megatron", "noise": 1.0}),
    "vanishing": build_spec(
        depth=64, dtype="float32", connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.05}
    ),
    "zero": build_spec(connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.0}),
}
ALL = {**DEEP, **EXTREME}
EVERYDAY = {*list(DEEP)[::6], "hc-dynamic-overflow"}
PARAMS = [name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.full) for name in ALL]


@pytest.fixture(params=PARAMS, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[RunSpec, tuple[AnyFrame, ...]]:
    spec = ALL[request.param]
    return spec, run_frames(spec)


Case = tuple[RunSpec, tuple[AnyFrame, ...]]


def test_the_order_is_that_of_the_contract(case: Case) -> None:
    spec, frames = case
    up = [("forward", -1)]
    for layer in range(spec.depth):
        up += [("forward", layer), ("similarity", layer)]
    down = [("backward", layer) for layer in range(spec.depth - 1, -2, -1)]
    wanted = [("start", None), *up, ("loss", None), *down, ("mixing", None), ("summary", None)]
    assert [(frame.type, getattr(frame, "layer", None)) for frame in frames] == wanted


def test_the_start_says_what_is_computed(case: Case) -> None:
    spec, frames = case
    start = frames[0]
    assert isinstance(start, StartFrame)
    assert start.spec == spec.canonical()
    assert start.layers == spec.depth == len(start.blocks)
    assert start.blocks[:2] == ["attention", "mlp"]
    assert start.streams == spec.streams
    assert start.device == Device(type="cpu", name="cpu")
    assert set(to_fields(start.versions)) == {"mhc_scope", "torch", "numpy", "numerics"}
    assert set(to_fields(require(start.cost))) == {"parameters", "flops", "bytes_moved", "peak_bytes"}
    assert start.input.kind == "text"


def test_every_frame_carries_the_metrics_of_its_kind(case: Case) -> None:
    _, frames = case
    for frame in frames:
        if frame.type in ("forward", "backward", "mixing"):
            for key in frame.values:
                assert METRICS[key].frame == frame.type, key
            logs = {key for key in frame.values if METRICS[key].scale == "log"}
            assert set(frame.log10) == logs
        if frame.type == "similarity":
            assert frame.cka.shape == (frame.layer + 1,)


def flags_of(frame: AnyFrame, key: str) -> set[int]:
    """Places of a column (one place for a single layer's value) that have a status."""
    status = getattr(frame, "status", {}).get(key)
    if frame.type == "mixing":
        return set(status or {})
    return {0} if status else set()


def test_nothing_is_silently_null(case: Case) -> None:
    """A value that is not finite has a status, and a finite one has none but for underflow."""
    _, frames = case
    for frame in frames:
        if frame.type not in ("forward", "loss", "backward", "mixing"):
            continue
        for key, value in frame.values.items():
            array = np.asarray(np.nan if value is None else value, dtype=np.float64)
            rows = array if frame.type == "mixing" else array[None]
            null = {k for k, row in enumerate(rows) if np.isnan(row).any()}
            flagged = flags_of(frame, key)
            assert null <= flagged, (frame.type, getattr(frame, "layer", None), key)
            assert not np.isinf(array).any()
            assert all((rows[k] == 0).all() for k in flagged - null)
        for key in frame.status:
            assert key in frame.values


def test_a_finite_value_other_than_zero_has_its_logarithm(case: Case) -> None:
    _, frames = case
    for frame in frames:
        for key, log10 in getattr(frame, "log10", {}).items():
            linear = getattr(frame, "values", {})[key]
            value = np.asarray(np.nan if linear is None else linear, dtype=float)
            log = np.asarray(np.nan if log10 is None else log10, dtype=float)
            ordinary = value > (np.finfo(np.float64).tiny if frame.type == "mixing" else np.finfo(np.float32).tiny)
            np.testing.assert_allclose(log[ordinary], np.log10(value[ordinary]), rtol=2e-6, atol=1e-6)
            assert not np.isinf(log).any()


def test_a_size_that_its_type_rounds_to_zero_or_to_infinity_has_a_status_and_its_logarithm() -> None:
    """Sizes are measured in float64: 1.7e-46 of a float32 stack is no true zero, and 1e39 no infinity."""
    sizes = np.array([1.7e-46, 1e39, 0.0, 1.0])
    groups = to_groups({"act_rms": sizes, "act_rms_streams": np.stack([sizes, np.ones(4)], axis=1)}, np.float32)
    flags = ["underflow", "overflow", None, None]
    for group, size, flag in zip(groups, sizes, flags, strict=True):
        assert group["status"] == ({} if flag is None else {"act_rms": flag, "act_rms_streams": flag})
        wanted = np.nan if flag else size
        np.testing.assert_array_equal(group["values"]["act_rms"], wanted)
        np.testing.assert_array_equal(group["values"]["act_rms_streams"], [wanted, 1.0])
        np.testing.assert_allclose(group["log10"]["act_rms"], np.log10(size) if size else np.nan, rtol=1e-6)
    (cosines,) = to_groups({"token_cos": np.array([1e-50])}, np.float32)
    assert cosines == {"values": {"token_cos": 0.0}, "log10": {}, "status": {}}, "a cosine near 0 is rounded"


def test_a_layer_below_the_range_of_float32_is_said_to_be() -> None:
    result = collect(list(run(VANISHING)))
    small = [layer for layer, flag in result.status["act_rms"].items() if flag == "underflow"]
    assert small
    for layer in small:
        assert np.isnan(result.layers["act_rms"][layer])
        assert result.layers_log10["act_rms"][layer] < -45.1
    (text,) = [finding.text for finding in result.summary.findings if finding.key == "limits"]
    assert text == f"Activations fall below the range of float32 at layer {small[0] + 1}."


def refuse_constant(name: str) -> float:
    raise AssertionError(f"JSON holds {name}")


def test_every_line_is_json_without_nan(case: Case) -> None:
    _, frames = case
    for index, frame in enumerate(frames):
        line = encode_frame(frame, "0" * 20, index)
        plain = json.loads(line, parse_constant=refuse_constant)
        json.dumps(plain, allow_nan=False)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1


def assert_same_columns(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key, column in one.items():
        # Numbers in JSON have the digits of their own type; they come back as float64.
        np.testing.assert_array_equal(np.asarray(other[key]).astype(column.dtype), column, err_msg=key)


def test_lines_add_up_to_the_same_result(case: Case) -> None:
    _, frames = case
    here, there = collect(list(frames)), Result()
    for index, frame in enumerate(frames):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert_same_columns(here.layers, there.layers)
    assert_same_columns(here.layers_log10, there.layers_log10)
    assert_same_columns(here.matrices, there.matrices)
    assert here.status == there.status
    assert encode_frame(here.start, "id", 0) == encode_frame(there.start, "id", 0)
    assert here.summary == there.summary
    np.testing.assert_equal(here.loss, there.loss)
    for key, value in here.input.items():
        np.testing.assert_allclose(np.asarray(there.input[key], dtype=float), np.asarray(value, dtype=float), rtol=1e-6)


def test_a_result_has_one_entry_a_layer_and_a_symmetric_cka(case: Case) -> None:
    spec, frames = case
    result = collect(list(frames))
    for key, column in {**result.layers, **result.layers_log10, **result.matrices}.items():
        assert len(column) == spec.depth, key
    np.testing.assert_array_equal(result.matrices["cka"], result.matrices["cka"].T)


def test_closing_early_stops_the_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    climbed: list[int] = []
    layer_of = Stack.layer

    def count(self: Stack, layer: int, *rest: Any) -> Any:
        climbed.append(layer)
        return layer_of(self, layer, *rest)

    monkeypatch.setattr(Stack, "layer", count)
    frames = run(build_spec(depth=40))
    for frame in frames:
        if frame.type == "forward" and frame.layer == 0:
            break
    frames.close()  # type: ignore[attr-defined]
    # The first layer is measured alone, so that there is something to show at once.
    assert climbed == [0]
    assert list(frames) == []


def test_frames_leave_between_the_layers_of_the_way_down() -> None:
    frames = run(build_spec(depth=40))
    seen = 0
    for frame in frames:
        seen += frame.type == "backward"
        if seen:
            break
    frames.close()  # type: ignore[attr-defined]
    assert seen == 1


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["hc-dynamic", "mhc", "mhc-dynamic", "residual"])
def test_the_same_spec_gives_the_same_bytes(name: str) -> None:
    spec = build_spec(depth=20, width=32, dtype="float32", connection=CONNECTIONS[name], input={"tokens": 40})
    one, other = ([encode_frame(frame, "id", k) for k, frame in enumerate(run(spec))] for _ in range(2))
    assert one == other


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_layers_computed_twice_give_the_same_frames(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory binds, graphs are not kept but made again: no bit may tell."""
    spec = build_spec(depth=6, dtype="float32", connection=CONNECTIONS[name])
    kept = list(run(spec))
    monkeypatch.setattr("mhc_core.cost.counts.MAX_TAPE_BYTES", 0)
    again = list(run(spec))
    for one, other in zip(kept, again, strict=True):
        assert encode_frame(one, "id", 0) == encode_frame(other, "id", 0) or one.type == "start"
