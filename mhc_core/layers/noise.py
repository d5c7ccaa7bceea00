"""Draws the drift of the mixing: Gaussian noise that is the same for every connection with as many parameters."""

import torch

from mhc_core.rng import normal
from mhc_core.spec import RunSpec


def draw_mixing_noise(spec: RunSpec, count: int) -> torch.Tensor:
    """Draw the drift of the raw parameters of H_res, N(0, noise^2), (L, count). That of a layer does not depend on the
    depth.
    """
    return draw_standard_noise(spec, count) * spec.connection.noise


def draw_standard_noise(spec: RunSpec, count: int) -> torch.Tensor:
    """Draw the drift of the raw parameters of H_res before it is multiplied by its size: N(0, 1), (L, count)."""
    return torch.stack([normal(spec.seed, "mixing_noise", layer, count) for layer in range(spec.depth)])
