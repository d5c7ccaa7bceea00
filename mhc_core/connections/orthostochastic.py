"""Orthostochastic mixing: squared entries of an orthogonal matrix, whose rows and columns have unit norm."""

import torch

from mhc_core.connections.connection import Connection
from mhc_core.connections.manifold import ResidualMap, build_manifold
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.spec import RunSpec


class OrthogonalMap(ResidualMap):
    """n^2 logits T through the Cayley transform Q = (I + A)^-1 (I - A), A = T - T^t; h_res = Q^2 entry by entry.

    A = 0 gives the identity, where every preset starts: Cayley has no finite logits for the uniform matrix.
    """

    def __init__(self, spec: RunSpec) -> None:
        self.n = spec.connection.streams

    def initial(self, spec: RunSpec) -> torch.Tensor:
        return draw_mixing_noise(spec, self.n**2)

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        # In float64: with logits of 50 the system's condition costs a float32 solve its last three digits.
        t = raw.double().unflatten(-1, (self.n, self.n))
        skew = t - t.mT
        eye = torch.eye(self.n, dtype=t.dtype, device=t.device)
        # (I + A)^-1 (I - A) = 2 (I + A)^-1 - I. I + A is never singular; `inv` would ask the device whether it is, and
        # the host would wait in every layer.
        orthogonal = 2 * torch.linalg.inv_ex(eye + skew).inverse - eye
        return orthogonal.square().to(raw.dtype)


def build_orthostochastic(spec: RunSpec) -> Connection:
    """Orthostochastic mixing by the spec's `dynamic`."""
    return build_manifold(spec, OrthogonalMap(spec))
