"""Metrics of gradients in the backward pass. g = d loss / d x_l, the gradient at the state after the layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mhc_core.metric import OURS, Metric
from mhc_core.metrics.states import rms

if TYPE_CHECKING:
    import torch

METRICS = (
    Metric("grad_rms", "Gradient", "rms", "log", "L", "backward",
           "Size of the gradient along a shift common to all streams, the one that compares across expansion rates; "
           "of all parts side by side where streams are parts of the width, of the state where the other stream is the "
           "embedding. With attention over depth, at what the "
           "next layer reads, with earlier outputs fixed; of the input, at the embedding.",
           "rms(sum_i g[i]), g = d loss / d x_l", OURS, precision=(1e-5, 0.0)),
    Metric("grad_rms_streams", "Gradient per stream", "rms", "log", "Ln", "backward",
           "Size of the gradient of each stream.", "rms(g[i])", OURS, precision=(1e-5, 0.0)),
    Metric("branch_grad_rms", "Gradient at the branch input", "rms", "log", "L", "backward",
           "Size of the gradient at what the layer reads.", "rms(d loss / d u_l)", OURS, precision=(1e-5, 0.0)),
    Metric("param_grad_norm", "Parameter gradient", "norm", "log", "L", "backward",
           "Norm of the gradient of the branch's weights.", "||d loss / d W_l||_2", OURS, precision=(1e-5, 0.0)),
    Metric("grad_to_weight", "Gradient to weight", "ratio", "log", "L", "backward",
           "Parameter gradient over weight norm.", "||d loss / d W_l||_2 / ||W_l||_2", OURS, precision=(1e-5, 0.0)),
)  # fmt: skip


def measure_gradients(g_KnNC: torch.Tensor, merged_KNC: torch.Tensor) -> dict[str, torch.Tensor]:
    """Measure grad_rms (K) and grad_rms_streams (K, n) of gradients at K states.

    merged_KNC: the gradient with respect to the merged state.
    """
    return {"grad_rms": rms(merged_KNC), "grad_rms_streams": rms(g_KnNC)}


def measure_norms(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the norm of each tensor over all its entries, 0-d float64, on its device."""
    import torch

    # In float64, because a float32 sum of millions of squares is wrong in the third digit.
    with torch.no_grad():
        return list(torch._foreach_norm(list(tensors), 2, dtype=torch.float64))


def total_norm(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the norm of all entries of several tensors together, 0-d float64, on their device."""
    import torch

    return torch.linalg.vector_norm(torch.stack(measure_norms(tensors)))


def join_norms(groups: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Return the norm over all entries of each group of tensors, (K), from the norms of its tensors, 0-d each.

    At least one group must have a tensor. All groups are computed in two calls, because calls on small tensors are
    mostly overhead.
    """
    import torch

    longest, nothing = max(map(len, groups)), next(norm for group in groups for norm in group).new_zeros(())
    padded = [norm for group in groups for norm in (*group, *[nothing] * (longest - len(group)))]
    return torch.linalg.vector_norm(torch.stack(padded).view(len(groups), longest), dim=1)


def measure_groups(groups: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Return the norm over all entries of each of K groups of tensors, (K) float64, on their device."""
    norms = iter(measure_norms([tensor for group in groups for tensor in group]))
    return join_norms([list(islice(norms, len(group))) for group in groups])
