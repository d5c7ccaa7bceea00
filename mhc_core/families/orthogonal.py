"""Orthogonal mixing by the Cayley transform: H_res keeps the norm of the streams, taken as one vector."""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class CayleyMap(ResidualMap):
    """The map from n^2 logits T to H_res = (I + A)^-1 (I - A), A = T - T^t: a rotation without the eigenvalue -1.

    All singular values are 1; rows and columns need not sum to 1. A = 0 gives the identity, from which all
    initialisations start, because the uniform matrix is not orthogonal.
    """

    def start(self, certainty: float) -> list[float]:
        return [0.0] * self.n**2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: an orthogonal matrix by the Cayley transform."""
        import torch

        # In float64, because the condition number of I + A grows with the logits.
        t = raw.double().unflatten(-1, (self.n, self.n))
        eye = torch.eye(self.n, dtype=t.dtype, device=t.device)
        # (I + A)^-1 (I - A) = 2 (I + A)^-1 - I. I + A is never singular. `inv` would check that, and the host would
        # wait for the device in every layer.
        return (2 * torch.linalg.inv_ex(eye + t - t.mT).inverse - eye).to(raw.dtype)


def solve_cayley(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the Cayley transform, by solving (I + A) H = I - A in float64."""
    n = settings.streams
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    skew = t - np.swapaxes(t, -1, -2)
    return to_type(np.linalg.solve(np.eye(n) + skew, np.eye(n) - skew))


FAMILY = Family(
    name="Orthogonal",
    summary="rotations by the Cayley transform",
    place=13,
    look=Look("#5d22bf", "#c25cff", "10px,2px,2px,2px,2px,2px", "octagon"),
    rows="free",
    columns="free",
    signed=True,
    orthogonal=True,
    operations=lambda n, rounds: 2 * n**3 + 3 * n * n,
    map=CayleyMap,
    map_reference=solve_cayley,
    page_map=PageMap("cayley"),
    parent="hc",
    keeps="the norm of all streams together, at any depth",
    gives_up="sums of 1: a signal that streams share does not stay shared",
)
