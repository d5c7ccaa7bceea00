"""Time several ways of doing the same work, interleaved, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

ROUNDS = 9


def clock(work: Callable[[], object], device: torch.device | None = None) -> Callable[[], float]:
    """A way that times itself: does the work once and returns its seconds, until a card has done it too."""
    wait = torch.cuda.synchronize if device is not None and device.type == "cuda" else lambda: None

    def way() -> float:
        wait()
        start = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - start

    return way


def time_interleaved(ways: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of every way in every round; one round of each is run first and thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            took = way()
            if number:
                seconds[name].append(took)
    return seconds


def median_ratio(seconds: dict[str, list[float]], name: str, against: str) -> float:
    """Median over rounds of one way's time over another's in the same round."""
    pairs = zip(seconds[name], seconds[against], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)
