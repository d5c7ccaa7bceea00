"""RMSNorm and LayerNorm without learned gain. eps is 1e-20, as in the mHC paper, so that scale invariance is exact."""

from typing import Any

import torch
import torch.nn.functional as F

NORM_EPS = 1e-20


def normalise(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the RMSNorm of x, x / sqrt(mean(x^2) + eps), or its LayerNorm, over the last axis."""
    if kind == "layernorm":
        return F.layer_norm(_within_range(x), x.shape[-1:], eps=NORM_EPS)
    return _RmsNorm.apply(x)


def _within_range(x: torch.Tensor) -> torch.Tensor:
    """Return x divided by the largest |entry| along its last axis if that is above 1e10, so that squares do not
    overflow.

    Only for functions that do not depend on the scale of x. In float32 the square of 2e19 is infinite, and the gradient
    of a norm is inaccurate from 1e14 on. Smaller values do not change.
    """
    largest = x.detach().abs().amax(-1, keepdim=True)
    return x / torch.where(largest > 1e10, largest, 1.0)


def _rms_norm(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x / rms and 1 / rms (..., 1), both at least float32.

    The mean of squares is computed in float64, so that float32 states of any size keep their precision. float64 states
    whose largest entry is above 1e100 are first divided by it, because the square of 1e155 is infinite.
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
    """RMSNorm as one node of the graph, with a hand-written gradient. On a CPU, torch's operators make six nodes."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Return x / rms(x), over the last axis, in the dtype of x."""
        found, scale = _rms_norm(x)
        ctx.save_for_backward(x, scale)
        return found.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to x: (g - y mean(g y)) / rms(x), for y = x / rms(x)."""
        x, inverse_rms = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            return torch.autograd.grad(_rms_norm(x)[0].to(x.dtype), x, grad, create_graph=True)[0]
        normed = x * inverse_rms
        along = torch.linalg.vecdot(grad.to(normed.dtype), normed).unsqueeze(-1) / x.shape[-1]
        return torch.addcmul(grad.to(normed.dtype), normed, along, value=-1).mul_(inverse_rms).to(x.dtype)
