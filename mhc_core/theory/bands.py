"""A band that holds a whole column at once: a column of L layers leaves it anywhere with a stated probability.

Draws of the law say how far a column strays. In each layer distance is counted in units of that layer's own tails,
above and below the median apart; the band is as many units wide, everywhere, as the farthest layer of all but so many
draws. Units come from far out, as in units of the middle a layer with a long tail would raise most of the alarms.
"""

import math
from typing import NamedTuple

import numpy as np

from mhc_core.theory.gaussian import Array

FALSE_ALARM = 0.002  # of a column that obeys the law, in theory; docs/laws.md has what was counted
BEYOND = 10  # draws beyond a quantile, for it to be known
MAX_DECADES, MAX_COSINE = 2.0, 1.0  # A wider band would say nothing.


class Band(NamedTuple):
    """Median over draws, and the ends of the band, (L) each."""

    median: Array
    low: Array
    high: Array


class Walk(NamedTuple):
    """whole: band of a column (L). steps: of its change from each layer to the next (L - 1); None where unknown."""

    whole: Band
    steps: Band | None


def find_band(draws_LD: Array, slack: float = 1.0, false_alarm: float = FALSE_ALARM) -> Band:
    """Return median and band of a random column (L), from D draws of it (L, D).

    `slack` widens it, for what draws leave out.
    """
    tail = BEYOND / draws_LD.shape[1]
    low, median, high = np.quantile(draws_LD, [tail, 0.5, 1 - tail], axis=1)
    below, above = np.maximum(median - low, 1e-9), np.maximum(high - median, 1e-9)
    miss_LD = draws_LD - median[:, None]
    farthest_D = np.where(miss_LD > 0, miss_LD / above[:, None], -miss_LD / below[:, None]).max(0)
    units = slack * _extrapolate(farthest_D, false_alarm)
    return Band(median, median - units * below, median + units * above)


def _extrapolate(farthest_D: Array, probability: float) -> float:
    """Return the value exceeded with this probability: beyond ten draws, an exponential through the last hundred."""
    share = max(BEYOND / len(farthest_D), probability)
    near, far = np.quantile(farthest_D, [1 - 10 * share, 1 - share])
    return float(far + (far - near) * math.log10(share / probability))
