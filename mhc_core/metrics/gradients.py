"""Metrics of the gradients on their way down. g = d loss / d x_l, where the state leaves the layer."""

from collections.abc import Sequence
from itertools import islice

import torch

from mhc_core.metrics.states import rms


def measure_gradients(g_KnNC: torch.Tensor, merged_KNC: torch.Tensor) -> dict[str, torch.Tensor]:
    """grad_rms (K) and grad_rms_streams (K, n) of gradients at K states; `merged_KNC` is what the streams share."""
    return {"grad_rms": rms(merged_KNC), "grad_rms_streams": rms(g_KnNC)}


@torch.no_grad()
def measure_norms(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Norm of each tensor over all its entries, 0-d float64, without leaving the device."""
    # In float64: one float32 sum over millions of squares is off in the third digit.
    return list(torch._foreach_norm(list(tensors), 2, dtype=torch.float64))


def total_norm(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Norm of all entries of the tensors together, 0-d float64, without leaving the device."""
    return torch.linalg.vector_norm(torch.stack(measure_norms(tensors)))


def join_norms(groups: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Norm of all entries of each group of tensors, (K), from the norms of its tensors, 0-d each.

    In two calls for all groups: what is small is paid by the call.
    """
    longest, nothing = max(map(len, groups)), groups[0][0].new_zeros(())
    padded = [norm for group in groups for norm in (*group, *[nothing] * (longest - len(group)))]
    return torch.linalg.vector_norm(torch.stack(padded).view(len(groups), longest), dim=1)


def measure_groups(groups: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Norm of all entries of each group of tensors together, (K) float64, without leaving the device."""
    norms = iter(measure_norms([tensor for group in groups for tensor in group]))
    return join_norms([list(islice(norms, len(group))) for group in groups])
