"""Time several ways of doing the same work, interleaved, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

ROUNDS = 9


def clock(work: Callable[[], object], device: torch.device | None = None) -> Callable[[], float]:
    """Return a function that runs the work once, until a device has finished it too, and returns the seconds."""
    wait = torch.cuda.synchronize if device is not None and device.type == "cuda" else lambda: None

    def time_once() -> float:
        wait()
        start = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - start

    return time_once


def time_interleaved(ways: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the seconds of every way in every round. One warm-up round of each is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            took = way()
            if number:
                seconds[name].append(took)
    return seconds


def median_ratio(seconds: dict[str, list[float]], name: str, against: str) -> float:
    """Return the median over rounds of one way's time divided by another's in the same round."""
    pairs = zip(seconds[name], seconds[against], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)
