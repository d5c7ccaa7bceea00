"""Computes the limit of Sinkhorn's rounds, a doubly stochastic matrix, by Newton's method.

    T = exp(R + alpha 1^t + 1 beta^t),  where all rows and columns of T sum to 1

For given beta, the rows of softmax(R + beta) sum to 1, and beta minimises the convex function
sum_i log sum_j exp(R_ij + beta_j) - sum_j beta_j. With beta_n = 0 there are n - 1 unknowns; the gradient is c - 1 and
the Hessian diag(c) - T^t T, where c are the column sums.

The gradient of T follows from implicit differentiation: dT = T * (dR + d alpha 1^t + 1 d beta^t) has row and column
sums of 0, which gives one linear system with the same matrix, for any number of Newton steps. Both as in the code of
yixuan/mHC-proj (`src/birkhoff_proj_n4.cu`) for arXiv 2606.07574, which supports n = 4 only. Its damping of steps
differs from ours.

Everything is computed in float64, because no later step corrects rounding errors. Shapes: K matrices n x n, S step
sizes that are tried.
"""

from typing import Any

import torch

from mhc_core.family import ResidualMap

STEPS = 60  # maximum; logits of size 1 take about 5
TOLERANCE = 1e-14  # of the column sums
SIZES = (1.0, 0.5, 0.25, 0.0625)  # tried lengths of a step, in units of Newton's step
TINY = 4e-16  # added to the diagonal of the system, which is nearly 0 if T is close to a permutation


class NewtonMap(ResidualMap):
    """The map from n^2 logits to the doubly stochastic matrix that Sinkhorn's rounds converge to."""

    def start(self, certainty: float) -> list[float]:
        return [0.0 if row == column else -certainty for row in range(self.n) for column in range(self.n)]

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        return project_exactly(raw.double().unflatten(-1, (self.n, self.n))).to(raw.dtype)


def project_exactly(logits: torch.Tensor) -> torch.Tensor:
    """Return the limit of Sinkhorn's rounds on exp(logits), a doubly stochastic matrix (..., n, n), float64, with its
    gradient.

    Row sums are exact. Column sums are exact if Newton's method converges within `STEPS` steps. It does not if the
    range of the logits is so wide that some entries of the matrix are smaller than the rounding error of others.
    """
    return _Scale.apply(logits)


class _Scale(torch.autograd.Function):
    """`project_exactly` as one node of the graph. Its gradient needs only the matrix, and is differentiable."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor) -> torch.Tensor:
        """Return the doubly stochastic matrices diag(r) exp(logits) diag(c), (..., n, n)."""
        n = logits.shape[-1]
        found = _solve(logits.reshape(-1, n, n)).view(logits.shape)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the logits, by implicit differentiation."""
        (matrix,) = ctx.saved_tensors
        weighed = matrix * grad
        rows, columns = weighed.sum(-1), weighed.sum(-2)
        of_columns = _divide(matrix, columns - (matrix.mT @ rows.unsqueeze(-1)).squeeze(-1))
        of_rows = rows - (matrix @ of_columns.unsqueeze(-1)).squeeze(-1)
        return weighed - matrix * (of_rows.unsqueeze(-1) + of_columns.unsqueeze(-2))


def _divide(matrix: torch.Tensor, right: torch.Tensor, damping: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Solve Newton's system (diag(c + damping) - T^t T) x = right with x_n = 0, (..., n).

    The system is singular if the matrix has independent blocks, that is, if the entries between them are smaller than
    rounding errors. Then x is 0, because there is no gradient between the blocks.
    """
    size = matrix.shape[-1] - 1
    system = torch.diag_embed(matrix.sum(-2) + TINY + damping) - matrix.mT @ matrix
    found = torch.linalg.solve_ex(system[..., :size, :size], right[..., :size]).result
    found = torch.where(torch.isfinite(found).all(-1, keepdim=True), found, 0.0)
    return torch.cat([found, torch.zeros_like(right[..., size:])], dim=-1)


def _solve(logits_Knn: torch.Tensor) -> torch.Tensor:
    """Scale exp(logits) to doubly stochastic matrices, (K, n, n), by Newton's method.

    Each step is the best of Newton steps of several sizes and one Sinkhorn round.
    """
    beta_Kn = -torch.logsumexp(logits_Knn, dim=1)
    for _ in range(STEPS):
        shares = torch.log_softmax(logits_Knn + beta_Kn.unsqueeze(1), dim=2)
        matrix = shares.exp()
        error_Kn = matrix.sum(1) - 1
        # Not on other devices, because the comparison would make the host wait for them.
        if matrix.device.type == "cpu" and bool((error_Kn.abs() < TOLERANCE).all()):
            break
        damping_K1 = error_Kn.square().sum(1, keepdim=True).clamp(max=1e-3)
        direction = -_divide(matrix, error_Kn, damping_K1)
        of_round = -torch.logsumexp(shares, dim=1)
        tried = torch.stack([*(beta_Kn + size * direction for size in SIZES), beta_Kn + of_round])
        sums = torch.softmax(logits_Knn + tried.unsqueeze(2), dim=3).sum(2)
        best_K = (sums - 1).abs().sum(2).argmin(0)
        beta_Kn = tried.gather(0, best_K.view(1, -1, 1).expand(1, *beta_Kn.shape)).squeeze(0)
    return torch.softmax(logits_Knn + beta_Kn.unsqueeze(1), dim=2)
