"""sHC (arXiv 2603.20896): signed H_res with rows and columns that sum to 1 and a norm of 1, as in its authors' code.

The authors' code applies the transpose, which exchanges U and V. Its learned factors of the rotations' tanh start at 1;
here they stay 1. The biases of H_pre and H_post are those of the initialisation, as in all families with a map.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class SpectralMap(ResidualMap):
    """The map from (n - 1)^2 logits to H_res = J/n + Z U diag(tanh s) V^t Z^t.

    J/n is the uniform matrix. The columns of Z (n, n - 1) are orthonormal and sum to 0. U and V are Cayley transforms
    of skew-symmetric matrices with tanh(t) above the diagonal. The order of logits is: t of U row by row, t of V, s.
    """

    def __init__(self, settings: MapSettings) -> None:
        import torch

        super().__init__(settings)
        size = self.n - 1
        skew = np.zeros((count_angles(self.n), size, size))
        for place, (row, column) in enumerate(zip(*np.triu_indices(size, 1), strict=True)):
            skew[place, row, column], skew[place, column, row] = 1, -1
        self.skew_kmm, self.basis_nm = torch.from_numpy(skew), torch.from_numpy(make_basis(self.n))

    def start(self, certainty: float) -> list[float]:
        """Return the initial logits of one layer: angles of 0, and equal singular values, which `certainty` sets."""
        # tanh(certainty / 2) is the second eigenvalue of the initial H_res of other families for two streams. 8 gives
        # s = 4, the initial value in the authors' code; 0 gives the uniform matrix.
        return [0.0] * (2 * count_angles(self.n)) + [certainty / 2] * (self.n - 1)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: J/n plus a matrix whose singular values are below 1."""
        # Kept on the device of the logits, to avoid a transfer in every layer.
        self.skew_kmm, self.basis_nm = self.skew_kmm.to(raw.device), self.basis_nm.to(raw.device)
        t, angles = raw.double().tanh(), count_angles(self.n)
        left, right = (self._turn(t[..., first : first + angles]) for first in (0, angles))
        return (1 / self.n + (left * t[..., None, 2 * angles :]) @ right.mT).to(raw.dtype)

    def _turn(self, angles: "torch.Tensor") -> "torch.Tensor":
        """Return orthonormal columns, Z times the Cayley transform of the angles, (..., n, n - 1)."""
        import torch

        eye = torch.eye(self.n - 1, dtype=angles.dtype, device=angles.device)
        skew = torch.tensordot(angles, self.skew_kmm, dims=1)
        return self.basis_nm @ (2 * torch.linalg.inv_ex(eye + skew).inverse - eye)


def multiply_singular_parts(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: J/n plus the sum over k of sigma_k (Z u_k)(Z v_k)^t, in float64."""
    n, t = settings.streams, np.tanh(to_type(logits))
    angles, basis = count_angles(n), make_basis(n)
    u, v = (_compute_cayley(t[..., first : first + angles], n - 1) for first in (0, angles))
    parts = np.einsum("ia,...ak,...k,...bk,jb->...ij", basis, u, t[..., 2 * angles :], v, basis)
    return to_type(1 / n + parts)


def _compute_cayley(upper: Array, size: int) -> Array:
    """Return (I + A)^-1 (I - A), (..., size, size), for the skew-symmetric A with these entries above the diagonal."""
    skew = np.zeros((*upper.shape[:-1], size, size))
    for place, (row, column) in enumerate(zip(*np.triu_indices(size, 1), strict=True)):
        skew[..., row, column], skew[..., column, row] = upper[..., place], -upper[..., place]
    return np.linalg.solve(np.eye(size) + skew, np.eye(size) - skew)


def count_angles(n: int) -> int:
    """Return the number of angles of U or V: the entries above the diagonal of an (n - 1) x (n - 1) matrix."""
    return (n - 1) * (n - 2) // 2


def make_basis(n: int) -> Array:
    """Return Z (n, n - 1), whose columns are orthonormal and sum to 0.

    Column k - 1 is k ones, then -k, then zeros, divided by sqrt(k (k + 1)).
    """
    basis = np.zeros((n, n - 1))
    for k in range(1, n):
        basis[:k, k - 1], basis[k, k - 1] = 1, -k
        basis[:, k - 1] /= math.sqrt(k * (k + 1))
    return basis


FAMILY = Family(
    name="sHC",
    summary="signed mixing with sums of 1",
    year=2026,
    place=16,
    look=Look("#0000cc", "#4775ff", "10px,2px,4px,2px", "star-square"),
    signed=True,
    logits=lambda n: (n - 1) ** 2,
    # Two inverses, two products with Z, and one product of n x (n - 1) by (n - 1) x n.
    operations=lambda n, rounds: 4 * (n - 1) ** 3 + 4 * n * (n - 1) ** 2 + 2 * n * n * (n - 1),
    map=SpectralMap,
    map_reference=multiply_singular_parts,
    page_map=PageMap("spectral"),
    paper="arXiv 2603.20896",
    parent="mhc",
    keeps="sums of 1 and a norm of at most 1, with entries of either sign",
    gives_up="the reading of mixing as a weighted mean",
)
