"""What a step of training says of its layers, against plain autograd, plain formulas and the measurement before it."""

import gc
import math
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.cost.estimates import estimate
from mhc_core.measure.step_probe import StepProbe
from mhc_core.measure.training import train
from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.columns import to_stack
from mhc_core.record.reduction import reduce_metric
from mhc_core.record.result import Result
from mhc_core.stack import Stack, build_stack
from tests.core import measures, reference
from tests.core.conftest import (
    CONNECTIONS,
    MIXED,
    MULTI_STREAM,
    PARTS,
    build_spec,
    by_layer,
    collect,
    require,
    run_frames,
    shake,
)
from tests.core.metrics.test_paths import unfold_by_hand
from tests.core.plain import train_plainly
from tests.core.trained import ONE_WINDOW, TEXT, step_frames, take_one_step

SIZES = ("act_rms", "grad_rms", "act_rms_streams", "grad_rms_streams")
STEPPED = ("cos_prev", "cos_prev_p05", "cos_prev_p95", "token_cos")
LEVELS = {"step_cos_prev_p05": 0.05, "step_cos_prev": 0.5, "step_cos_prev_p95": 0.95}


def assert_layer(values: dict[str, Any], layer: int, x: Any, m: Any, u: Any, before: Any) -> None:
    """Of one layer: streams (n, N, C), the merged state, what it reads and what the one before it read, (N, C)."""
    assert values["step_act_rms"][layer] == pytest.approx(measures.rms(m), rel=1e-9)
    for stream, item in enumerate(x):
        assert values["step_act_rms_streams"][layer, stream] == pytest.approx(measures.rms(item), rel=1e-9)
    if len(x) > 1:
        assert values["step_stream_cos"][layer] == pytest.approx(measures.stream_cosine(x), abs=1e-9)
    assert values["step_token_cos"][layer] == pytest.approx(measures.token_cosine(m), abs=1e-9)
    for key, level in LEVELS.items():
        if before is None:
            assert math.isnan(values[key][layer]), "there is no layer before the first"
        else:
            wanted = measures.quantile(measures.cosines(u, before), level)
            assert values[key][layer] == pytest.approx(wanted, abs=1e-9)


def assert_cka(found: Any, merged: list[np.ndarray]) -> None:
    """Of all pairs of the merged states (N, C)."""
    wanted = [[measures.unbiased_cka(one, other) for other in merged] for one in merged]
    np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["residual", "hc"])
def test_every_step_is_that_of_plain_autograd(kind: str) -> None:
    found = []
    for step in train_plainly(kind, 3):
        values = step.frame.values
        reads = [u.numpy() for u in step.reads]
        for layer, x in enumerate(step.streams):
            assert_layer(values, layer, x.numpy(), x.mean(0).numpy(), reads[layer], reads[layer - 1] if layer else None)
            grad_rms = measures.rms(step.grads[layer].sum(0).numpy())
            assert values["step_grad_rms"][layer] == pytest.approx(grad_rms, rel=1e-7)
            for stream, grad in enumerate(step.grads[layer]):
                wanted = measures.rms(grad.numpy())
                assert values["step_grad_rms_streams"][layer, stream] == pytest.approx(wanted, rel=1e-7)
        assert_cka(values["step_cka"], [x.mean(0).numpy() for x in step.streams])
        if kind == "hc":
            w = {name: value.detach().numpy() for name, value in step.w.items()}
            weights = unfold_by_hand(w["a_m"], w["b"], w["a_r"].transpose(0, 2, 1))
            # It travels as float32, as that of the measurement does.
            np.testing.assert_allclose(values["step_unfolded"], weights, rtol=1e-11, atol=1e-13)
        else:
            np.testing.assert_array_equal(values["step_unfolded"], np.tri(4, 5))
        assert step.frame.status == {}
        found.append(values)
    first, _, last = found
    assert len(found) == 3
    moved = ["step_act_rms", "step_cos_prev", "step_token_cos", "step_act_rms_streams", "step_grad_rms_streams"]
    for key in moved if kind == "residual" else [*moved, "step_stream_cos", "step_unfolded"]:
        assert np.nanmax(np.abs(last[key] - first[key])) > 1e-4, (key, "or a later step says nothing new")


