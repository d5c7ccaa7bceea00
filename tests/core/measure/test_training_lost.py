"""A loss, a weight or a gradient that is not finite ends training as a result."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.run import run
from mhc_core.measure.training import train
from mhc_core.record.frames import ForwardFrame, LossFrame, StepFrame, SummaryFrame
from mhc_core.record.result import Result
from mhc_core.spec import SpecErrors
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import build_spec, by_layer, collect, find_one, run_frames
from tests.core.trained import train_all, train_spec

EXPLODING: dict[str, Any] = {
    "dtype": "float32", "lr": 10.0, "optimizer": "sgd", "connection": {"kind": "residual"},
    "block": {"kind": "mlp", "activation": "relu", "norm_position": "none"},
}  # fmt: skip


def test_a_loss_that_explodes_ends_training_at_its_step() -> None:
    spec = train_spec(40, **EXPLODING)
    stack, stopped = build_stack(spec), None
    last: torch.Tensor | None = None
    for frame in train(stack):
        now = torch.cat([value.detach().flatten() for value in stack.parameters()])
        if frame.status.keys() & {"step_loss", "step_grad_norm"}:
            stopped = frame
            assert last is not None
            assert torch.equal(now.nan_to_num(), last.nan_to_num())
        else:
            assert stopped is None
        last = now.clone()
    assert stopped is not None
    step = stopped.step
    assert 0 < step < 39

    frames = run_frames(spec)
    assert sum(frame.type == "step" for frame in frames) == step + 1
    assert frames[-2].type == "mixing"
    assert frames[-2].step == step
    result = collect(list(frames))
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["stop"].startswith(f"Training stopped at step {step + 1}: the ")


def test_a_weight_that_is_not_a_number_ends_training_at_once() -> None:
    stack = build_stack(train_spec())
    with torch.no_grad():
        stack.get_parameter("branches.1.w_in")[0, 0] = math.nan
    (frame,), updates = train_all(stack)
    assert updates == 0
    assert frame.values["step_loss"] is None
    assert frame.status["step_loss"] == "nan"
    assert by_layer(frame, "step_param_grad_norm").keys() == {0, 1, 2, 3}
    assert np.isfinite(frame.values["step_gain_fwd"]).all()


def test_a_gradient_that_is_not_finite_ends_training_too(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = train_spec()
    embed = Stack.embed

    def poison(self: Stack) -> torch.Tensor:
        state = embed(self)
        if state.requires_grad:
            state.register_hook(lambda grad: grad * math.inf)
        return state

    monkeypatch.setattr(Stack, "embed", poison)
    frames = [frame for frame in run(spec) if frame.type in ("step", "summary")]
    assert [frame.type for frame in frames] == ["step", "summary"]
    step = find_one(frames, StepFrame)
    assert math.isfinite(step.values["step_loss"])
    assert step.status.keys() == {"step_grad_norm"}
    told = [finding for finding in find_one(frames, SummaryFrame).findings if finding.key == "stop"]
    assert "step 1: the gradient is" in told[0].text
    assert told[0].numbers == {"updates": 0}


def test_a_status_of_the_first_measurement_is_forgotten_at_the_second() -> None:
    result = Result(1)
    lost = ForwardFrame(layer=0, values={"act_rms": np.nan}, log10={"act_rms": 40.0}, status={"act_rms": "overflow"})
    result.add(lost)
    result.add(LossFrame(values={"loss": 3.0}, status={}))
    assert result.status == {"act_rms": {0: "overflow"}}
    result.add(ForwardFrame(step=1, layer=-1, values={"act_rms": 1.0}, log10={}, status={}))
    assert result.status == result.layers == {}
    assert (result.loss_untrained, result.input) == (3.0, {"act_rms": 1.0})


@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
def test_an_input_without_a_bounded_loss_is_not_trained_on(kind: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        build_spec(input={"kind": kind}, train={"steps": 1})
    (error,) = caught.value.errors
    assert error.field == "train.steps"
    assert kind in error.wanted
