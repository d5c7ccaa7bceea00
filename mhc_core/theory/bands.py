"""Bands for whole columns: a column of L layers that obeys its law leaves the band somewhere with a stated probability.

A band is computed from random draws of the column. In each layer, the unit of distance from the median is the distance
of an outer quantile, separately above and below. In all layers the band is the same number of units wide: the number
that the largest distance of a draw, over all layers, exceeds with the stated probability. Outer quantiles are used
because with central ones, layers with long tails would cause most of the false alarms.
"""

import math
from typing import NamedTuple

import numpy as np

from mhc_core.theory.gaussian import Array

FALSE_ALARM = 0.002  # probability for a column that obeys its law, in theory; docs/laws.md has measured frequencies
BEYOND = 10  # number of draws that must be beyond a quantile for its estimate to be reliable
MAX_DECADES, MAX_COSINE = 2.0, 1.0  # a wider band is not useful


class Band(NamedTuple):
    """The median over draws, and the lower and upper end of the band, (L) each."""

    median: Array
    low: Array
    high: Array


class Walk(NamedTuple):
    """The bands of a column that is a random walk over layers.

    whole: band of the column (L). steps: band of its change from each layer to the next (L - 1); None if unknown.
    """

    whole: Band
    steps: Band | None


def find_band(draws_LD: Array, slack: float = 1.0, false_alarm: float = FALSE_ALARM) -> Band:
    """Return median and band of a random column (L), from D draws of it (L, D).

    `slack` multiplies the width of the band, for effects that the draws do not contain; default 1.
    """
    tail = BEYOND / draws_LD.shape[1]
    low, median, high = np.quantile(draws_LD, [tail, 0.5, 1 - tail], axis=1)
    below, above = np.maximum(median - low, 1e-9), np.maximum(high - median, 1e-9)
    miss_LD = draws_LD - median[:, None]
    farthest_D = np.where(miss_LD > 0, miss_LD / above[:, None], -miss_LD / below[:, None]).max(0)
    units = slack * _extrapolate(farthest_D, false_alarm)
    return Band(median, median - units * below, median + units * above)


def _extrapolate(farthest_D: Array, probability: float) -> float:
    """Return the value that is exceeded with this probability.

    If fewer than `BEYOND` draws exceed it, it is extrapolated with an exponential tail through two outer quantiles.
    """
    share = max(BEYOND / len(farthest_D), probability)
    near, far = np.quantile(farthest_D, [1 - 10 * share, 1 - share])
    return float(far + (far - near) * math.log10(share / probability))
