"""Mean-field mathematics of wide random layers: what one layer makes of the size and the correlation of its input.

A layer is h -> phi(z), z Gaussian with variance q; two samples' z have correlation c. Expectations over one Gaussian
are Gauss-Hermite sums; expectations over many exchangeable samples write z_s = sqrt(q) (sqrt(c) z_0 + sqrt(1 - c) z_s')
with z_0 common, and sum over z_0 and z_s'. Sources: Poole et al. 2016, Schoenholz et al. 2017, Cho & Saul 2009.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

Array = np.ndarray
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """phi and its derivative; `degree_one`: phi(a z) = a phi(z) for a > 0; `odd`: outputs have mean zero."""

    phi: Function
    slope: Function
    degree_one: bool
    odd: bool


ACTIVATIONS = {
    "relu": Activation(lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float), degree_one=True, odd=False),
    "linear": Activation(lambda z: z, np.ones_like, degree_one=True, odd=True),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, degree_one=False, odd=True),
}


def _nodes(count: int) -> tuple[Array, Array]:
    z, weight = np.polynomial.hermite_e.hermegauss(count)
    return z, weight / weight.sum()


FINE = _nodes(128)  # one Gaussian: eight digits and more for tanh with q up to 2
COARSE = _nodes(32)  # two Gaussians, for bands: two digits or three, the fewer across the step of relu's derivative


def expect(function: Function, q: float) -> float:
    """E[f(sqrt(q) z)], z standard normal, by Gauss-Hermite."""
    z, weight = FINE
    return float(weight @ function(math.sqrt(q) * z))


def second_moment(name: str, q: float) -> float:
    """E[phi(sqrt(q) z)^2]: q for linear, q / 2 for relu."""
    if name == "linear":
        return q
    return q / 2 if name == "relu" else expect(lambda z: np.tanh(z) ** 2, q)


def mean_square_slope(name: str, q: float) -> float:
    """E[phi'(sqrt(q) z)^2]: 1 for linear, 1/2 for relu, E[sech^4(sqrt(q) z)] for tanh."""
    if name == "linear":
        return 1.0
    return 0.5 if name == "relu" else expect(lambda z: np.cosh(z) ** -4.0, q)


def relu_correlation(c: float) -> float:
    """Correlation after a wide relu layer: (sqrt(1 - c^2) + c (pi - arccos c)) / pi (Cho & Saul 2009, degree 1).

    From 0: 0.31830989, 0.49373109, 0.60482572 after 1, 2, 3 layers; 0.73594635 after 5, 0.87153552 after 10,
    0.94842848 after 20, 0.99642315 after 100.
    """
    c = min(max(c, -1.0), 1.0)
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


def correlation(name: str, q: float, c: float) -> float:
    """Correlation E[phi(z_1) phi(z_2)] / E[phi(z)^2] after a layer whose z have variance q and correlation c."""
    if name == "linear" or c >= 1:
        return c
    if name == "relu":
        return relu_correlation(c)
    z, weight = COARSE
    m = np.tanh(math.sqrt(q) * (math.sqrt(c) * z[:, None] + math.sqrt(1 - c) * z)) @ weight
    return float(weight @ m**2) / second_moment(name, q)


def tanh_variance(q: float, weight_variance: float, bias_variance: float) -> float:
    """q' = s_w^2 E[tanh^2(sqrt(q) z)] + s_b^2 (Poole et al. 2016)."""
    return weight_variance * second_moment("tanh", q) + bias_variance


def tanh_fixed_point(weight_variance: float, bias_variance: float) -> float:
    """The fixed point q* of `tanh_variance` from above: 0.315316 at s_w^2 = 1.3, s_b^2 = 0.05."""
    q = weight_variance + bias_variance
    for _ in range(10_000):
        following = tanh_variance(q, weight_variance, bias_variance)
        if abs(following - q) < 1e-14:
            break
        q = following
    return q


def tanh_chi(q: float, weight_variance: float) -> float:
    """chi = s_w^2 E[sech^4(sqrt(q) z)], by which squared gradients scale a layer; above 1 is chaos.

    Schoenholz et al. 2017.
    At the fixed points with s_b^2 = 0.05: 0.880164 for s_w^2 = 1.3, 1.133516 for 2.5.
    """
    return weight_variance * mean_square_slope("tanh", q)


def tanh_depth_scale(weight_variance: float, bias_variance: float) -> float:
    """-1 / ln chi at the fixed point: 7.8341 layers at s_w^2 = 1.3, s_b^2 = 0.05; infinite at criticality."""
    chi = tanh_chi(tanh_fixed_point(weight_variance, bias_variance), weight_variance)
    return math.inf if chi == 1 else -1 / math.log(chi)


def tanh_critical_point(bias_variance: float) -> tuple[float, float]:
    """(s_w^2, q*) where chi = 1 at the fixed point, by bisection in q.

    s_b^2 -> s_w^2, q*: 0.01 -> 1.42420529, 0.27330091; 0.05 -> 1.76095464, 0.57004788; 0.1 -> 1.98607264, 0.80579918.
    """

    def excess(q: float) -> float:
        return tanh_variance(q, 1 / mean_square_slope("tanh", q), bias_variance) - q

    low, high = 1e-6, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return 1 / mean_square_slope("tanh", low), low


def gaussian_product_rate(n: int) -> float:
    """Growth of ln ||G_L ... G_1 x|| a layer, G (n, n) of N(0, 1): (ln 2 + psi(n / 2)) / 2 (Newman 1986).

    0.05797, 0.55797, 0.97463 for n = 2, 4, 8.
    """
    return (math.log(2) + float(torch.digamma(torch.tensor(n / 2, dtype=torch.float64)))) / 2


def drift_growth(n: int, s: float, layers: int) -> float:
    """E ||M x||^2 / ||x||^2 = (1 + n s^2)^layers, M a product of I + s G. A mean that few draws come near."""
    return (1 + n * s * s) ** layers


def deep_linear_largest(layers: int) -> float:
    """Largest squared singular value of a product of wide matrices of N(0, 1/C): (L+1)^(L+1) / L^L; 4 for one."""
    return math.exp((layers + 1) * math.log(layers + 1) - layers * math.log(layers))


class Noise(NamedTuple):
    """Variance over draws of a layer's weights, times its width; arrays over layers.

    size: of the relative change of the mean square over samples. cosine: of the mean cosine over pairs of samples.
    gradient: of the relative change of the mean square of gradients, through phi' alone.
    response: d ln E[phi^2] / d ln q.
    """

    size: Array
    cosine: Array
    gradient: Array
    response: Array


def measure_noise(name: str, q_L: Array, c_L: Array, samples: int) -> Noise:
    """What finite width leaves undecided in a layer, to first order (delta method), for exchangeable samples.

    Given z_0 the samples are independent: the variance of a mean over samples is that of its expectation given z_0, and
    the mean variance given z_0 divided by the samples. Gradients of different samples are taken as independent.
    """
    activation, (z, weight) = ACTIVATIONS[name], COARSE
    q, c = q_L[:, None, None], np.clip(c_L, 0, 1)[:, None, None]
    h_Lzs = np.sqrt(q) * (np.sqrt(c) * z[:, None] + np.sqrt(1 - c) * z)
    out, slope2 = activation.phi(h_Lzs), activation.slope(h_Lzs) ** 2
    mean, square = out @ weight, out**2 @ weight
    total = square @ weight
    ratio = (mean**2 @ weight) / total

    def spread(values_Lz: Array) -> Array:
        return values_Lz**2 @ weight - (values_Lz @ weight) ** 2

    def within(values_Lzs: Array) -> Array:
        return (values_Lzs**2 @ weight - (values_Lzs @ weight) ** 2) @ weight

    size = spread(square) + within(out**2) / samples
    pairs_count = samples * max(samples - 1, 1)
    pairs = 2 * mean[..., None] * out - ratio[:, None, None] * out**2
    alone = square - mean**2
    cosine = spread(mean**2 - ratio[:, None] * square) + within(pairs) / samples + 2 * (alone**2 @ weight) / pairs_count
    given = slope2 @ weight
    chi = given @ weight
    variance = (slope2**2 @ weight) @ weight - chi**2
    gradient = spread(given) * (1 - 1 / samples) + 3 * variance / samples
    response = ((out * activation.slope(h_Lzs) * h_Lzs) @ weight) @ weight / total
    return Noise(size / total**2, np.maximum(cosine, 0) / total**2, gradient / chi**2, response)
