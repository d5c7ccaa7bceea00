"""Drift of the mixing: the same Gaussian draw for every connection, layer by layer."""

import torch

from mhc_core.rng import normal
from mhc_core.spec import RunSpec


def draw_mixing_noise(spec: RunSpec) -> torch.Tensor:
    """N(0, noise^2) for the raw residual-mixing parameters, (L, n, n); layer l does not depend on the depth."""
    n = spec.connection.streams
    layers = [normal(spec.seed, "mixing_noise", layer, n, n) for layer in range(spec.depth)]
    return torch.stack(layers) * spec.connection.noise
