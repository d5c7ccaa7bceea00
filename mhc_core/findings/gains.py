"""The largest composite gain of a record, forward and backward: of its only pass, or the median over seeds.

If a state overflows, dynamic mixing is unknown from the next layer on, and so is the gain of the stack. Texts then say
that the gain is that of the layers before, or the median over the seeds whose gain is known.
"""

import math
from dataclasses import dataclass

import numpy as np

from mhc_core.findings.numerals import format_gain, format_rounded
from mhc_core.findings.words import MAX_DECADES, count, read_ranks, to_finite
from mhc_core.record.reduction import ReducedNumber
from mhc_core.record.result import Result
from mhc_core.record.summary import Headline

DIRECTIONS = {"forward": "composite_gain_fwd", "backward": "composite_gain_bwd"}
NUMBERS = {"forward": "gain_fwd_log10", "backward": "gain_bwd_log10"}
BY_DESIGN = "gain ×1 (by design)"
AMPLIFIES = math.log10(1.005)  # in decades; smaller gains are written as ×1.00 or less


@dataclass(frozen=True)
class Gain:
    """The largest gain over depth in one direction.

    log10: the largest one over the layers whose gain is known. With several seeds, the median over the seeds whose gain
        is known in all layers; low and high are then the 5th and 95th percentile. nan if there are none.
    known, whole: number of layers whose gain is known, and number of layers; with several seeds, of seeds.
    """

    direction: str
    log10: float
    known: int
    whole: int
    low: float | None = None
    high: float | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether the gain is known for all layers of the stack, or for all seeds."""
        return self.known == self.whole

    @property
    def text(self) -> str:
        """Return the gain as text, such as "×790 forward"; for several seeds with its range."""
        text = f"{format_gain(self.log10)} {self.direction}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({format_gain(self.low)} to {format_gain(self.high)})"


def format_reduced(key: str, number: ReducedNumber, streams: int) -> str:
    """Format a column reduced to one number: a gain as `format_gain` does, exact for one stream; others as a value."""
    is_gain = key in DIRECTIONS.values()
    if is_gain and number.value == 0:
        return "×0"
    if is_gain and number.log10 is not None:
        return format_gain(number.log10, is_exact=streams == 1)
    return format_rounded(number.value, number.log10, number.status, digits=3)


def read_gains(result: Result) -> list[Gain]:
    """Return the gains of a record: forward, then backward."""
    read = _read_one if result.seeds is None else _read_seeds
    return [read(result, direction, key) for direction, key in DIRECTIONS.items()]


def _read_one(result: Result, direction: str, key: str) -> Gain:
    """Return the largest gain over the known layers of one pass."""
    ranks = read_ranks(result, key)
    known = ranks[~np.isnan(ranks)]
    return Gain(direction, float(known.max(initial=-np.inf)) if len(known) else math.nan, len(known), len(ranks))


def _read_seeds(result: Result, direction: str, key: str) -> Gain:
    """Return the median, 5th and 95th percentile over seeds of the largest gain."""
    assert result.seeds is not None
    ranks = np.asarray(result.seeds.largest[key], dtype=np.float64)
    known = np.sort(ranks[~np.isnan(ranks)])
    low, median, high = (_find_percentile(known, level) for level in (0.05, 0.5, 0.95))
    return Gain(direction, median, len(known), len(ranks), low, high)


def _find_percentile(ordered: np.ndarray, level: float) -> float:
    """Return a percentile, linear between order statistics as in bands. -inf, of a product that is 0, ranks below all
    numbers. nan if there are no values.
    """
    if not len(ordered):
        return math.nan
    place = level * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    if not math.isfinite(high - low):
        return low
    return low + (high - low) * (place - math.floor(place))


def describe_product(product: str, gains: list[Gain], dtype: str, *, has_seeds: bool = False) -> str:
    """Return a sentence on the gains, such as "The product of up to 64 matrices amplifies up to ...", without the full
    stop.

    product: the subject of the sentence. dtype: the type that overflowed, if not all gains are known.
    """
    forward, backward = gains
    if has_seeds:
        return f"{product} {_describe_seeds(gains, dtype)}"
    if forward.is_whole and backward.is_whole:
        return f"{product} {_choose_verb(gains)} {forward.text} and {backward.text}"
    if not forward.known:
        return f"{product} has no known gain: {dtype} overflows at layer 1"
    return (
        f"{product} {_choose_verb([forward])} {forward.text} within {count(forward.known, 'layer')}; then {dtype} "
        "overflows, and later mixing is unknown"
    )


def _describe_seeds(gains: list[Gain], dtype: str) -> str:
    """Describe the gains of several seeds, as the predicate of a sentence."""
    known, seeds = min(gain.known for gain in gains), gains[0].whole
    if not known:
        return f"has no known gain: {dtype} overflows with each of {seeds} seeds"
    sizes = " and ".join(gain.text for gain in gains)
    text = f"{_choose_verb(gains)} {sizes}, medians of {count(known, 'seed')} with 5 to 95 % in brackets"
    return text if known == seeds else f"{text}; with {seeds - known} more {dtype} overflows, and their gain is unknown"


def _choose_verb(gains: list[Gain]) -> str:
    """Return the verb for these gains: "amplifies" only if all gains are above 1 as written."""
    least = min(gain.log10 if gain.low is None else gain.low for gain in gains)
    return "amplifies up to" if least > AMPLIFIES else "has a gain of up to"


def to_gain_numbers(gains: list[Gain]) -> dict[str, float | int | None]:
    """Return the numbers in a sentence about gains, by name. If gains are not known for all layers or seeds, the known
    part has separate names.
    """
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
    """Build the headline of a record: the largest forward and backward gain.

    has_path: whether there is a skip path; default True. is_fixed: whether both gains are 1 by construction; default
    False.
    """
    if not has_path:
        return Headline(label="gain", value=0.0, log10=None, text="no skip path")
    if is_fixed:
        return Headline(label="gain", value=1.0, log10=0.0, text=BY_DESIGN)
    forward, backward = read_gains(result)
    if not forward.known:
        return Headline(label="gain", value=None, log10=None, text="gain unknown")
    text = f"gain {format_gain(forward.log10)}"
    if result.seeds is None and not forward.is_whole:
        return Headline(label="gain", value=None, log10=None, text=f"{text} within {count(forward.known, 'layer')}")
    text = f"{text}, backward {format_gain(backward.log10)}"
    if result.seeds is not None:
        counted = str(forward.known) if forward.is_whole else f"{forward.known} of {forward.whole}"
        text += f" (median of {counted} seeds)"
    value = to_finite(10**forward.log10) if forward.log10 < MAX_DECADES else None
    return Headline(label="gain", value=value, log10=to_finite(forward.log10), text=text)
