"""The activation functions for which theory has laws, and their derivatives (slopes), elementwise in float64."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from mhc_core.theory.gaussian import Array, Function


@dataclass(frozen=True)
class Activation:
    """An activation function phi and its derivative `slope`.

    degree_one: whether phi(a z) = a phi(z) for a > 0. odd: whether phi(-z) = -phi(z), so that outputs have mean 0.
    """

    phi: Function
    slope: Function
    degree_one: bool = False
    odd: bool = False


def _sigmoid(h: Array) -> Array:
    """Return 1 / (1 + exp(-h)), without overflow."""
    return torch.sigmoid(torch.from_numpy(np.ascontiguousarray(h))).numpy()


def _normal_distribution(h: Array) -> Array:
    """Return the cumulative distribution function of the standard normal at h, also accurate far below 0."""
    # torch's ndtr is inaccurate far below 0.
    return torch.special.erfc(torch.from_numpy(np.ascontiguousarray(h)) / -math.sqrt(2)).numpy() / 2


def _normal_density(h: Array) -> Array:
    return np.exp(-np.minimum(h * h, 1400.0) / 2) / math.sqrt(2 * math.pi)


def _sech(h: Array) -> Array:
    """Return 1 / cosh(h), without overflow."""
    # cosh(h) overflows for |h| > 710.
    half = np.exp(-np.abs(h))
    return 2 * half / (1 + half * half)


def _silu_slope(h: Array) -> Array:
    """Return the derivative of silu at h."""
    share = _sigmoid(h)
    return share * (1 + h * _sigmoid(-h))


ACTIVATIONS = {
    "relu": Activation(lambda h: np.maximum(h, 0), lambda h: (h > 0).astype(float), degree_one=True),
    "gelu": Activation(
        lambda h: h * _normal_distribution(h), lambda h: _normal_distribution(h) + h * _normal_density(h)
    ),
    "tanh": Activation(np.tanh, lambda h: _sech(h) ** 2, odd=True),
    "silu": Activation(lambda h: h * _sigmoid(h), _silu_slope),
    "linear": Activation(lambda h: h, np.ones_like, degree_one=True, odd=True),
}