@pytest.mark.sample(7)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_first_step_sees_what_the_measurement_before_it_saw(name: str) -> None:
    before, frame = take_one_step(connection=CONNECTIONS[name])
    step = frame.values
    assert step["step_loss"] == pytest.approx(before.loss, rel=1e-12)
    pairs = {f"step_{key}": key for key in (*STEPPED, *SIZES, "param_grad_norm", "mixing_grad_norm", "stream_cos")}
    pairs |= {"step_gain_fwd": "composite_gain_fwd", "step_gain_bwd": "composite_gain_bwd"}
    for ours, theirs in pairs.items():
        assert (ours in step) == (theirs in before.layers), ours
        if ours in step:
            # Cosines may be 0.
            atol = 1e-9 if "cos" in ours else 1e-15
            np.testing.assert_allclose(step[ours], before.layers[theirs], rtol=1e-9, atol=atol, err_msg=ours)
    assert ("step_stream_cos" in step) == (name in MULTI_STREAM)
    for key in ("act_rms", "grad_rms"):
        np.testing.assert_allclose(frame.log10[f"step_{key}"], before.layers_log10[key], rtol=1e-9)
    matrices = {"h_read" if name in PARTS else "h_pre", "h_post", "h_res"} if name in MIXED else set()
    matrices |= set() if name in PARTS else {"unfolded"}
    for key in matrices:
        np.testing.assert_allclose(step[f"step_{key}"], before.matrices[key], rtol=1e-12, atol=1e-14)
    assert ("step_unfolded" in step) == ("unfolded" in before.matrices) == (name not in PARTS)
    np.testing.assert_allclose(step["step_cka"], before.matrices["cka"], rtol=1e-9, atol=1e-11)
    assert frame.status == {}


@pytest.mark.sample(3)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic", "frac"])
def test_so_it_does_in_low_precision(name: str, dtype: str) -> None:
    before, frame = take_one_step(depth=40, width=16, dtype=dtype, cka="biased", connection=CONNECTIONS[name])
    step = frame.values
    for key in STEPPED:
        np.testing.assert_allclose(step[f"step_{key}"], before.layers[key], atol=1e-5, err_msg=key)
    rough = 2e-2 if dtype == "bfloat16" else 1e-4  # the way down sums in another order
    for key in SIZES:
        rtol = rough if key.startswith("grad") else 1e-6
        np.testing.assert_allclose(step[f"step_{key}"], before.layers[key], rtol=rtol, err_msg=key)
    np.testing.assert_allclose(step["step_cka"], before.matrices["cka"], atol=2e-5)
    assert frame.input is not None
    np.testing.assert_allclose(frame.input["act_rms_streams"], before.input["act_rms_streams"], rtol=1e-6)
    np.testing.assert_allclose(frame.input["grad_rms_streams"], before.input["grad_rms_streams"], rtol=rough)


@pytest.mark.sample(7)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_later_step_is_of_the_weights_and_the_batch_of_that_step(name: str) -> None:
    """The stack is stopped before its third step and read by the reference in plain numpy."""
    spec = build_spec(connection=CONNECTIONS[name], input={"text": TEXT}, train={"steps": 4, "lr": 0.05, "kept": 4})
    stack = shake(build_stack(spec))
    frames = train(stack)
    next(frames), next(frames)
    stack.input.set_batch(2)
    found = reference.trace(stack)
    # Now: they share their memory with the weights, which the step is about to change.
    coefficients = (found.h_pre, found.h_post, found.h_res) if name in MIXED else ()
    means = [np.array(part).mean((1, 2)) for part in coefficients]
    frame = next(frames)
    assert frame.input is not None
    for stream, x in enumerate(found.states[0]):
        assert frame.input["act_rms_streams"][stream] == pytest.approx(measures.rms(x), rel=1e-9)
    values = frame.values
    assert values["step_loss"] == pytest.approx(found.loss, rel=1e-9)
    assert_cka(values["step_cka"], [m.reshape(-1, m.shape[-1]) for m in found.merged[1:]])
    flat = [u.reshape(-1, u.shape[-1]) for u in found.u]
    for layer, x in enumerate(found.states[1:]):
        streams, merged = x.reshape(len(x), -1, x.shape[-1]), found.merged[layer + 1]
        before = flat[layer - 1] if layer else None
        assert_layer(values, layer, streams, merged.reshape(-1, merged.shape[-1]), flat[layer], before)
    if name in MIXED and name not in PARTS:
        np.testing.assert_allclose(values["step_unfolded"], unfold_by_hand(*means), rtol=1e-11, atol=1e-13)


