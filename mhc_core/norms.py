"""Normalisation without learned gain. eps is the mHC paper's 1e-20, so that scale invariance is exact."""

import torch
import torch.nn.functional as F

NORM_EPS = 1e-20


def within_range(x: torch.Tensor) -> torch.Tensor:
    """x, divided by its largest entry over the last axis where that is above 1e10.

    For what does not depend on the scale of x: in float32 the square of 2e19 is infinite, and the gradient of a norm
    loses its digits from 1e14 on. Ordinary values pass bit for bit.
    """
    largest = x.detach().abs().amax(-1, keepdim=True)
    return x / torch.where(largest > 1e10, largest, 1.0)


def normalise(x: torch.Tensor, kind: str) -> torch.Tensor:
    """RMSNorm or LayerNorm over the last axis."""
    x = within_range(x)
    if kind == "rmsnorm":
        return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS)
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS)
