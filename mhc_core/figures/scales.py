"""Colour scales of signed matrices, symmetric about zero, as in `static/js/figures/scales.js`.

The logarithmic scale maps an entry w to sign(w) log10(1 + |w|): nearly linear up to 1, then in decades, and 0 stays 0.
"""

import math
from typing import Any

import numpy as np

from mhc_core.figures.numbers import format_decade, nice_step
from mhc_core.findings.numerals import format_value

MAX_TICKS = 3  # largest number of ticks on one side of zero
MIN_STEPS = 2.5  # largest ratio between two of 1, 2, 5 and 10, so that there is at least one tick next to zero
ROOM_FOR_ONE = 2.2  # in decades; on longer scales a tick at 1 would touch the one at 0


def to_signed_log(weights: Any) -> np.ndarray:
    """Return matrix entries w as sign(w) log10(1 + |w|), for a colour scale; nan stays nan."""
    values = np.asarray(weights, dtype=np.float64)
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)) / math.log(10))


def linear_bound(largest: float) -> float:
    """Return the end of a linear colour scale for values up to `largest`."""
    return math.ceil(largest * 10) / 10 if largest > 0 else 1.0


def signed_log_scale(largest: float) -> dict[str, Any]:
    """Return a colour axis that is logarithmic on both sides of 0: its ends, and ticks at round values.

    largest: the largest |sign(w) log10(1 + |w|)|.
    """
    bound = largest if largest > 0 else math.log10(2)
    places, texts = _ticks(bound)
    mirrored = [*(-place for place in reversed(places)), 0.0, *places]
    named = [*(f"−{text}" for text in reversed(texts)), "0", *texts]
    return {"cmin": -bound, "cmax": bound, "colorbar": {"tickmode": "array", "tickvals": mirrored, "ticktext": named}}


def _ticks(bound: float) -> tuple[list[float], list[str]]:
    """Return positions and labels of the ticks above 0 of a logarithmic colour axis."""
    weight = 10**bound - 1 if bound < 2 else math.inf
    if weight < 10:
        step = nice_step(weight / MIN_STEPS)
        marks = [index * step for index in range(1, math.floor(weight / step * (1 + 1e-6)) + 1)]
        return [math.log10(1 + mark) for mark in marks], [format_value(mark) for mark in marks]
    step = max(1, round(nice_step(bound / MAX_TICKS)))
    powers = range(0 if bound < ROOM_FOR_ONE else step, math.floor(bound) + 1, step)
    return [math.log10(1 + 10**power) if power < 16 else float(power) for power in powers], [
        format_decade(p) for p in powers
    ]
