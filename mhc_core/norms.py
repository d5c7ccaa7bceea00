"""Normalisation without learned gain. eps is the mHC paper's 1e-20, so that scale invariance is exact."""

import torch
import torch.nn.functional as F

NORM_EPS = 1e-20


def normalise(x: torch.Tensor, kind: str) -> torch.Tensor:
    """RMSNorm or LayerNorm over the last axis."""
    if kind == "rmsnorm":
        return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS)
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS)
