"""Random numbers of the laws: normal and gamma values, and fourth moments of vectors that pass random layers."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.gaussian import Array

DRAWS, PAIRS = 1024, 256
SPREADS = np.linspace(0, 8, 17)  # standard deviations of ln |g_s|^2 over samples
ROWS, VALUES = 64, 2**18  # a table uses as many draws of all samples as fit `VALUES` numbers, but at least `ROWS`


class Normals:
    """A sequence of standard normal values. It is the same for all specs, because a law has no seed.

    `stream` selects one of several independent sequences.
    """

    def __init__(self, stream: int) -> None:
        self._generator = np.random.Generator(np.random.Philox(stream))

    def draw(self, count: int) -> Array:
        """Return the next `count` values."""
        return self._generator.standard_normal(count)


def to_gamma(variance: Array | float, normal: Array) -> Array:
    """Convert normal values to gamma-distributed ones with mean 1 and this variance (Wilson & Hilferty 1931).

    Sums of squares of normal values have this distribution.
    """
    ninth = np.asarray(variance) / 9
    return np.maximum(1 - ninth + np.sqrt(ninth) * normal, 1e-4) ** 3


def interpolate_concentration(samples: int, variance: float) -> Array:
    """Return sum_s w_s^2 for each of D random draws of log-normal sizes, (D), interpolated in a table. w_s is the share
    of sample s in the sum of the sizes of a draw.

    It is 1 / samples if all sizes are equal, and 1 if one sample is nearly the whole sum. `variance` is that of the
    logarithm of a size.
    """
    spread = min(math.sqrt(max(variance, 0.0)), SPREADS[-1])
    above = min(int(np.searchsorted(SPREADS, spread, side="right")), len(SPREADS) - 1)
    part = (spread - SPREADS[above - 1]) / (SPREADS[above] - SPREADS[above - 1])
    shares = _list_concentrations(samples)
    return (1 - part) * shares[above - 1] + part * shares[above]


@lru_cache(maxsize=64)
def _list_concentrations(samples: int) -> Array:
    """Return the table of `interpolate_concentration`: sum_s w_s^2 for all S `SPREADS`, (S, D)."""
    rows = min(DRAWS, max(ROWS, VALUES // samples))
    values = Normals(2).draw(rows * samples).reshape(rows, samples)
    found = []
    for spread in SPREADS:
        sizes = np.exp(spread * (values - values.max(1, keepdims=True)))
        found.append((sizes**2).sum(1) / sizes.sum(1) ** 2)
    return np.resize(np.array(found).T, (DRAWS, len(SPREADS))).T


class Fourth(NamedTuple):
    """Fourth moments of random vectors x_s, one per sample, in units of (E|x|^2)^2.

    one: E|x_s|^4. two: E|x_s|^2 |x_t|^2. dot: E(x_s . x_t)^2.
    """

    one: float
    two: float
    dot: float

    def average(self, samples: int) -> float:
        """Return E v^2 / (E v)^2, where v is the mean of |x_s|^2 over this number of samples."""
        return self.one / samples + (1 - 1 / samples) * self.two

    def spread(self, samples: int) -> float:
        """Return the variance of ln v over draws, for a log-normal v."""
        return math.log(self.average(samples))

    def through_matrix(self, rows: int) -> "Fourth":
        """Return the fourth moments of W x, where W has this number of rows of independent Gaussian entries."""
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
