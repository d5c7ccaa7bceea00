"""Small specs that train, and what their steps say."""

import itertools
from typing import Any

import numpy as np

from mhc_core.measure.training import train
from mhc_core.record.frames import StepFrame
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack
from tests.core.conftest import build_spec, collect, run_frames

# Shorter than a window, so that every step and both measurements read the same bytes.
ONE_WINDOW: dict[str, Any] = {"text": "abcab", "batch": 2, "tokens": 6}
TEXT = "the quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow"


def train_spec(steps: int = 4, **fields: Any) -> RunSpec:
    """A small spec that trains; fields of `train` may be given beside those of the spec."""
    names = ("lr", "optimizer", "weight_decay", "warmup", "clip", "kept")
    plan = {"steps": steps} | {name: fields.pop(name) for name in names if name in fields}
    return build_spec(train=plan, **{"input": {"text": TEXT}, **fields})


def train_all(stack: Stack) -> tuple[list[StepFrame], int]:
    """Every step's frame, and the number of updates."""
    frames, steps = [], train(stack)
    while True:
        try:
            frames.append(next(steps))
        except StopIteration as end:
            return frames, end.value


def step_frames(spec: RunSpec) -> list[StepFrame]:
    return [frame for frame in run_frames(spec) if isinstance(frame, StepFrame)]


def take_one_step(**fields: Any) -> tuple[Result, StepFrame]:
    """The measurement before a run's only step, and that step's frame, of the same weights and batch."""
    frames = run_frames(build_spec(input=ONE_WINDOW, train={"steps": 1}, **fields))
    before = collect(list(itertools.takewhile(lambda frame: frame.type != "step", frames)))
    (step,) = [frame for frame in frames if isinstance(frame, StepFrame)]
    return before, step


def column(frames: list[StepFrame], key: str) -> np.ndarray:
    return np.array([frame.values[key] for frame in frames], dtype=float)
