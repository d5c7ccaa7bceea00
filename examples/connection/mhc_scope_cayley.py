"""Orthogonal mixing: H_res is the Cayley transform of a skew-symmetric matrix, which keeps the norm of all streams.

Its rows and columns need not sum to 1, and its entries can be negative. `pip install .` in this folder adds it to
specs, controls, figures, costs, theory and Verify. Specs are read without torch too: functions import it.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class CayleyMap(ResidualMap):
    """n^2 logits T to Q = (I + A)^-1 (I - A) with A = T - T^t. Zero logits, where every preset starts, give Q = I."""

    def start(self, certainty: float) -> list[float]:
        return [0.0] * self.n**2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        import torch

        t = raw.double().unflatten(-1, (self.n, self.n))
        eye = torch.eye(self.n, dtype=t.dtype, device=t.device)
        # (I + A)^-1 (I - A) = 2 (I + A)^-1 - I. I + A is never singular; `inv` would make the host wait for the device.
        return (2 * torch.linalg.inv_ex(eye + t - t.mT).inverse - eye).to(raw.dtype)


def compute_cayley(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute the same in numpy by solving the system: Verify compares the map with it."""
    n = settings.streams
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    skew = t - np.swapaxes(t, -1, -2)
    return to_type(np.linalg.solve(np.eye(n) + skew, np.eye(n) - skew))


FAMILY = Family(
    name="Cayley",
    summary="orthogonal mixing",
    look=Look("#520df2", "#8655f6", "7px,2px,2px,2px", "hourglass"),
    rows="free",
    columns="free",
    norm_bounded=True,
    signed=True,
    operations=lambda n, rounds: 2 * n**3,
    map=CayleyMap,
    map_reference=compute_cayley,
)
