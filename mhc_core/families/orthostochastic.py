"""Orthostochastic mixing: squared entries of an orthogonal matrix, whose rows and columns have unit norm."""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class OrthogonalMap(ResidualMap):
    """The map from n^2 logits T to the squared entries of the Cayley transform (I + A)^-1 (I - A), A = T - T^t.

    A = 0 gives the identity, from which all initialisations start, because no finite logits give the uniform matrix.
    """

    def start(self, certainty: float) -> list[float]:
        return [0.0] * self.n**2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: the squared entries of an orthogonal matrix."""
        import torch

        # In float64: with logits of 50, the condition number would cost a float32 solution three digits.
        t = raw.double().unflatten(-1, (self.n, self.n))
        skew = t - t.mT
        eye = torch.eye(self.n, dtype=t.dtype, device=t.device)
        # (I + A)^-1 (I - A) = 2 (I + A)^-1 - I. I + A is never singular. `inv` would check that, and the host would
        # wait for the device in every layer.
        orthogonal = 2 * torch.linalg.inv_ex(eye + skew).inverse - eye
        return orthogonal.square().to(raw.dtype)


def square_orthogonal(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the squared entries of the Cayley transform, solved in float64."""
    n = settings.streams
    square = to_type(logits).reshape(*logits.shape[:-1], n, n)
    skew = square - np.swapaxes(square, -1, -2)
    orthogonal = np.linalg.solve(np.eye(n) + skew, np.eye(n) - skew)
    return to_type(orthogonal**2)


FAMILY = Family(
    name="Orthostochastic",
    summary="squared entries of an orthogonal matrix",
    place=6,
    look=Look("#5b510c", "#8f8936", "12px,3px", "pentagon"),
    map=OrthogonalMap,
    map_reference=square_orthogonal,
    page_map=PageMap("orthostochastic"),
    parent="mhc",
    keeps="exact sums, from one orthogonal matrix",
    gives_up="doubly stochastic matrices that are no squared orthogonal matrix",
)
