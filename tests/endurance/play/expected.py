"""What the log of a run must be: the frames that this process computes itself of the same spec, byte for byte."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from mhc_core.measure.run import run
from mhc_core.record import codec
from mhc_core.spec import parse_spec


@lru_cache(maxsize=256)
def compute_lines(spec: str) -> tuple[bytes, ...]:
    """Frames of a spec, given as JSON, without the `end`."""
    torch.set_num_threads(1)  # as workers of a server that has one for each core
    parsed = parse_spec(json.loads(spec))
    return tuple(codec.encode_frame(frame, parsed.id, index) for index, frame in enumerate(run(parsed)))


def explain_log(lines: Sequence[bytes], spec: str) -> str | None:
    """What is wrong with a log; None for one that is right and has ended."""
    expected = compute_lines(spec)
    ends = [index for index, line in enumerate(lines) if codec.frame_type(line) == "end"]
    if ends != [len(lines) - 1]:
        return f"ends at {ends} of {len(lines)} frames"
    for index, line in enumerate(lines[:-1]):
        if index >= len(expected) or line != expected[index]:
            return f"frame {index} is not what is computed here: {line[:200]!r}"
    if read_end(lines)["status"] == "done" and len(lines) != len(expected) + 1:
        return f"it is done with {len(lines) - 1} frames of {len(expected)}"
    return None


def explain_part(lines: Sequence[bytes], spec: str) -> str | None:
    """As `explain_log`, of what a viewer has seen of a log that was begun anew meanwhile."""
    expected = compute_lines(spec)
    seen = [line for line in lines if codec.frame_type(line) != "end"]
    return None if tuple(seen) == expected[: len(seen)] else "its frames are not those that are computed here"


def read_end(lines: Sequence[bytes]) -> dict[str, Any]:
    """The last frame."""
    end: dict[str, Any] = json.loads(lines[-1])
    return end
