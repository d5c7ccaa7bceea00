"""Orthogonal mixing: H_res is the matrix exponential of a skew-symmetric matrix, which keeps the norm of all streams.

Its rows and columns need not sum to 1, and its entries can be negative. `pip install .` in this folder adds it to
specs, controls, figures, costs, theory and Verify. Specs are read without torch too: functions import it.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class RotationMap(ResidualMap):
    """n^2 logits T to exp(A) with A = T - T^t. Zero logits, where every preset starts, give the identity."""

    def start(self, certainty: float) -> list[float]:
        return [0.0] * self.n**2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        import torch

        t = raw.double().unflatten(-1, (self.n, self.n))
        return torch.linalg.matrix_exp(t - t.mT).to(raw.dtype)


def compute_rotation(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute the same in numpy from the eigenvectors of i A: Verify compares the map with it."""
    n = settings.streams
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    angles, vectors = np.linalg.eigh(1j * (t - np.swapaxes(t, -1, -2)))
    turned = vectors * np.exp(-1j * angles)[..., None, :]
    return to_type((turned @ np.swapaxes(vectors.conj(), -1, -2)).real)


FAMILY = Family(
    name="Rotation",
    summary="orthogonal mixing by the matrix exponential",
    look=Look("#af67e6", "#9626fa", "11px,4px,2px,4px", "octagon"),
    rows="free",
    columns="free",
    signed=True,
    orthogonal=True,
    operations=lambda n, rounds: 20 * n**3,
    map=RotationMap,
    map_reference=compute_rotation,
)
