"""Ticks of a logarithmic axis, as in `static/js/data/numbers.js`."""

import math

from mhc_core.findings.numerals import format_value


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return tick positions (log10) and labels between 10^low and 10^high: decades on a long axis, 1-2-5 on a medium
    one, equal steps on a short one.
    """
    span = high - low
    if span >= 2:
        step = max(1, round(nice_step(span / 6)))
        decades = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
        return [float(power) for power in decades], [format_decade(power) for power in decades]
    if span >= 0.7:
        places = [
            decade + math.log10(mantissa)
            for decade in range(math.floor(low), math.floor(high) + 1)
            for mantissa in (1, 2, 5)
        ]
        inside = [place for place in places if low <= place <= high]
        return inside, [_scale_text(place) for place in inside]
    return _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return ticks at evenly spaced values, for a short axis, on which a logarithm is nearly linear."""
    base = math.floor(low)
    first, last = 10 ** (low - base), 10 ** (high - base)
    step = nice_step((last - first) / 4)
    count = range(math.ceil(first / step), math.floor(last / step) + 1)
    places = [base + math.log10(index * step) for index in count]
    return places, [_scale_text(place) for place in places]


def nice_step(rough: float) -> float:
    """Return the least of 1, 2 and 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(mantissa * power for mantissa in (1, 2, 5, 10) if mantissa * power >= rough * (1 - 1e-9))


def _scale_text(place: float) -> str:
    return format_value(10**place) if -300 < place < 300 else format_value(None, place)


def format_decade(power: int) -> str:
    """Format a power of ten as a tick label."""
    return {0: "1", 1: "10"}.get(power, f"10<sup>{str(power).replace('-', '−')}</sup>")
