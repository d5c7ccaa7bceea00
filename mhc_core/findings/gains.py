"""The largest composite gain of a record, forward and backward: of its one pass, or in the median over seeds.

Where a state overflows, mixing that depends on it is not known from the next layer on, and neither is the gain of the
stack: what is known of the layers before is said to be of these layers, and a median of the seeds whose gain is known.
"""

import math
from dataclasses import dataclass

import numpy as np

from mhc_core.findings.words import MAX_DECADES, count, format_magnitude, read_ranks, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Headline

DIRECTIONS = {"forward": "composite_gain_fwd", "backward": "composite_gain_bwd"}
NUMBERS = {"forward": "gain_fwd_log10", "backward": "gain_bwd_log10"}


@dataclass(frozen=True)
class Gain:
    """The largest gain over depth in one direction.

    log10: over the layers whose gain is known; of several seeds the median of those whose gain is known at all layers,
        with their 5th and 95th percentile as low and high. nan where there are none.
    known, whole: layers whose gain is known, of how many; with several seeds, seeds.
    """

    direction: str
    log10: float
    known: int
    whole: int
    low: float | None = None
    high: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the gain of the whole stack, or of all seeds."""
        return self.known == self.whole

    @property
    def text(self) -> str:
        """As "790 forward", and of several seeds its range."""
        told = f"{format_magnitude(self.log10)} {self.direction}"
        if self.low is None or self.high is None:
            return told
        return f"{told} ({format_magnitude(self.low)} to {format_magnitude(self.high)})"


def read_gains(result: Result) -> list[Gain]:
    """Forward, then backward."""
    read = _read_one if result.seeds is None else _read_seeds
    return [read(result, direction, key) for direction, key in DIRECTIONS.items()]


def _read_one(result: Result, direction: str, key: str) -> Gain:
    ranks = read_ranks(result, key)
    known = ranks[~np.isnan(ranks)]
    return Gain(direction, float(known.max(initial=-np.inf)) if len(known) else math.nan, len(known), len(ranks))


def _read_seeds(result: Result, direction: str, key: str) -> Gain:
    assert result.seeds is not None
    ranks = np.asarray(result.seeds.largest[key], dtype=np.float64)
    known = np.sort(ranks[~np.isnan(ranks)])
    low, median, high = (_find_percentile(known, level) for level in (0.05, 0.5, 0.95))
    return Gain(direction, median, len(known), len(ranks), low, high)


def _find_percentile(ordered: np.ndarray, level: float) -> float:
    """Linear between order statistics, as bands have it; the -inf of a product that is zero ranks below all numbers."""
    if not len(ordered):
        return math.nan
    place = level * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    if not math.isfinite(high - low):
        return low
    return low + (high - low) * (place - math.floor(place))


def format_gains(gains: list[Gain], dtype: str, *, has_seeds: bool = False) -> str:
    """As a part of a sentence; `dtype` is the type whose range ended where not all of them are known."""
    if has_seeds:
        return _format_seeds(gains, dtype)
    forward, backward = gains
    if forward.is_whole and backward.is_whole:
        return f"largest gain {forward.text}, {backward.text}"
    if not forward.known:
        return f"gain not known: {dtype} overflows at layer 1"
    return (
        f"largest gain {forward.text} up to layer {forward.known}; then {dtype} overflows, and the mixing of later "
        "layers is not known"
    )


def _format_seeds(gains: list[Gain], dtype: str) -> str:
    known, seeds = min(gain.known for gain in gains), gains[0].whole
    if not known:
        return f"largest gain not known, because {dtype} overflows with each of {seeds} seeds"
    told = " and ".join(gain.text for gain in gains)
    text = f"largest gain {told} in the median of {count(known, 'seed')}, 5 to 95 % in brackets"
    return (
        text if known == seeds else f"{text}; with {seeds - known} more {dtype} overflows, and their gain is not known"
    )


def number_gains(gains: list[Gain]) -> dict[str, float | int | None]:
    """What such a sentence says, by name; of a stack whose gain is not known to its end there is no number."""
    numbers: dict[str, float | int | None] = {}
    for gain in gains:
        name = NUMBERS[gain.direction]
        has_seeds = gain.low is not None
        numbers[name] = to_finite(gain.log10) if gain.is_whole or has_seeds else None
        if has_seeds:
            numbers |= {f"{name}_p05": to_finite(gain.low), f"{name}_p95": to_finite(gain.high)}
        if not gain.is_whole:
            numbers[f"{name}_known"] = to_finite(gain.log10)
            numbers["seeds_known" if has_seeds else "layers_known"] = max(g.known for g in gains)
    return numbers


def build_headline(result: Result, *, has_path: bool = True, is_fixed: bool = False) -> Headline:
    """The worse of the two gains, named; `is_fixed` where both are 1 by construction, which is no finding."""
    if not has_path:
        return Headline(label="gain", value=0.0, log10=None, text="no path")
    if is_fixed:
        return Headline(label="gain", value=1.0, log10=0.0, text="gain 1 by construction")
    known = [gain for gain in read_gains(result) if gain.known]
    if not known:
        return Headline(label="gain", value=None, log10=None, text="gain not known")
    worse = max(known, key=lambda gain: gain.log10)
    label, text = f"{worse.direction} gain", f"{worse.direction} {format_magnitude(worse.log10)}"
    if result.seeds is None and not worse.is_whole:
        return Headline(label=label, value=None, log10=None, text=f"{text} up to layer {worse.known}")
    if result.seeds is not None:
        counted = str(worse.known) if worse.is_whole else f"{worse.known} of {worse.whole}"
        text += f", median of {counted} seeds"
    value = to_finite(10**worse.log10) if worse.log10 < MAX_DECADES else None
    return Headline(label=label, value=value, log10=to_finite(worse.log10), text=text)
