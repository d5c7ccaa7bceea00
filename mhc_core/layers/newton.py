"""The doubly stochastic matrix that Sinkhorn's rounds approach, by Newton's method; its gradient by implicit functions.

    T = exp(R + alpha 1^t + 1 beta^t),  with rows and columns that sum to 1

For given beta, rows of softmax(R + beta) sum to 1, and beta minimises the convex function sum_i log sum_j exp(R_ij +
beta_j) - sum_j beta_j. With beta_n = 0 there are n - 1 unknowns, of gradient c - 1 and Hessian diag(c) - T^t T, c the
sums of columns. Backward, dT = T * (dR + d alpha 1^t + 1 d beta^t) with sums of 0 leaves one system of the same matrix,
whatever the number of steps was. Both are as in the code of yixuan/mHC-proj (`src/birkhoff_proj_n4.cu`) for arXiv
2606.07574, which is for n = 4; steps are damped otherwise here.

All of it is in float64, as nothing corrects its rounding. Shapes: K matrices n x n, S steps that are tried.
"""

from typing import Any

import torch

from mhc_core.family import ResidualMap

STEPS = 60  # at most; logits of size 1 take about 5
TOLERANCE = 1e-14  # of the sums of columns
SIZES = (1.0, 0.5, 0.25, 0.0625)  # of a step along Newton's direction
TINY = 4e-16  # added to the diagonal of the system: T near a permutation leaves a matrix of zeros


class NewtonMap(ResidualMap):
    """n^2 logits to the doubly stochastic matrix that they scale to."""

    def start(self, certainty: float) -> list[float]:
        return [0.0 if row == column else -certainty for row in range(self.n) for column in range(self.n)]

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        return project_exactly(raw.double().unflatten(-1, (self.n, self.n))).to(raw.dtype)


def project_exactly(logits: torch.Tensor) -> torch.Tensor:
    """Return the doubly stochastic matrix that Sinkhorn's rounds on exp(logits) approach, (..., n, n) float64, with
    its gradient.

    Rows are exact. Columns are exact where Newton's method ends, which takes more than `STEPS` steps of logits so wide
    that entries of the matrix are below the rounding of others.
    """
    found: torch.Tensor = _Scale.apply(logits)
    return found


class _Scale(torch.autograd.Function):
    """One node of the graph, whose gradient needs the matrix alone and can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor) -> torch.Tensor:
        """Return the doubly stochastic matrices diag(r) exp(logits) diag(c), (..., n, n)."""
        n = logits.shape[-1]
        found = _solve(logits.reshape(-1, n, n)).view(logits.shape)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient at the logits of a doubly stochastic matrix, by implicit differentiation."""
        (matrix,) = ctx.saved_tensors
        weighed = matrix * grad
        rows, columns = weighed.sum(-1), weighed.sum(-2)
        of_columns = _divide(matrix, columns - (matrix.mT @ rows.unsqueeze(-1)).squeeze(-1))
        of_rows = rows - (matrix @ of_columns.unsqueeze(-1)).squeeze(-1)
        return weighed - matrix * (of_rows.unsqueeze(-1) + of_columns.unsqueeze(-2))


def _divide(matrix: torch.Tensor, right: torch.Tensor, damping: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Solve (diag(c + damping) - T^t T) x = right with x_n = 0, (..., n).

    The system is singular where entries that join some streams to others are below rounding. There x is 0: a matrix
    that falls into parts has no gradient along what joins them.
    """
    size = matrix.shape[-1] - 1
    system = torch.diag_embed(matrix.sum(-2) + TINY + damping) - matrix.mT @ matrix
    found = torch.linalg.solve_ex(system[..., :size, :size], right[..., :size]).result
    found = torch.where(torch.isfinite(found).all(-1, keepdim=True), found, 0.0)
    return torch.cat([found, torch.zeros_like(right[..., size:])], dim=-1)


def _solve(logits_Knn: torch.Tensor) -> torch.Tensor:
    """Scale exp(logits) to doubly stochastic by Newton's method; each step is the best of several sizes and a round."""
    beta_Kn = -torch.logsumexp(logits_Knn, dim=1)
    for _ in range(STEPS):
        shares = torch.log_softmax(logits_Knn + beta_Kn.unsqueeze(1), dim=2)
        matrix = shares.exp()
        error_Kn = matrix.sum(1) - 1
        # Elsewhere the comparison would make the host wait for the device.
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
