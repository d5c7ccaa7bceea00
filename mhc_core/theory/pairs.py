"""Joint moments of two samples after one layer: expectations over two Gaussians of variance q and correlation c.

With a common z_0, h_1 and h_2 are independent given z_0: h = sqrt(q) (sqrt(c) z_0 + sqrt(1 - c) z). The inner mean over
z uses Gauss-Legendre nodes between the points where |h| is 0, 1, 4 and 16, because activation functions change there
and nowhere else. The outer mean over z_0 uses pieces as in `gaussian`.

Values between those of the grid are interpolated by cubic polynomials. Layers change 1 - c by a factor, so that over
many layers a small error of rho would lead to a fixed point that does not exist. Therefore (1 - rho) / (1 - c) is
interpolated, which is smooth up to c = 1. For relu and linear layers, rho has a closed form.
Shapes: c on a grid of 33 values from -1 to 1; K outer nodes.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.activations import ACTIVATIONS, Activation
from mhc_core.theory.gaussian import Array, Function, expect, half_line

STEPS = 16
HALF = 1 - np.linspace(1, 0, STEPS + 1) ** 4  # c from 0 to 1, dense near 1, where moments change as sqrt(1 - c)
INNER, OUTER_NODES = np.polynomial.legendre.leggauss(6), 12  # nodes and weights; nodes per piece
CUTS_Z, CUTS_H = np.array([-7.0, -4, -1.5, 1.5, 4, 7]), np.array([-16.0, -4, -1, 0, 1, 4, 16])
END = 8.0
Q_RANGE = (2.0**-12, 2.0**14)  # beyond it, phi is a power of its input, and the moments are constant


class Pair(NamedTuple):
    """Joint moments of two samples after a layer, each with the shape of c. Subscripts are samples.

    rho: E[phi_1 phi_2] / E[phi^2]. bend: the term of a mean cosine due to finite width, times the width.
    square: E[phi_1^2 phi_2^2] / E[phi^2]^2. slope: E[phi'_1 phi'_2] / E[phi'^2].
    square_slope: E[phi'_1^2 phi'_2^2] / E[phi'^2]^2. cross: E[phi_1^2 phi'_2^2] / (E[phi^2] E[phi'^2]).
    common, paired, own: parts of the variance of a mean cosine, see `cosine_variance`.

    A cosine is A / sqrt(B_1 B_2), where A, B_1 and B_2 are sums over units of phi_1 phi_2, phi_1^2 and phi_2^2. `bend`
    and the variance follow from the moments of one unit by the delta method.
    """

    rho: Array
    bend: Array
    square: Array
    slope: Array
    square_slope: Array
    cross: Array
    common: Array
    paired: Array
    own: Array

    def cosine_variance(self, samples: int) -> Array:
        """Return the variance over draws of the mean cosine over all pairs of samples, times the width.

        By the delta method. Given z_0, samples are independent; `common` is the variance of the expectation given z_0.
        """
        pairs = samples * max(samples - 1, 1)
        return np.maximum(self.common + self.paired / samples + 2 * self.own / pairs, 0)


POWERS = np.array([1, 1, 0, 0, 0, 0, 2, 2, 2])  # power of 1 - c by which each row of a table is divided
CLOSED: dict[str, Function] = {
    "relu": lambda c: (np.sqrt(1 - c * c) + c * (math.pi - np.arccos(c))) / math.pi,  # Cho & Saul 2009
    "linear": lambda c: c,
}


class PairTable:
    """A table of `Pair` over c for one activation function and q, and the fourth moments of one sample.

    rows (9, 33): 1 - rho, bend and the other fields of `Pair`, divided by (1 - c)^POWERS.
    closed: rho as a function of c if it has a closed form, else None.
    square, square_slope, cross: as in `Pair`, at c = 1. along: E[phi'^2 h^2] / (E[phi'^2] q), the factor of the
        gradient's component along the sample.
    """

    def __init__(
        self, rows: Array, closed: Function | None, square: float, square_slope: float, cross: float, along: float
    ) -> None:
        self.rows, self.closed = rows, closed
        self.square, self.square_slope, self.cross, self.along = square, square_slope, cross, along

    def at(self, c: Array) -> Pair:
        """Return the moments of pairs of samples at correlations c from -1 to 1."""
        apart = np.maximum(1 - c, 0)
        rows = self._interpolate(c) * apart ** POWERS.reshape(-1, *[1] * np.ndim(c))
        rows[0] = 1 - rows[0] if self.closed is None else self.closed(np.clip(c, -1, 1))
        return Pair(*rows)

    def _interpolate(self, c: Array) -> Array:
        """Return the rows of the table at c, by cubics in (1 - |c|)^(1/4) through four neighbours."""
        place = STEPS * (1 - np.maximum(1 - np.abs(c), 0) ** 0.25)
        first = np.clip(place.astype(int) - 1, 0, STEPS - 3)
        side = np.where(np.asarray(c) < 0, -1, 1)
        weights = cubic_weights(place - first - 1)
        return sum(weight * self.rows[:, STEPS + side * (first + k)] for k, weight in enumerate(weights))


def cubic_weights(t: Array | float) -> tuple[Array, Array, Array, Array]:
    """Return the weights of the values at -1, 0, 1 and 2 in the value at t of the cubic through them."""
    t = np.asarray(t)
    return (
        -t * (t - 1) * (t - 2) / 6,
        (t * t - 1) * (t - 2) / 2,
        -t * (t + 1) * (t - 2) / 2,
        t * (t * t - 1) / 6,
    )


@lru_cache(maxsize=256)
def build_table(name: str, q: float) -> PairTable:
    """Build the table of joint moments of an activation function at two Gaussian inputs of variance q."""
    phi, slope = ACTIVATIONS[name].phi, ACTIVATIONS[name].slope
    square, square_slope = expect(lambda h: phi(h) ** 2, q), expect(lambda h: slope(h) ** 2, q)
    alone = (
        expect(lambda h: phi(h) ** 4, q) / square**2,
        expect(lambda h: slope(h) ** 4, q) / square_slope**2,
        expect(lambda h: (phi(h) * slope(h)) ** 2, q) / (square * square_slope),
    )
    inside = [_average(ACTIVATIONS[name], q, c) for c in HALF[:-1]]
    moments = [_average_opposites(phi, slope, q), *(found[1] for found in reversed(inside[1:]))]
    moments += [found[0] for found in inside]
    units = np.array([square, square**2, square**2, square_slope, square_slope**2, square * square_slope])
    rows = np.array(moments).T / np.concatenate([units, [square**2] * 3])[:, None]
    # Rows are now 1 - rho, E[phi_1^3 phi_2], and the rest of `Pair`.
    rows[1] = (1 - rows[0]) * (0.75 * alone[0] + 0.25 * rows[2]) - rows[1]
    rows /= (1 - np.concatenate([-HALF[:0:-1], HALF[:-1]])) ** POWERS[:, None]
    end = 4 * rows[:, -1] - 6 * rows[:, -2] + 4 * rows[:, -3] - rows[:, -4]  # c = 1, extrapolated from four neighbours
    end[[0, 2, 3, 4, 5]] = q * square_slope / square, alone[0], 1.0, alone[1], alone[2]
    rows = np.concatenate([rows, end[:, None]], axis=1)
    return PairTable(rows, CLOSED.get(name), *alone, expect(lambda h: (slope(h) * h) ** 2, q) / (square_slope * q))


def find_table(name: str, q: float) -> PairTable:
    """Return the table of joint moments at any q, interpolated between tables at powers of 2.

    For networks whose q differs from layer to layer.
    """
    place = math.log2(min(max(q, Q_RANGE[0]), Q_RANGE[1]))
    below = math.floor(place)
    if place == below:
        return build_table(name, q)
    tables = [build_table(name, 2.0 ** (below + k)) for k in (-1, 0, 1, 2)]
    weights = cubic_weights(place - below)
    blended = {
        part: sum(weight * getattr(table, part) for weight, table in zip(weights, tables, strict=True))
        for part in ("rows", "square", "square_slope", "cross", "along")
    }
    return PairTable(closed=CLOSED.get(name), **blended)


def _average_opposites(phi: Function, slope: Function, q: float) -> Array:
    """Return the joint moments at c = -1, where the second sample is the first with its sign changed."""

    def average(first: Function, second: Function) -> float:
        return expect(lambda h: first(h) * second(-h), q)

    def square(h: Array) -> Array:
        return phi(h) ** 2

    def slope2(h: Array) -> Array:
        return slope(h) ** 2

    def cube(h: Array) -> Array:
        return phi(h) ** 3

    pairs = (cube, phi), (square, square), (slope, slope), (slope2, slope2), (square, slope2)
    apart = average(square, lambda h: np.ones_like(h)) - average(phi, phi)
    return np.array([apart, *(average(*pair) for pair in pairs), 0.0, 0.0, 0.0])


def _average(activation: Activation, q: float, c: float) -> tuple[Array, Array]:
    """Return the joint moments of two samples at c and at -c.

    At -c the second sample has -z_0.
    """
    z_K, weight_K = _outer_nodes(max(4, math.ceil(math.log2(max(END * math.sqrt(q * c), 1.0))) + 1))
    centre_K, spread = math.sqrt(q * c) * z_K, math.sqrt(q * (1 - c))
    z, weight = _inner_nodes(centre_K, spread)
    h = centre_K[:, None] + spread * z
    out, slope = activation.phi(h), activation.slope(h)

    def average(values: Array) -> Array:
        """Return the mean over the inner Gaussian, (K): the weighted sum of a function's values at the nodes."""
        return np.einsum("kj,kj->k", values, weight)

    one, two, three, slopes, slopes2 = (average(part) for part in (out, out**2, out**3, slope, slope**2))
    # Differences are computed before means, because near c = 1 they are as small as 1 - c.
    own = average((out - one[:, None]) ** 2)
    ratio = 1 - float(weight_K @ own) / float(weight_K @ two)
    common = one**2 - ratio * two
    paired = 2 * one[:, None] * out - ratio * out**2
    spreads = [
        weight_K @ (common - weight_K @ common) ** 2,
        weight_K @ average((paired - average(paired)[:, None]) ** 2),
        weight_K @ own**2,
    ]

    def build_row(apart: Array, order: slice) -> Array:
        """Return the moments of two samples at one correlation.

        apart: E[phi(h)^2] - E[phi(h) phi(h')], (K). order: of the outer nodes for the second sample.
        """
        pairs = (three, one), (two, two), (slopes, slopes), (slopes2, slopes2), (two, slopes2)
        moments = (weight_K @ (first * second[order]) for first, second in pairs)
        return np.array([weight_K @ apart, *moments, *spreads])

    back = slice(None, None, -1)
    return build_row(own, slice(None)), build_row(two - one * one[back], back)


@lru_cache(maxsize=64)
def _outer_nodes(pieces: int) -> tuple[Array, Array]:
    """Return quadrature nodes over both half-lines, in pieces that double in length, and normal weights."""
    z, density = half_line(pieces, END, OUTER_NODES)
    return np.concatenate([-z[::-1], z]), np.concatenate([density[::-1], density])


def _inner_nodes(centre_K: Array, spread: float) -> tuple[Array, Array]:
    """Return quadrature nodes and weights (K, J) over a normal z, for functions of centre + spread z."""
    x, weight = INNER
    moving = (CUTS_H - centre_K[:, None]) / spread
    cuts = np.concatenate([np.broadcast_to(CUTS_Z, (len(centre_K), len(CUTS_Z))), moving], axis=1)
    cuts = np.sort(np.clip(cuts, CUTS_Z[0], CUTS_Z[-1]), axis=1)
    half = np.diff(cuts)[:, :, None] / 2
    z = ((cuts[:, 1:] + cuts[:, :-1])[:, :, None] / 2 + half * x).reshape(len(centre_K), -1)
    density = (half * weight).reshape(len(centre_K), -1) * np.exp(-z * z / 2)
    return z, density / density.sum(1, keepdims=True)