# ---- frames and results


def test_every_step_has_columns_and_the_kept_ones_have_streams_and_matrices() -> None:
    spec = build_spec(input={"text": TEXT}, train={"steps": 9, "kept": 3})
    frames = step_frames(spec)
    kept = {"step_act_rms_streams", "step_grad_rms_streams", "step_stream_cos", "step_unfolded", "step_cka"}
    assert all({"step_act_rms", "step_grad_rms"} <= frame.log10.keys() for frame in frames)
    assert all({f"step_{key}" for key in STEPPED} <= frame.values.keys() for frame in frames)
    assert [frame.step for frame in frames if kept <= frame.values.keys()] == [0, 4, 8]
    assert sum(bool(kept & frame.values.keys()) for frame in frames) == 3
    result, there = collect(list(run_frames(spec))), Result()
    for index, frame in enumerate(run_frames(spec)):
        there.add(decode_line(encode_frame(frame, "id", index)))
    shapes = {"act_rms_streams": (3, 4, 4), "grad_rms_streams": (3, 4, 4), "stream_cos": (3, 4)}
    shapes |= {"unfolded": (3, 4, 5), "cka": (3, 4, 4)}
    for key, shape in shapes.items():
        assert result.kept[f"step_{key}"].shape == shape
        np.testing.assert_array_equal(there.kept[f"step_{key}"], result.kept[f"step_{key}"])
    for key in STEPPED:
        assert result.steps[f"step_{key}"].shape == (9, 4)
        assert f"step_{key}" not in result.steps_log10, "it does not span decades"
        np.testing.assert_array_equal(there.steps[f"step_{key}"], result.steps[f"step_{key}"])
    np.testing.assert_array_equal(there.steps["step_act_rms"], result.steps["step_act_rms"])
    np.testing.assert_allclose(result.kept["step_cka"].diagonal(axis1=1, axis2=2), 1.0, rtol=1e-12)
    assert require(reduce_metric(result, "step_cka", "max").value) < 1.0, "the diagonal says nothing"


def test_a_kept_column_that_spans_decades_is_reduced_as_logarithms() -> None:
    result = collect(list(run_frames(build_spec(input={"text": TEXT}, train={"steps": 3}))))
    wanted = np.median(np.log10(result.kept["step_grad_rms_streams"]))
    assert reduce_metric(result, "step_grad_rms_streams", "median").log10 == pytest.approx(wanted, rel=1e-9)


@pytest.mark.full
def test_of_stacks_over_256_layers_no_step_keeps_matrices_of_pairs() -> None:
    for depth, kept in ((256, 2), (257, 0)):
        fields: dict[str, Any] = {"depth": depth, "width": 4, "block": {"kind": "mlp", "mlp_ratio": 0}}
        spec = build_spec(**fields, connection={"kind": "hc"}, input=ONE_WINDOW, train={"steps": 2, "kept": 2})
        frames = list(train(build_stack(spec)))
        for key in ("step_unfolded", "step_cka"):
            assert sum(key in frame.values for frame in frames) == kept
        assert all(frame.values["step_act_rms_streams"].shape == (depth, 4) for frame in frames)


def test_overflow_of_a_step_is_told_by_layer() -> None:
    spec = build_spec(
        depth=90, dtype="float32", connection={"kind": "hc", "noise": 10.0}, input={"text": TEXT}, train={"steps": 3}
    )
    (frame,) = step_frames(spec)  # the first ends it
    values, streams = frame.values, by_layer(frame, "step_act_rms_streams")
    first = min(streams)
    assert streams[first] == "overflow"
    assert np.isfinite(values["step_act_rms_streams"][:first]).all()
    assert np.isnan(values["step_act_rms_streams"][first]).any()
    cka, act_rms = by_layer(frame, "step_cka"), by_layer(frame, "step_act_rms")
    assert cka[min(cka)] == "overflow"
    assert act_rms.keys() == cka.keys()
    assert set(act_rms.values()) <= {"overflow", "nan"}
    assert np.isfinite(frame.log10["step_act_rms"][: min(cka)]).all()
    assert np.isnan(values["step_act_rms"][min(cka) :]).all()
    assert by_layer(frame, "step_grad_rms").keys() == set(range(90))
    assert np.isnan(values["step_cka"][min(cka) :]).all()
    assert np.isfinite(values["step_cka"][: min(cka), : min(cka)]).all()
    assert set(by_layer(frame, "step_token_cos")) == set(range(first, 90))
    assert set(by_layer(frame, "step_stream_cos")) == set(range(first, 90))
    assert min(by_layer(frame, "step_cos_prev")) == first + 1, "it reads the layer before"
    weights = by_layer(frame, "step_unfolded") if "step_unfolded" in frame.status else {}
    lost = {layer for layer, row in enumerate(values["step_unfolded"]) if np.isnan(row).any()}
    assert lost == {layer for layer, flag in weights.items() if flag != "underflow"}
    result = collect(list(run_frames(spec)))
    assert result.steps_status["step_act_rms_streams"][0][first] == "overflow"


