"""The projection from streams to the logits of dynamic mixing, with a hand-written gradient (mHC, arXiv 2512.24880,
Eq. 7).

Shapes: N samples, D = n C entries of a sample's streams, K logits in groups, one gate per group.
"""

from collections.abc import Sequence
from typing import Any

import torch


def project(
    v_ND: torch.Tensor, phi_DK: torch.Tensor, gates: torch.Tensor, biases: Sequence[torch.Tensor], eps: float
) -> tuple[torch.Tensor, ...]:
    """Return the logits of dynamic mixing, gate (v phi) / sqrt(mean(v^2) + eps) + bias: one contiguous (k, N) per
    group.

    The division is applied to the few logits, not to the many inputs. The mean of squares is computed in float64, so
    that float32 states of any size keep their precision in the forward and backward pass.

    Parameters
    ----------
    gates: a, one number per group.
    biases: b, one vector per group, with K entries in total.
    """
    return _Project.apply(eps, v_ND, phi_DK, gates, *biases)


def _project_plainly(
    eps: float, v: torch.Tensor, phi: torch.Tensor, gates: torch.Tensor, *biases: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Return the logits (K, N), and for the backward pass v phi / rms (K, N), 1 / rms (1, N) and gates (K, 1)."""
    norm = torch.linalg.vector_norm(v, dim=1, dtype=torch.float64)
    scale = torch.rsqrt(norm.square() / v.shape[1] + eps).to(v.dtype).unsqueeze(0)
    raw = (phi.T @ v.T) * scale
    spread = torch.cat([gate.expand(len(bias)) for gate, bias in zip(gates, biases, strict=True)]).unsqueeze(1)
    return torch.addcmul(torch.cat(biases).unsqueeze(1), raw, spread), raw, scale, spread


class _Project(torch.autograd.Function):
    """`project` as one node of the graph. Autograd would store four arrays of the size of v and many small ones."""

    @staticmethod
    def forward(ctx: Any, eps: float, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits of dynamic mixing, (k, N) for each group, from v, phi, gates and biases."""
        found, *kept = _project_plainly(eps, *tensors)
        ctx.eps = eps
        ctx.save_for_backward(*tensors, *kept)
        return found.split([len(bias) for bias in tensors[3:]])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients with respect to v, phi, the gates and the biases."""
        grad = torch.cat(grads)
        *tensors, raw, scale, spread = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated
            return None, *_differentiate_plainly(ctx, tensors, grad)
        v, phi, _, *biases = tensors
        sizes = [len(bias) for bias in biases]
        scaled = grad * spread * scale
        # The gradient through the norm is -v (grad . raw) / (D rms^2), computed in an order that cannot overflow.
        along = (scaled * raw).sum(0, keepdim=True) * (scale / -v.shape[1])
        to_v = torch.addmm(v * along.T, scaled.T, phi.T)
        to_gates = torch.stack([part.sum() for part in (grad * raw).split(sizes)])
        return None, to_v, (scaled @ v).T, to_gates, *grad.sum(1).split(sizes)


def _differentiate_plainly(ctx: Any, tensors: list[torch.Tensor], grad: torch.Tensor) -> list[torch.Tensor | None]:
    """Return the gradients of `project` by autograd through plain operators, which makes them differentiable."""
    plain = _project_plainly(ctx.eps, *tensors)[0]
    needed = ctx.needs_input_grad[1:]
    wanted = [tensor for tensor, is_needed in zip(tensors, needed, strict=True) if is_needed]
    grads = iter(torch.autograd.grad(plain, wanted, grad, create_graph=True))
    return [next(grads) if is_needed else None for is_needed in needed]
