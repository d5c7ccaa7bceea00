"""Training as a sequence of frames: their order, what is kept, the same bytes again."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.passes import measure
from mhc_core.measure.run import run
from mhc_core.record.codec import decode_line, encode_frame, to_fields
from mhc_core.record.frames import StepFrame
from mhc_core.record.result import Result
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, collect, run_frames
from tests.core.trained import TEXT, train_all, train_spec


def test_the_order_is_measure_steps_measure_summary() -> None:
    spec = train_spec(5, kept=3)
    frames = run_frames(spec)
    kinds = [frame.type for frame in frames]
    first = kinds.index("step")
    assert kinds[first : first + 5] == ["step"] * 5
    assert [getattr(frame, "step", None) for frame in frames[first : first + 5]] == [0, 1, 2, 3, 4]
    assert kinds[1:first] == kinds[first + 5 : -1]
    assert kinds[0] == "start"
    assert kinds[-1] == "summary"
    assert not any("step" in to_fields(frame) for frame in frames[:first])
    assert all(getattr(frame, "step", None) == 5 for frame in frames[first + 5 : -1])


def test_the_second_measurement_is_that_of_the_trained_stack() -> None:
    spec = train_spec(3, lr=0.05, connection=CONNECTIONS["hc-dynamic"])
    stack = build_stack(spec)
    train_all(stack)
    trained = collect([frame for frame in run_frames(spec) if frame.type != "step"])
    apart = Result(spec.depth)
    for frame in measure(stack, torch.device("cpu")):
        apart.add(frame)
    assert apart.loss == trained.loss == pytest.approx(stack().item(), rel=1e-12)
    assert apart.loss != trained.loss_untrained
    for key, values in apart.layers.items():
        np.testing.assert_array_equal(trained.layers[key], values, err_msg=key)


def test_without_training_nothing_speaks_of_it() -> None:
    result = collect(list(run_frames(build_spec())))
    assert result.steps == result.kept == {}
    assert math.isnan(result.loss_untrained)


@pytest.mark.parametrize(("steps", "kept", "wanted"), [(1, 5, [0]), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_matrices_are_kept_at_evenly_spaced_steps(steps: int, kept: int, wanted: list[int]) -> None:
    result = collect(list(run_frames(train_spec(steps, kept=kept, lr=0.05, connection=CONNECTIONS["hc"]))))
    assert result.kept_steps == wanted
    assert result.kept["step_h_res"].shape == (len(wanted), 4, 4, 4)
    gains = np.abs(result.kept["step_h_res"][:, 0].sum(-1)).max(-1)  # of layer 1 alone
    np.testing.assert_allclose(gains, result.steps["step_gain_fwd"][wanted, 0], rtol=1e-12)
    assert steps == 1 or gains[0] != gains[-1]


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_the_same_spec_gives_the_same_bytes_and_another_seed_does_not(name: str) -> None:
    fields: dict[str, Any] = {"dtype": "float32", "width": 16, "connection": CONNECTIONS[name]}
    one, other, third = (
        [encode_frame(frame, "id", k) for k, frame in enumerate(run(train_spec(6, seed=seed, **fields)))]
        for seed in (0, 0, 1)
    )
    assert one == other
    plain = [[decode_line(line) for line in lines] for lines in (one, third)]
    losses = [[frame.values["step_loss"] for frame in frames if isinstance(frame, StepFrame)] for frames in plain]
    assert len(losses[0]) == 6
    assert not set(losses[0]) & set(losses[1])


@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_a_decoded_result_is_the_result(name: str) -> None:
    frames = run_frames(train_spec(4, connection=CONNECTIONS[name]))
    here, there = collect(list(frames)), Result()
    for index, frame in enumerate(frames):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert here.kept_steps == there.kept_steps
    for table in ("steps", "steps_log10", "kept"):
        ours, theirs = getattr(here, table), getattr(there, table)
        assert ours.keys() == theirs.keys()
        for key, values in ours.items():
            np.testing.assert_array_equal(theirs[key], values, err_msg=key)


def test_closing_early_stops_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    climbed = []
    climb = Stack.run_layers

    def count(self: Stack, *rest: Any) -> Any:
        climbed.append(1)
        return climb(self, *rest)

    monkeypatch.setattr(Stack, "run_layers", count)
    frames = run(train_spec(50))
    next(frame for frame in frames if frame.type == "step")
    frames.close()  # type: ignore[attr-defined]
    assert len(climbed) == 1


def test_the_loss_falls() -> None:
    spec = train_spec(60, lr=0.01, width=16, dtype="float32", input={"text": TEXT, "batch": 4, "tokens": 32})
    result = collect(list(run_frames(spec)))
    assert result.loss < 2.5 < math.log(256) < result.loss_untrained
