"""Closed forms and fixed points of wide random layers that textbooks give.

Sources: Poole et al. 2016, Schoenholz et al. 2017, Cho & Saul 2009, Newman 1986.
"""

import math

import torch

from mhc_core.theory.moments import mean_square_slope, second_moment


def relu_correlation(c: float) -> float:
    """Correlation after a wide relu layer: (sqrt(1 - c^2) + c (pi - arccos c)) / pi (Cho & Saul 2009, degree 1).

    From 0: 0.31830989, 0.49373109, 0.60482572 after 1, 2, 3 layers; 0.73594635 after 5, 0.87153552 after 10,
    0.94842848 after 20, 0.99642315 after 100.
    """
    c = min(max(c, -1.0), 1.0)
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


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