def test_what_a_layer_without_numbers_makes_unknown() -> None:
    stack = build_stack(build_spec(input={"text": TEXT}, train={"steps": 2}))
    with torch.no_grad():
        stack.get_parameter("branches.1.w_in")[0, 0] = math.nan
    (frame,) = train(stack)
    for key in ("step_token_cos", "step_act_rms"):
        assert by_layer(frame, key).keys() == {1, 2, 3}
    assert frame.status["step_cka"] == dict.fromkeys((1, 2, 3), "nan")
    assert np.isfinite(frame.values["step_act_rms"][0])
    assert by_layer(frame, "step_cos_prev").keys() == {2, 3}, "layer 2 reads what layer 1 made of it"
    assert frame.status["step_act_rms_streams"] == dict.fromkeys((1, 2, 3), "nan")
    for key in ("step_grad_rms", "step_grad_rms_streams"):
        assert by_layer(frame, key).keys() == {0, 1, 2, 3}


def test_a_layer_is_lost_to_the_worst_of_its_streams() -> None:
    column = np.array([[1.0, 2.0], [np.inf, 3.0], [np.inf, np.nan]])
    found, flags = to_stack(column, np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1.0, 2.0], [np.nan, 3.0], [np.nan, np.nan]])
    assert flags == {1: "overflow", 2: "nan"}


def test_more_kept_steps_cost_more() -> None:
    few, many = (estimate(build_spec(depth=200, train={"steps": 50, "kept": kept})) for kept in (2, 50))
    assert many.flops > few.flops
    assert many.seconds > few.seconds


def test_a_text_of_one_letter_has_no_cka_at_any_step() -> None:
    spec = build_spec(input={"text": "a" * 40}, train={"steps": 2})
    result = collect(list(run_frames(spec)))
    assert result.steps_status["step_cka"] == {step: dict.fromkeys(range(4), "constant") for step in (0, 1)}
    assert np.isnan(result.kept["step_cka"]).all()
    assert reduce_metric(result, "step_cka", "last").status == "constant"


def test_where_nothing_comes_down_the_gradient_is_zero() -> None:
    """A head that reads nothing of the last state leaves every layer without a gradient."""
    stack = build_stack(build_spec(connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.0},
                                   input={"text": TEXT}, train={"steps": 1}))  # fmt: skip
    (frame,) = train(stack)
    np.testing.assert_array_equal(frame.values["step_grad_rms"][:3], 0.0)
    assert "step_grad_rms" not in frame.status


# ---- memory


def test_nothing_of_a_step_outlives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """States, gradients and Gram matrices go without the collector's help."""
    heard: list[weakref.ref[Any]] = []
    observe = StepProbe.observe

    def remember(self: StepProbe, layer: int, output: Any) -> None:
        heard.extend((weakref.ref(output.state), weakref.ref(self)))
        assert self.cka is not None
        heard.append(weakref.ref(self.cka.grams_LPP))
        observe(self, layer, output)

    monkeypatch.setattr(StepProbe, "observe", remember)
    spec = build_spec(depth=20, input={"text": TEXT}, train={"steps": 2})
    frames = train(build_stack(spec))
    gc.collect()
    gc.disable()
    try:
        next(frames)
        assert len(heard) == 60
        assert not [item for item in heard if item() is not None]
    finally:
        gc.enable()


def test_without_an_observer_a_stack_climbs_as_before() -> None:
    stack: Stack = build_stack(build_spec())
    seen: list[int] = []
    state, _ = stack.run_layers(stack.embed(), lambda layer, output: seen.append(layer))
    assert seen == [0, 1, 2, 3]
    assert torch.equal(state, stack.run_layers(stack.embed())[0])
