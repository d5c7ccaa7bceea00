"""A band that holds a whole column at once: a column of L layers leaves it anywhere with a stated probability.

Draws of the law say how far a column strays. In each layer distance is counted in units of that layer's own spread,
above and below the median apart; the band is as many units wide, everywhere, as the farthest layer of all but so many
draws.
"""

import math
from typing import NamedTuple

import numpy as np

from mhc_core.theory.gaussian import Array

FALSE_ALARM = 0.002  # of a column that obeys the law, in theory; docs/laws.md has what was counted
MAX_DECADES, MAX_COSINE = 2.0, 1.0  # A wider band would say nothing.
TWO_SIGMA = 0.02275


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
    """The band of columns of which `draws_LD` are a sample: each of the D draws is a column of L values.

    `slack` widens it, for what draws leave out.
    """
    low, median, high = np.quantile(draws_LD, [TWO_SIGMA, 0.5, 1 - TWO_SIGMA], axis=1)
    below, above = np.maximum(median - low, 1e-9) / 2, np.maximum(high - median, 1e-9) / 2
    miss_LD = draws_LD - median[:, None]
    farthest_D = np.where(miss_LD > 0, miss_LD / above[:, None], -miss_LD / below[:, None]).max(0)
    units = slack * _extrapolate(farthest_D, false_alarm)
    return Band(median, median - units * below, median + units * above)


def _extrapolate(farthest_D: Array, probability: float) -> float:
    """What is passed with that probability: from the last tenth and the last hundredth on, an exponential."""
    tenth, hundredth = np.quantile(farthest_D, [0.9, 0.99])
    return float(hundredth + (hundredth - tenth) * max(math.log10(0.01 / probability), 0.0))
