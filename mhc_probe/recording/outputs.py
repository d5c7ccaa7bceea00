"""Find the loss and the logits in what a model returns."""

from collections.abc import Callable
from typing import Any

import torch

LossFunction = Callable[[Any], torch.Tensor]


def find_loss(output: Any, compute: LossFunction | None = None) -> torch.Tensor | None:
    """Return the loss in a model's output: the output itself or its attribute `loss`; None if there is none.

    compute: function that computes the loss from the output instead.
    """
    if compute is not None:
        return compute(output)
    loss = output if isinstance(output, torch.Tensor) else getattr(output, "loss", None)
    return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None


def find_logits(output: Any) -> torch.Tensor | None:
    """Return `logits` (..., V) of the output, without their graph; None if there are none."""
    logits = getattr(output, "logits", None)
    return logits.detach() if isinstance(logits, torch.Tensor) and logits.ndim > 1 else None


def keep_rows(logits: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return logits as (N, V), without those of padding if the mask has one value for each of them."""
    rows = logits.flatten(0, -2)
    return rows if mask is None or mask.numel() != len(rows) else rows[mask.flatten().to(rows.device)]
