"""Sinkhorn-Knopp: positive matrices towards doubly stochastic ones (mHC, arXiv 2512.24880, Eq. 8-9)."""

from typing import Any

import torch


def sinkhorn(logits: torch.Tensor, rounds: int, eps: float = 0.0) -> torch.Tensor:
    """exp(logits) after `rounds` rounds of column normalisation, then row normalisation.

    Columns first, rows last: row sums are exact and the whole truncation error sits in the column sums, that is in the
    backward gain. 0 rounds return exp(logits) itself. It is not said that 20 rounds converge: measure the column sums.

    Parameters
    ----------
    logits: (..., n, n).
    rounds: 0 or more; the paper uses 20.
    eps: added to the first normalised matrix and to every sum, as DeepSeek-V4 does (1e-6 there). With eps, a round
        is DeepSeek's on the transpose, which is the same order of columns and rows.
    """
    n = logits.shape[-1]
    stack_nnK = logits.reshape(-1, n, n).permute(1, 2, 0)
    return sinkhorn_stack(stack_nnK, rounds, eps).view(logits.shape)


def sinkhorn_stack(logits_nnK: torch.Tensor, rounds: int, eps: float = 0.0) -> torch.Tensor:
    """The same of K matrices that lie last, (n, n, K); returns (K, n, n).

    Sums over n then run along memory, for all matrices at once: several times faster.
    """
    if rounds == 0:
        found = torch.exp(logits_nnK)
    elif eps:
        found = _normalise_with_eps(logits_nnK, rounds, eps)
    elif torch.is_grad_enabled():
        found = _Rounds.apply(logits_nnK, rounds)
    else:
        found = _normalise(logits_nnK, rounds)[-1]
    return found.permute(2, 0, 1).contiguous()


def _normalise(logits: torch.Tensor, rounds: int) -> list[torch.Tensor]:
    """The logarithm of the matrix after each half round, and last the matrix.

    In the logarithm no row and no column can underflow to zero however wide the logits range.
    """
    steps = [torch.log_softmax(logits, dim=0)]
    for _ in range(rounds - 1):
        steps.append(torch.log_softmax(steps[-1], dim=1))
        steps.append(torch.log_softmax(steps[-1], dim=0))
    steps.append(torch.softmax(steps[-1], dim=1))
    return steps


def _normalise_with_eps(logits: torch.Tensor, rounds: int, eps: float) -> torch.Tensor:
    matrix = torch.softmax(logits, dim=0) + eps
    matrix = matrix / (matrix.sum(1, keepdim=True) + eps)
    for _ in range(rounds - 1):
        matrix = matrix / (matrix.sum(0, keepdim=True) + eps)
        matrix = matrix / (matrix.sum(1, keepdim=True) + eps)
    return matrix


class _Rounds(torch.autograd.Function):
    """`_normalise` as one node of the graph: what autograd spends on a node is more than these small matrices cost."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, rounds: int) -> torch.Tensor:
        steps = _normalise(logits, rounds)
        ctx.rounds = rounds
        ctx.save_for_backward(logits, *steps)
        return steps[-1]

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits, *steps, matrix = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone differentiates the gradient, which the steps kept here do not allow
            plain = _normalise(logits, ctx.rounds)[-1]
            return torch.autograd.grad(plain, logits, grad, create_graph=True)[0], None
        grad = torch.ops.aten._softmax_backward_data(grad, matrix, 1, matrix.dtype)
        for number in range(len(steps) - 1, -1, -1):
            grad = torch.ops.aten._log_softmax_backward_data(grad, steps[number], number % 2, matrix.dtype)
        return grad, None
