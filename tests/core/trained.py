"""Small specs that train, and what their steps say."""

from typing import Any

import numpy as np

from mhc_core.frames import Frame
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack
from mhc_core.training import train
from tests.core.conftest import build_spec

# Shorter than a window, so that every step and both measurements read the same bytes.
ONE_WINDOW: dict[str, Any] = {"text": "abcab", "batch": 2, "tokens": 6}
TEXT = "the quick brown fox jumps over the lazy dog; sphinx of black quartz, judge my vow"


def train_spec(steps: int = 4, **fields: Any) -> RunSpec:
    """A small spec that trains; fields of `train` may be given beside those of the spec."""
    names = ("lr", "optimizer", "weight_decay", "warmup", "clip", "kept")
    plan = {"steps": steps} | {name: fields.pop(name) for name in names if name in fields}
    return build_spec(train=plan, **{"input": {"text": TEXT}, **fields})


def train_all(stack: Stack) -> tuple[list[Frame], int]:
    """Every step's frame, and the number of updates."""
    frames, steps = [], train(stack)
    while True:
        try:
            frames.append(next(steps))
        except StopIteration as end:
            return frames, end.value


def column(frames: list[Frame], key: str) -> np.ndarray:
    return np.array([frame.data["values"][key] for frame in frames], dtype=float)
