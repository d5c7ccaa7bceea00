"""Sinkhorn-Knopp: positive matrices towards doubly stochastic ones (mHC, arXiv 2512.24880, Eq. 8-9)."""

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
    if rounds == 0:
        return torch.exp(logits)
    if eps == 0.0:
        # The first round in the logarithm: the last step divides each row by its sum, so removing the row's maximum
        # changes nothing, and no row and no later column can underflow to zero however wide the logits range.
        matrix = torch.softmax(torch.log_softmax(logits, dim=-2), dim=-1)
    else:
        matrix = torch.softmax(logits, dim=-2) + eps
        matrix = matrix / (matrix.sum(-1, keepdim=True) + eps)
    for _ in range(rounds - 1):
        matrix = matrix / (matrix.sum(-2, keepdim=True) + eps)
        matrix = matrix / (matrix.sum(-1, keepdim=True) + eps)
    return matrix
