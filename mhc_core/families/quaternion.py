"""oHC (arXiv 2609.02672): H_res of four streams is a rotation, given by two unit quaternions.

Only summaries of the paper were read. They say that the pair covers SO(4) and starts at the identity, but not how the
quaternions are computed. Dividing four logits by their norm is our choice, and so are H_pre and H_post of mHC.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import TINY, Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch

# Signs in the matrices of x -> p x and of x -> x conj(q), whose entries (i, j) are p[i ^ j] and q[i ^ j] but for these.
LEFT = ((1, -1, -1, -1), (1, 1, -1, 1), (1, 1, 1, -1), (1, -1, 1, 1))
RIGHT = ((1, 1, 1, 1), (-1, 1, -1, 1), (-1, 1, 1, -1), (-1, -1, 1, 1))


class QuaternionMap(ResidualMap):
    """The map from four logits for p and four for q to H_res x = p x conj(q), where x are the four streams.

    p and q are the logits divided by their norm. All singular values are 1; rows and columns need not sum to 1.
    p = q = 1, from which all initialisations start, gives the identity.
    """

    def __init__(self, settings: MapSettings) -> None:
        import torch

        super().__init__(settings)
        order = torch.arange(4)
        units_ijk = torch.eye(4, dtype=torch.float64)[order[:, None] ^ order]  # (i, j, k): 1 where k = i ^ j
        signs = torch.tensor([LEFT, RIGHT], dtype=torch.float64)
        self.units_2kij = (signs[..., None] * units_ijk).movedim(-1, 1)

    def start(self, certainty: float) -> list[float]:
        return [1.0, 0.0, 0.0, 0.0] * 2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., 4, 4) of logits: the rotation x -> p x conj(q) by two unit quaternions."""
        import torch

        # Kept on the device of the logits, to avoid a transfer in every layer.
        self.units_2kij = self.units_2kij.to(raw.device)
        pairs = raw.double().unflatten(-1, (2, 4))
        pairs = pairs * torch.rsqrt(pairs.square().sum(-1, keepdim=True) + TINY)
        left, right = (torch.tensordot(pairs[..., side, :], self.units_2kij[side], dims=1) for side in (0, 1))
        return (left @ right).to(raw.dtype)


def rotate_units(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: its columns are p x conj(q) for the unit quaternions x = 1, i, j, k."""
    pairs = to_type(logits).reshape(*logits.shape[:-1], 2, 4)
    pairs = pairs / np.sqrt((pairs * pairs).sum(-1, keepdims=True) + TINY)
    p, q = pairs[..., 0, :], pairs[..., 1, :]
    conjugate = q * np.array([1, -1, -1, -1])
    columns = [_multiply(_multiply(p, np.broadcast_to(unit, p.shape)), conjugate) for unit in np.eye(4)]
    return to_type(np.stack(columns, -1))


def _multiply(p: Array, q: Array) -> Array:
    """Multiply quaternions (..., 4): (a + u)(b + v) = ab - u.v + a v + b u + u x v."""
    a, u, b, v = p[..., :1], p[..., 1:], q[..., :1], q[..., 1:]
    real = a * b - (u * v).sum(-1, keepdims=True)
    return np.concatenate([real, a * v + b * u + np.cross(u, v)], -1)


def require_four(n: int, width: int) -> str | None:
    """Return what the number of streams must be, as text for an error; None if it is 4."""
    return None if n == 4 else "4, because quaternion mixes four streams as one quaternion"


FAMILY = Family(
    name="oHC",
    summary="rotations of four streams by quaternions",
    year=2026,
    place=15,
    look=Look("#0a0aff", "#1f57ff", "7px,4px", "hexagram"),
    rows="free",
    columns="free",
    signed=True,
    orthogonal=True,
    logits=lambda n: 8,
    operations=lambda n, rounds: 2 * n**3 + 32,
    rule=require_four,
    map=QuaternionMap,
    map_reference=rotate_units,
    page_map=PageMap("quaternions"),
    paper="arXiv 2609.02672",
    parent="orthogonal",
    keeps="all rotations of four streams, with eight numbers",
    gives_up="any other number of streams than four",
)
