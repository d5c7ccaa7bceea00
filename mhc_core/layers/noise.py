"""Drift of the mixing: the same Gaussian draw for every connection, layer by layer."""

import torch

from mhc_core.rng import normal
from mhc_core.spec import RunSpec


def draw_mixing_noise(spec: RunSpec, count: int) -> torch.Tensor:
    """Draw N(0, noise^2) for the raw parameters of H_res, (L, count); layer l does not depend on the depth."""
    return draw_standard_noise(spec, count) * spec.connection.noise


def draw_standard_noise(spec: RunSpec, count: int) -> torch.Tensor:
    """Draw the noise of the raw parameters of H_res before it is scaled: N(0, 1), (L, count)."""
    return torch.stack([normal(spec.seed, "mixing_noise", layer, count) for layer in range(spec.depth)])
