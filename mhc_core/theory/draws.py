"""Positive random factors of mean 1, and moments of what they make of several samples."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.gaussian import Array

DRAWS, PAIRS = 1024, 256
SPREADS = np.linspace(0, 8, 17)  # standard deviations of ln |g_s|^2 over samples
ROWS, VALUES = 64, 2**18  # at least so many draws of all samples, and as many as have so many values


class Normals:
    """Standard normal values, the same for every spec, as a law has no seed; `stream` separates those of two uses."""

    def __init__(self, stream: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(stream))

    def draw(self, count: int) -> Array:
        """Return the next `count` values of the standard normal distribution."""
        return self._generator.standard_normal(count)


def to_gamma(variance: Array | float, normal: Array) -> Array:
    """Return gamma variables of mean 1 from normal ones (Wilson & Hilferty 1931), as sums of squares have."""
    ninth = np.asarray(variance) / 9
    return np.maximum(1 - ninth + np.sqrt(ninth) * normal, 1e-4) ** 3


def interpolate_concentration(samples: int, variance: float) -> Array:
    """Interpolate sum_s w_s^2 for each random draw (D), where w are the shares of samples whose sizes are log-normal.

    It is 1 / samples where all are equal, and 1 where one sample is nearly the whole sum.
    """
    spread = min(math.sqrt(max(variance, 0.0)), SPREADS[-1])
    above = min(int(np.searchsorted(SPREADS, spread, side="right")), len(SPREADS) - 1)
    part = (spread - SPREADS[above - 1]) / (SPREADS[above] - SPREADS[above - 1])
    shares = _list_concentrations(samples)
    found: Array = (1 - part) * shares[above - 1] + part * shares[above]
    return found


@lru_cache(maxsize=64)
def _list_concentrations(samples: int) -> Array:
    """Return the sums of `interpolate_concentration` for all `SPREADS`, (S, D)."""
    rows = min(DRAWS, max(ROWS, VALUES // samples))
    values = Normals(2).draw(rows * samples).reshape(rows, samples)
    found = []
    for spread in SPREADS:
        sizes = np.exp(spread * (values - values.max(1, keepdims=True)))
        found.append((sizes**2).sum(1) / sizes.sum(1) ** 2)
    return np.resize(np.array(found).T, (DRAWS, len(SPREADS))).T


class Fourth(NamedTuple):
    """Fourth moments of vectors x_s, one per sample, in units of E|x|^2 squared.

    one: E|x_s|^4. two: E|x_s|^2 |x_t|^2. dot: E(x_s . x_t)^2.
    """

    one: float
    two: float
    dot: float

    def average(self, samples: int) -> float:
        """Return E v^2 / (E v)^2, where v is the mean of |x_s|^2 over so many samples."""
        return self.one / samples + (1 - 1 / samples) * self.two

    def spread(self, samples: int) -> float:
        """Return the variance of ln v over draws, as of a log-normal variable."""
        return math.log(self.average(samples))

    def through_matrix(self, rows: int) -> "Fourth":
        """Return the fourth moments of W x, where W has so many rows of independent Gaussian entries."""
        return Fourth(
            self.one * (1 + 2 / rows), self.two + 2 * self.dot / rows, self.dot * (1 + 1 / rows) + self.two / rows
        )

    def through_slopes(self, rows: int, square: float, pair_square: float, pair_slope2: float) -> "Fourth":
        """Return the fourth moments of phi'(h) x, from the moments of the slopes phi' of one and of two samples."""
        alone = (self.two + 2 * self.dot) / (rows + 2)
        return Fourth(
            self.one * (rows - 1 + 3 * square) / (rows + 2),
            self.two + alone * (pair_square - 1),
            (self.dot - alone) * pair_slope2 + alone * pair_square,
        )
