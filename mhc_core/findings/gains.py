"""The largest composite gain of a record, forward and backward: of its one pass, or in the median over seeds."""

import math
from dataclasses import dataclass

import numpy as np

from mhc_core.findings.words import MAX_DECADES, find_largest, format_magnitude, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Headline

DIRECTIONS = {"forward": "composite_gain_fwd", "backward": "composite_gain_bwd"}
NUMBERS = {"forward": "gain_fwd_log10", "backward": "gain_bwd_log10"}


@dataclass(frozen=True)
class Gain:
    """log10 of the largest over depth; of several seeds the median, and the 5th and 95th percentile as low and high."""

    direction: str
    log10: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """As "790 forward", and of several seeds its range."""
        told = f"{format_magnitude(self.log10)} {self.direction}"
        if self.low is None or self.high is None:
            return told
        return f"{told} ({format_magnitude(self.low)} to {format_magnitude(self.high)})"


def read_gains(result: Result) -> list[Gain]:
    """Forward, then backward."""
    if result.seeds is None:
        return [Gain(direction, find_largest(result, key)) for direction, key in DIRECTIONS.items()]
    found = []
    for direction, key in DIRECTIONS.items():
        ranks = np.sort(np.asarray(result.seeds.largest[key], dtype=np.float64))
        low, median, high = (_find_percentile(ranks, level) for level in (0.05, 0.5, 0.95))
        found.append(Gain(direction, median, low, high))
    return found


def _find_percentile(ordered: np.ndarray, level: float) -> float:
    """Linear between order statistics, as bands have it; a lost seed is inf and ranks above every number."""
    place = level * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    if not math.isfinite(high - low):
        return low if place - math.floor(place) == 0 else high
    return low + (high - low) * (place - math.floor(place))


def format_gains(gains: list[Gain], seeds: int) -> str:
    """As a part of a sentence."""
    told = f"largest gain {' and '.join(gain.text for gain in gains)}"
    return f"{told} in the median of {seeds} seeds, 5 to 95 % in brackets" if seeds > 1 else told.replace(" and", ",")


def number_gains(gains: list[Gain]) -> dict[str, float | int | None]:
    """What such a sentence says, by name."""
    numbers: dict[str, float | int | None] = {}
    for gain in gains:
        name = NUMBERS[gain.direction]
        numbers[name] = to_finite(gain.log10)
        if gain.low is not None:
            numbers |= {f"{name}_p05": to_finite(gain.low), f"{name}_p95": to_finite(gain.high)}
    return numbers


def build_headline(result: Result, *, has_path: bool = True, is_fixed: bool = False) -> Headline:
    """The worse of the two gains, named; `is_fixed` where both are 1 by construction, which is no finding."""
    if not has_path:
        return Headline(label="gain", value=0.0, log10=None, text="no path")
    if is_fixed:
        return Headline(label="gain", value=1.0, log10=0.0, text="gain 1 by construction")
    worse = max(read_gains(result), key=lambda gain: -math.inf if math.isnan(gain.log10) else gain.log10)
    text = f"{worse.direction} {format_magnitude(worse.log10)}"
    if result.seeds is not None:
        text += f", median of {result.seeds.seeds} seeds"
    value = to_finite(10**worse.log10) if worse.log10 < MAX_DECADES else None
    return Headline(label=f"{worse.direction} gain", value=value, log10=to_finite(worse.log10), text=text)
