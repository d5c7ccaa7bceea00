"""What a step of training says of its layers: sizes, gradients and CKA, against plain autograd and plain formulas."""

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
from mhc_core.record.reduction import reduce_metric
from mhc_core.record.result import Result
from mhc_core.stack import Stack, build_stack
from tests.core import measures, reference
from tests.core.conftest import CONNECTIONS, build_spec, by_layer, collect, require, run_frames, shake
from tests.core.plain import train_plainly
from tests.core.trained import ONE_WINDOW, TEXT, step_frames, take_one_step


@pytest.mark.parametrize("kind", ["residual", "hc"])
def test_sizes_gradients_and_cka_of_every_step_are_those_of_plain_autograd(kind: str) -> None:
    sizes = []
    for step in train_plainly(kind, 3):
        merged, values = [x.mean(0).numpy() for x in step.streams], step.frame.values
        for layer, grad in enumerate(step.grads):
            assert values["step_act_rms"][layer] == pytest.approx(measures.rms(merged[layer]), rel=1e-9)
            assert values["step_grad_rms"][layer] == pytest.approx(measures.rms(grad.sum(0).numpy()), rel=1e-7)
            for other in range(4):
                wanted = measures.unbiased_cka(merged[layer], merged[other])
                assert values["step_cka"][layer, other] == pytest.approx(wanted, rel=1e-7, abs=1e-9)
        assert step.frame.status == {}
        sizes.append(values["step_act_rms"])
    assert len(sizes) == 3
    assert np.abs(sizes[2] / sizes[0] - 1).max() > 1e-3, "or a later step says nothing new"


# ---- for every way of joining layers


@pytest.mark.sample(7, 3)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_first_step_sees_what_the_measurement_before_it_saw(name: str) -> None:
    before, step = take_one_step(connection=CONNECTIONS[name])
    for key in ("act_rms", "grad_rms"):
        np.testing.assert_allclose(step.values[f"step_{key}"], before.layers[key], rtol=1e-9)
        np.testing.assert_allclose(step.log10[f"step_{key}"], before.layers_log10[key], rtol=1e-9)
    np.testing.assert_allclose(step.values["step_cka"], before.matrices["cka"], rtol=1e-9, atol=1e-11)


@pytest.mark.sample(3)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic", "frac"])
def test_so_it_does_in_low_precision(name: str, dtype: str) -> None:
    before, frame = take_one_step(depth=40, width=16, dtype=dtype, cka="biased", connection=CONNECTIONS[name])
    step = frame.values
    rough = 2e-2 if dtype == "bfloat16" else 1e-4  # the way down sums in another order
    np.testing.assert_allclose(step["step_act_rms"], before.layers["act_rms"], rtol=1e-6)
    np.testing.assert_allclose(step["step_grad_rms"], before.layers["grad_rms"], rtol=rough)
    np.testing.assert_allclose(step["step_cka"], before.matrices["cka"], atol=2e-5)


@pytest.mark.sample(7, 3)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_later_step_is_of_the_weights_and_the_batch_of_that_step(name: str) -> None:
    """The stack is stopped before its third step and read by the reference in plain numpy."""
    spec = build_spec(connection=CONNECTIONS[name], input={"text": TEXT}, train={"steps": 4, "lr": 0.05, "kept": 4})
    stack = shake(build_stack(spec))
    frames = train(stack)
    next(frames), next(frames)
    stack.input.set_batch(2)
    found = reference.trace(stack)
    values = next(frames).values
    merged = [m.reshape(-1, m.shape[-1]) for m in found.merged[1:]]
    assert values["step_loss"] == pytest.approx(found.loss, rel=1e-9)
    np.testing.assert_allclose(values["step_act_rms"], [measures.rms(m) for m in merged], rtol=1e-9)
    wanted = [[measures.unbiased_cka(one, other) for other in merged] for one in merged]
    np.testing.assert_allclose(values["step_cka"], wanted, rtol=1e-7, atol=1e-9)


# ---- frames and results


def test_every_step_has_sizes_and_the_kept_ones_have_cka() -> None:
    spec = build_spec(input={"text": TEXT}, train={"steps": 9, "kept": 3})
    frames = step_frames(spec)
    assert all({"step_act_rms", "step_grad_rms"} <= frame.log10.keys() for frame in frames)
    assert [frame.step for frame in frames if "step_cka" in frame.values] == [0, 4, 8]
    result, there = collect(list(run_frames(spec))), Result()
    for index, frame in enumerate(run_frames(spec)):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert result.kept["step_cka"].shape == (3, 4, 4)
    np.testing.assert_array_equal(there.kept["step_cka"], result.kept["step_cka"])
    np.testing.assert_array_equal(there.steps["step_act_rms"], result.steps["step_act_rms"])
    diagonal = result.kept["step_cka"].diagonal(axis1=1, axis2=2)
    np.testing.assert_allclose(diagonal, 1.0, rtol=1e-12)
    assert require(reduce_metric(result, "step_cka", "max").value) < 1.0, "the diagonal says nothing"


@pytest.mark.full
def test_of_stacks_over_256_layers_no_step_keeps_cka() -> None:
    for depth, kept in ((256, 2), (257, 0)):
        fields: dict[str, Any] = {"depth": depth, "width": 4, "block": {"kind": "mlp", "mlp_ratio": 0}}
        spec = build_spec(**fields, connection={"kind": "residual"}, input=ONE_WINDOW, train={"steps": 2, "kept": 2})
        stack = build_stack(spec)
        frames = list(train(stack))
        assert sum("step_cka" in frame.values for frame in frames) == kept
        assert all(frame.values["step_act_rms"].shape == (depth,) for frame in frames)


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


def test_overflow_of_a_step_is_told_by_layer() -> None:
    spec = build_spec(
        depth=90, dtype="float32", connection={"kind": "hc", "noise": 10.0}, input={"text": TEXT}, train={"steps": 3}
    )
    (frame,) = step_frames(spec)  # the first ends it
    values, log10 = frame.values, frame.log10
    cka, act_rms = by_layer(frame, "step_cka"), by_layer(frame, "step_act_rms")
    first = min(cka)
    assert cka[first] == "overflow"
    assert act_rms.keys() == cka.keys()
    assert set(act_rms.values()) <= {"overflow", "nan"}
    assert np.isfinite(log10["step_act_rms"][:first]).all()
    assert np.isnan(values["step_act_rms"][first:]).all()
    assert by_layer(frame, "step_grad_rms").keys() == set(range(90))
    assert np.isnan(values["step_cka"][first:]).all()
    assert np.isfinite(values["step_cka"][:first, :first]).all()


def test_a_gradient_that_is_lost_says_so() -> None:
    stack = build_stack(build_spec(input={"text": TEXT}, train={"steps": 2}))
    with torch.no_grad():
        stack.get_parameter("branches.1.w_in")[0, 0] = math.nan
    (frame,) = train(stack)
    assert by_layer(frame, "step_act_rms").keys() == {1, 2, 3}
    assert by_layer(frame, "step_grad_rms").keys() == {0, 1, 2, 3}
    assert frame.status["step_cka"] == dict.fromkeys((1, 2, 3), "nan")
    assert np.isfinite(frame.values["step_act_rms"][0])


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
    state, _ = stack.climb(stack.embed(), lambda layer, output: seen.append(layer))
    assert seen == [0, 1, 2, 3]
    assert torch.equal(state, stack.climb(stack.embed())[0])
