"""What one layer makes of two samples: expectations over two Gaussians of variance q and correlation c.

With z_0 common to both, h_1 and h_2 are independent given z_0: h = sqrt(q) (sqrt(c) z_0 + sqrt(1 - c) z). The inner
mean is over z, by Gauss-Legendre nodes between cuts where h passes 0, 1, 4 and 16, as activations change there and
nowhere else; the outer one over z_0 has pieces as in `gaussian`. Four digits and more, as bands need.
Shapes: c on a grid of 33 values from -1 to 1; K outer nodes.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.activations import ACTIVATIONS, Activation
from mhc_core.theory.gaussian import Array, Function, expect

HALF = 1 - np.linspace(1, 0, 17) ** 2  # 0 to 1, dense at 1, where everything changes as sqrt(1 - c)
STEPS = len(HALF) - 1
INNER, OUTER = np.polynomial.legendre.leggauss(6), np.polynomial.legendre.leggauss(12)
CUTS_Z, CUTS_H = np.array([-7.0, -4, -1.5, 1.5, 4, 7]), np.array([-16.0, -4, -1, 0, 1, 4, 16])
END = 8.0
Q_RANGE = (2.0**-12, 2.0**14)  # beyond, phi is a power of its input and nothing changes any more


class Pair(NamedTuple):
    """Means over two samples, each (...) where looked up; subscripts are samples.

    rho: E[phi_1 phi_2] / E[phi^2]. square: E[phi_1^2 phi_2^2] / E[phi^2]^2. slope: E[phi'_1 phi'_2] / E[phi'^2].
    square_slope: E[phi'_1^2 phi'_2^2] / E[phi'^2]^2. cross: E[phi_1^2 phi'_2^2] / (E[phi^2] E[phi'^2]).
    common, paired, own: parts of the variance of a mean cosine, see `cosine_variance`.
    """

    rho: Array
    square: Array
    slope: Array
    square_slope: Array
    cross: Array
    common: Array
    paired: Array
    own: Array

    def cosine_variance(self, samples: int) -> Array:
        """Variance over draws of the mean cosine over all pairs of so many exchangeable samples, times the width.

        By the delta method. Given z_0 samples are independent: `common` is the variance of what is expected given z_0.
        """
        pairs = samples * max(samples - 1, 1)
        return np.maximum(self.common + self.paired / samples + 2 * self.own / pairs, 0)


class PairTable:
    """`Pair` over c for one activation and q, and the fourth moments of one sample.

    square, square_slope, cross: as of `Pair`, at c = 1. along: E[phi'^2 h^2] / (E[phi'^2] q), what the gradient keeps
    of its part along the sample.
    """

    def __init__(self, rows: Array, square: float, square_slope: float, cross: float, along: float) -> None:
        self.rows = rows
        self.square, self.square_slope, self.cross, self.along = square, square_slope, cross, along

    def at(self, c: Array) -> Pair:
        """At correlations from -1 to 1, by straight lines in sqrt(1 - |c|)."""
        place = STEPS * (1 + np.sign(c) * (1 - np.sqrt(1 - np.minimum(np.abs(c), 1))))
        index = np.minimum(place.astype(int), 2 * STEPS - 1)
        t = place - index
        return Pair(*(self.rows[:, index] * (1 - t) + self.rows[:, index + 1] * t))

    def blend(self, other: "PairTable", share: float) -> "PairTable":
        """Between this table and another."""
        names = ("rows", "square", "square_slope", "cross", "along")
        return PairTable(*((1 - share) * getattr(self, name) + share * getattr(other, name) for name in names))


@lru_cache(maxsize=256)
def build_table(name: str, q: float) -> PairTable:
    """The table at exactly q."""
    phi, slope = ACTIVATIONS[name].phi, ACTIVATIONS[name].slope
    square, square_slope = expect(lambda h: phi(h) ** 2, q), expect(lambda h: slope(h) ** 2, q)
    alone = (
        expect(lambda h: phi(h) ** 4, q) / square**2,
        expect(lambda h: slope(h) ** 4, q) / square_slope**2,
        expect(lambda h: (phi(h) * slope(h)) ** 2, q) / (square * square_slope),
    )
    units = square, square**2, square_slope, square_slope**2, square * square_slope
    inside = [_average(ACTIVATIONS[name], q, c, square) for c in HALF[:-1]]
    negative = [_average_opposites(phi, slope, q)] + [found[1] for found in reversed(inside[1:])]
    positive = [found[0] for found in inside] + [np.array([1.0, alone[0], 1.0, alone[1], alone[2], 0, 0, 0])]
    scale = np.array([*units, square**2, square**2, square**2])
    rows = np.array([row / scale for row in negative + positive[:-1]] + positive[-1:]).T
    return PairTable(rows, *alone, expect(lambda h: (slope(h) * h) ** 2, q) / (square_slope * q))


def find_table(name: str, q: float) -> PairTable:
    """The table near q, between powers of 2: for bands, where q differs from layer to layer."""
    place = math.log2(min(max(q, Q_RANGE[0]), Q_RANGE[1]))
    below = build_table(name, 2.0 ** math.floor(place))
    share = place - math.floor(place)
    return below.blend(build_table(name, 2.0 ** math.ceil(place)), share) if share else below


def _average_opposites(phi: Function, slope: Function, q: float) -> Array:
    """The rows of `Pair` at c = -1, without their units: the second sample is the first with its sign changed."""

    def average(first: Function, second: Function) -> float:
        return expect(lambda h: first(h) * second(-h), q)

    def square(h: Array) -> Array:
        return phi(h) ** 2

    def slope2(h: Array) -> Array:
        return slope(h) ** 2

    pairs = (phi, phi), (square, square), (slope, slope), (slope2, slope2), (square, slope2)
    return np.array([*(average(*pair) for pair in pairs), 0.0, 0.0, 0.0])


def _average(activation: Activation, q: float, c: float, square: float) -> tuple[Array, Array]:
    """The rows of `Pair` at c and at -c, without their units; at -c the second sample has z_0 reversed."""
    z_K, weight_K = _outer_nodes(max(4, math.ceil(math.log2(max(END * math.sqrt(q * c), 1.0))) + 1))
    centre_K, spread = math.sqrt(q * c) * z_K, math.sqrt(q * (1 - c))
    z, weight = _inner_nodes(centre_K, spread)
    h = centre_K[:, None] + spread * z
    out, slope = activation.phi(h), activation.slope(h)
    one, two, three, four, slopes, slopes2 = (
        np.einsum("kj,kj->k", part, weight) for part in (out, out**2, out**3, out**4, slope, slope**2)
    )
    ratio = float(weight_K @ one**2) / square
    common = one**2 - ratio * two
    paired = 4 * one**2 * two - 4 * one * ratio * three + ratio**2 * four - (2 * one**2 - ratio * two) ** 2
    spreads = [
        weight_K @ common**2 - (weight_K @ common) ** 2,
        weight_K @ paired,
        weight_K @ (two - one**2) ** 2,
    ]

    def build_row(order: slice) -> Array:
        pairs = (one, one), (two, two), (slopes, slopes), (slopes2, slopes2), (two, slopes2)
        return np.array([*(weight_K @ (first * second[order]) for first, second in pairs), *spreads])

    return build_row(slice(None)), build_row(slice(None, None, -1))


@lru_cache(maxsize=64)
def _outer_nodes(pieces: int) -> tuple[Array, Array]:
    """Nodes over both half-lines in pieces that double in length, with the normal density in their weights."""
    x, weight = OUTER
    ends = END * 2.0 ** -np.arange(pieces, dtype=float)[::-1]
    starts = np.concatenate([[0.0], ends[:-1]])
    half = (ends - starts)[:, None] / 2
    z = ((starts + ends)[:, None] / 2 + half * x).ravel()
    density = (half * weight).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-z[::-1], z]), np.concatenate([density[::-1], density])


def _inner_nodes(centre_K: Array, spread: float) -> tuple[Array, Array]:
    """Nodes and weights (K, J) over a normal z, for functions of centre + spread z."""
    x, weight = INNER
    moving = (CUTS_H - centre_K[:, None]) / spread
    cuts = np.concatenate([np.broadcast_to(CUTS_Z, (len(centre_K), len(CUTS_Z))), moving], axis=1)
    cuts = np.sort(np.clip(cuts, CUTS_Z[0], CUTS_Z[-1]), axis=1)
    half = np.diff(cuts)[:, :, None] / 2
    z = ((cuts[:, 1:] + cuts[:, :-1])[:, :, None] / 2 + half * x).reshape(len(centre_K), -1)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z, (half * weight).reshape(len(centre_K), -1) * density
