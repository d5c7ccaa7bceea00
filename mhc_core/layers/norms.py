"""Normalisation without learned gain. eps is the mHC paper's 1e-20, so that scale invariance is exact."""

from typing import Any

import torch
import torch.nn.functional as F

NORM_EPS = 1e-20


def normalise(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Return RMSNorm, x / sqrt(mean(x^2) + eps), or LayerNorm over the last axis."""
    if kind == "layernorm":
        return F.layer_norm(_within_range(x), x.shape[-1:], eps=NORM_EPS)
    found: torch.Tensor = _RmsNorm.apply(x)
    return found


def _within_range(x: torch.Tensor) -> torch.Tensor:
    """Return x divided by its largest |entry| of the last axis where that is above 1e10, so that squares do not
    overflow.

    For what does not depend on the scale of x: in float32 the square of 2e19 is infinite, and the gradient of a norm
    loses its digits from 1e14 on. Ordinary values pass bit for bit.
    """
    largest = x.detach().abs().amax(-1, keepdim=True)
    return x / torch.where(largest > 1e10, largest, 1.0)


def _rms_norm(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the normalised x and 1 / rms (..., 1), both float32 at least.

    The mean of squares is taken in float64: float32 states of any size keep their digits. float64 states are divided by
    their largest entry where that is above 1e100, as the square of 1e155 is infinite.
    """
    if x.dtype == torch.float64:
        largest = x.detach().abs().amax(-1, keepdim=True)
        unit = torch.where(largest > 1e100, largest, 1.0)
        norm = torch.linalg.vector_norm(x / unit, dim=-1, keepdim=True)
        scale = torch.rsqrt(norm.square() / x.shape[-1] + NORM_EPS) / unit
    else:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float64)
        scale = torch.rsqrt(norm.square() / x.shape[-1] + NORM_EPS).to(torch.float32)
    return x * scale, scale


class _RmsNorm(torch.autograd.Function):
    """One node of the graph, with its gradient by hand: on a CPU torch makes six of it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return x / rms(x) over the last axis, in the dtype of x."""
        found, scale = _rms_norm(x)
        ctx.save_for_backward(x, scale)
        return found.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to x: (g - y mean(g y)) / rms(x), for y = x / rms(x)."""
        x, inverse_rms = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone differentiates the gradient
            return torch.autograd.grad(_rms_norm(x)[0].to(x.dtype), x, grad, create_graph=True)[0]
        normed = x * inverse_rms
        along = torch.linalg.vecdot(grad.to(normed.dtype), normed).unsqueeze(-1) / x.shape[-1]
        return torch.addcmul(grad.to(normed.dtype), normed, along, value=-1).mul_(inverse_rms).to(x.dtype)
