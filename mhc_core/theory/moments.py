"""Tables of E[phi(sqrt(q) z)^2] and E[phi'(sqrt(q) z)^2] over q, fast enough for each layer and draw.

The logarithm of such a mean is a smooth function of ln q, and linear at both ends, where phi is a power of its input.
"""

import math
from functools import lru_cache

import numpy as np

from mhc_core.theory.activations import ACTIVATIONS
from mhc_core.theory.gaussian import Array, expect

STEP = 0.5
LN_Q = np.arange(-60, 61) * STEP
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@lru_cache(maxsize=8192)
def second_moment(name: str, q: float) -> float:
    """Return E[phi(sqrt(q) z)^2] of an activation function: q for linear, q / 2 for relu."""
    return expect(lambda h: ACTIVATIONS[name].phi(h) ** 2, q)


@lru_cache(maxsize=8192)
def mean_square_slope(name: str, q: float) -> float:
    """Return E[phi'(sqrt(q) z)^2] of an activation function: 1 for linear, 1/2 for relu."""
    return expect(lambda h: ACTIVATIONS[name].slope(h) ** 2, q)


class LogMean:
    """ln E[f(sqrt(q) z)^2] as a function of ln q, by cubic interpolation between exact values; accurate to 1e-4."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def at(self, ln_q: Array) -> Array:
        """Return the interpolated log mean at ln q, extrapolated linearly beyond the ends of the table."""
        place = (ln_q - LN_Q[0]) / STEP
        inside = np.clip(place, 1, len(LN_Q) - 3)
        index = inside.astype(int)
        t = inside - index
        before, start, end, after = (self.values[index + shift] for shift in (-1, 0, 1, 2))
        cubic = (end - before) / 2 + t * (before - 2.5 * start + 2 * end - after / 2)
        cubic += t * t * (-before / 2 + 1.5 * start - 1.5 * end + after / 2)
        over = place - inside
        ends = self.values[1] - self.values[0], self.values[-1] - self.values[-2]
        return start + t * cubic + over * np.where(over > 0, ends[1], ends[0])

    def power(self, ln_q: float) -> float:
        """Return the derivative d ln E / d ln q."""
        low, high = self.at(ln_q + np.array([-0.05, 0.05]))
        return float(high - low) / 0.1

    def respond(self, ln_q: float, x: Array, variance: float) -> Array:
        """Return E[f^2] over samples of different sizes, divided by E[f^2] at q.

        The q of a sample is q exp(x + xi). xi is normal with this variance and E[exp(xi)] = 1.
        """
        own = math.sqrt(variance) * NODES - variance / 2
        values = np.exp(self.at(ln_q + x[..., None] + own) - self.at(np.array(ln_q)))
        return values @ WEIGHTS


@lru_cache
def square_of(name: str) -> LogMean:
    """Return the table of ln E[phi^2] over ln q of an activation function."""
    return LogMean(np.log([second_moment(name, math.exp(ln_q)) for ln_q in LN_Q]))


@lru_cache
def squared_slope_of(name: str) -> LogMean:
    """Return the table of ln E[phi'^2] over ln q of an activation function."""
    return LogMean(np.log([mean_square_slope(name, math.exp(ln_q)) for ln_q in LN_Q]))
