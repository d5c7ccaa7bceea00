"""go-mHC (arXiv 2604.02309, as in the code of itstorque/go-mHC): H_res from the blocks of an orthogonal matrix.

The orthogonal matrix Q has n s rows, s = 2. H_res[i, j] is the sum of the squared entries of block (i, j) of s x s
entries, divided by s. Rows and columns of Q have norm 1, so rows and columns of H_res sum to 1.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch

SIZE = 2  # s: rows of a block, as in the published configuration


class BlockEnergyMap(ResidualMap):
    """The map from (2 n)^2 logits T to H_res, by the Cayley transform Q = (I - A)^-1 (I + A), A = T - T^t.

    A = 0 gives the identity. With s = 1 and Q transposed, this would be orthostochastic mixing.
    """

    def start(self, certainty: float) -> list[float]:
        """Return the initial logits of one layer: H_res is near the identity for a large `certainty`, uniform for 0."""
        # Entries of H_res are squares: half the certainty in the exponent gives e^-certainty.
        return [math.exp(-certainty / 2) * entry / 2 for entry in find_uniform_generator(self.n).flatten().tolist()]

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: squared entries of an orthogonal matrix, summed over blocks, over s."""
        import torch

        # In float64, and without a check for singular matrices: see orthostochastic.py.
        t = raw.double().unflatten(-1, (SIZE * self.n, SIZE * self.n))
        eye = torch.eye(SIZE * self.n, dtype=t.dtype, device=t.device)
        # (I - A)^-1 (I + A) = 2 (I - A)^-1 - I.
        near = 2 * torch.linalg.inv_ex(eye - t + t.mT).inverse - eye
        # A Newton step towards the nearest orthogonal matrix, because rounding errors of the inverse would add up in
        # the sums of a block. It corrects only rounding errors, so it needs no gradient.
        with torch.no_grad():
            step = near @ (eye - near.mT @ near) / 2
        blocks = (near + step).square().unflatten(-2, (self.n, SIZE)).unflatten(-1, (self.n, SIZE))
        return (blocks.sum((-3, -1)) / SIZE).to(raw.dtype)


def find_uniform_generator(n: int) -> Array:
    """Return the skew-symmetric matrix A (2 n, 2 n) that gives the uniform H_res, for any n.

    All entries of the unitary DFT matrix have the same size. Multiplied by e^(i pi / 4) it has no eigenvalue -1, so
    that it is the Cayley transform of some A. A complex entry a + bi becomes the block [[a, -b], [b, a]].
    """
    power = np.outer(np.arange(n), np.arange(n))
    unitary = np.exp(1j * (math.pi / 4 - 2 * math.pi * power / n)) / math.sqrt(n)
    generator = np.linalg.solve(unitary + np.eye(n), unitary - np.eye(n))
    return np.kron(generator.real, np.eye(2)) + np.kron(generator.imag, np.array([[0.0, -1.0], [1.0, 0.0]]))


def sum_block_energy(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: squared entries of a Cayley transform in float64, summed over blocks and divided by s."""
    n, lead = settings.streams, logits.shape[:-1]
    square = to_type(logits).reshape(*lead, SIZE * n, SIZE * n)
    skew = square - np.swapaxes(square, -1, -2)
    orthogonal = np.linalg.solve(np.eye(SIZE * n) - skew, np.eye(SIZE * n) + skew)
    energy: Array = (orthogonal**2).reshape(*lead, n, SIZE, n, SIZE).sum((-3, -1)) / SIZE
    return to_type(energy)


FAMILY = Family(
    name="go-mHC",
    summary="squared entries of an orthogonal matrix, summed over blocks",
    year=2026,
    place=9,
    look=Look("#ff1fab", "#bf2284", "7px,3px", "hourglass"),
    logits=lambda n: (SIZE * n) ** 2,
    operations=lambda n, rounds: 6 * (SIZE * n) ** 3 + 8 * (SIZE * n) ** 2,
    map=BlockEnergyMap,
    map_reference=sum_block_energy,
    page_map=PageMap("block_energy"),
    paper="arXiv 2604.02309",
    parent="orthostochastic",
    keeps="exact sums, from an orthogonal matrix of twice the size",
    gives_up="a small number of parameters: a layer has 4 n²",
)
