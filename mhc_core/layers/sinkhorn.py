"""Sinkhorn-Knopp: makes positive matrices nearly doubly stochastic (mHC, arXiv 2512.24880, Eq. 8-9)."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from mhc_core.family import MapSettings, ResidualMap


class SinkhornMap(ResidualMap):
    """The map from n^2 logits to H_res by Sinkhorn's rounds: doubly stochastic in the limit of many rounds."""

    def __init__(self, settings: MapSettings) -> None:
        super().__init__(settings)
        self.rounds, self.eps = settings.rounds, settings.eps

    def start(self, certainty: float) -> list[float]:
        return [0.0 if row == column else -certainty for row in range(self.n) for column in range(self.n)]

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        return sinkhorn(raw.unflatten(-1, (self.n, self.n)), self.rounds, self.eps)


def sinkhorn(logits: torch.Tensor, rounds: int, eps: float = 0.0) -> torch.Tensor:
    """Return exp(logits) after `rounds` Sinkhorn rounds: nearly doubly stochastic matrices, (..., n, n).

    Each round divides the columns by their sums, then the rows. Without eps, row sums are therefore exact, and the
    truncation error is only in the column sums, and so in the backward gain. With eps, row sums are also wrong, by
    about n eps. 0 rounds return exp(logits). 20 rounds do not always converge: measure the column sums.

    Parameters
    ----------
    logits: (..., n, n).
    rounds: 0 or more; the paper uses 20.
    eps: added to the first normalised matrix and to every sum, as in DeepSeek-V4 (1e-6 there); default 0. DeepSeek
        applies its rounds to the transposed matrix, which is the same order of columns and rows.
    """
    if rounds == 0:
        return torch.exp(logits)
    if eps:
        return _from_stack(_normalise_with_eps(_to_stack(logits), rounds, eps), logits.shape)
    if torch.is_grad_enabled():
        return _Rounds.apply(logits, rounds)
    return _map_plainly(logits, rounds)


def _map_plainly(logits: torch.Tensor, rounds: int) -> torch.Tensor:
    """Return `sinkhorn` without eps by plain operators.

    Only the last half round is kept: without a graph, new memory for each would take longer than the arithmetic.
    """
    (matrix,) = deque(_normalise(_to_stack(logits), rounds), maxlen=1)
    return _from_stack(matrix, logits.shape)


def _to_stack(matrices: torch.Tensor) -> torch.Tensor:
    """Reorder matrices (..., n, n) to (n, n, K). Sums over n are then over contiguous vectors, several times faster."""
    return matrices.reshape(-1, *matrices.shape[-2:]).permute(1, 2, 0).contiguous()


def _from_stack(stack_nnK: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return stack_nnK.permute(2, 0, 1).contiguous().view(shape)


def _normalise(logits: torch.Tensor, rounds: int) -> Iterator[torch.Tensor]:
    """Yield the logarithm of the matrix (n, n, K) after each half of a Sinkhorn round, and finally the matrix itself.

    In logarithms no row or column can underflow to zero, however different the logits are.
    """
    for number in range(2 * rounds - 1):
        logits = torch.log_softmax(logits, dim=number % 2)
        yield logits
    yield torch.softmax(logits, dim=1)


def _normalise_with_eps(logits: torch.Tensor, rounds: int, eps: float) -> torch.Tensor:
    """Return the matrices after Sinkhorn's rounds with eps added to each sum, as DeepSeek-V4 does; (n, n, K)."""
    matrix = torch.softmax(logits, dim=0) + eps
    matrix = matrix / (matrix.sum(1, keepdim=True) + eps)
    for _ in range(rounds - 1):
        matrix = matrix / (matrix.sum(0, keepdim=True) + eps)
        matrix = matrix / (matrix.sum(1, keepdim=True) + eps)
    return matrix


class _Rounds(torch.autograd.Function):
    """`_normalise` as one node of the graph: the overhead per node is more than the time for such small matrices."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, rounds: int) -> torch.Tensor:
        """Return exp(logits) after Sinkhorn's rounds, and store every half round for the backward pass."""
        steps = list(_normalise(_to_stack(logits), rounds))
        ctx.rounds = rounds
        ctx.save_for_backward(logits, *steps)
        return _from_stack(steps[-1], logits.shape)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the gradient with respect to the logits."""
        logits, *steps, matrix = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated, for which the saved steps are not enough
            plain = _map_plainly(logits, ctx.rounds)
            return torch.autograd.grad(plain, logits, grad, create_graph=True)[0], None
        # Called by these names, because calls through `torch.ops` take twice as long.
        grad = torch._softmax_backward_data(_to_stack(grad), matrix, 1, matrix.dtype)
        for number in range(len(steps) - 1, -1, -1):
            grad = torch._log_softmax_backward_data(grad, steps[number], number % 2, matrix.dtype)
        return grad.permute(2, 0, 1).reshape(logits.shape), None
