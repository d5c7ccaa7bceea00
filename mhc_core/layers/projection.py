"""The projection behind dynamic coefficients, with its gradient by hand (mHC, arXiv 2512.24880, Eq. 7).

Shapes: N samples, D = n C entries of a sample's streams, K logits in groups, each with a gate of its own.
"""

from collections.abc import Sequence
from typing import Any

import torch


def project(
    v_ND: torch.Tensor, phi_DK: torch.Tensor, gates: torch.Tensor, biases: Sequence[torch.Tensor], eps: float
) -> tuple[torch.Tensor, ...]:
    """Return the logits of dynamic mixing, gate (v phi) / sqrt(mean(v^2) + eps) + bias, as a contiguous (k, N) for
    each group.

    The few logits are divided instead of the many inputs. The mean of squares is taken in float64, so that float32
    states of any size keep their digits, there and back.

    Parameters
    ----------
    gates: a, one number a group.
    biases: b, one vector a group; together K entries.
    """
    found: tuple[torch.Tensor, ...] = _Project.apply(eps, v_ND, phi_DK, gates, *biases)
    return found


def _project_plainly(
    eps: float, v: torch.Tensor, phi: torch.Tensor, gates: torch.Tensor, *biases: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The logits (K, N), and for the backward pass v phi / rms (K, N), 1 / rms (1, N) and gates (K, 1)."""
    norm = torch.linalg.vector_norm(v, dim=1, dtype=torch.float64)
    scale = torch.rsqrt(norm.square() / v.shape[1] + eps).to(v.dtype).unsqueeze(0)
    raw = (phi.T @ v.T) * scale
    spread = torch.cat([gate.expand(len(bias)) for gate, bias in zip(gates, biases, strict=True)]).unsqueeze(1)
    return torch.addcmul(torch.cat(biases).unsqueeze(1), raw, spread), raw, scale, spread


class _Project(torch.autograd.Function):
    """One node of the graph: autograd would keep and walk four arrays of the size of v, and many small ones."""

    @staticmethod
    def forward(ctx: Any, eps: float, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits of dynamic mixing, (k, N) for each group, from normed samples v and projection phi."""
        found, *kept = _project_plainly(eps, *tensors)
        ctx.eps = eps
        ctx.save_for_backward(*tensors, *kept)
        return found.split([len(bias) for bias in tensors[3:]])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the logits of dynamic mixing at v, phi, the gates and the biases."""
        grad = torch.cat(grads)
        *tensors, raw, scale, spread = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone differentiates the gradient
            return None, *_differentiate_plainly(ctx, tensors, grad)
        v, phi, _, *biases = tensors
        sizes = [len(bias) for bias in biases]
        scaled = grad * spread * scale
        # The norm's part is -v (grad . raw) / (D rms^2): each of its factors stays in range.
        along = (scaled * raw).sum(0, keepdim=True) * (scale / -v.shape[1])
        to_v = torch.addmm(v * along.T, scaled.T, phi.T)
        to_gates = torch.stack([part.sum() for part in (grad * raw).split(sizes)])
        return None, to_v, (scaled @ v).T, to_gates, *grad.sum(1).split(sizes)


def _differentiate_plainly(ctx: Any, tensors: list[torch.Tensor], grad: torch.Tensor) -> list[torch.Tensor | None]:
    """Return the gradients of dynamic mixing's logits through plain operators, to be differentiated once more."""
    plain = _project_plainly(ctx.eps, *tensors)[0]
    needed = ctx.needs_input_grad[1:]
    wanted = [tensor for tensor, is_needed in zip(tensors, needed, strict=True) if is_needed]
    grads = iter(torch.autograd.grad(plain, wanted, grad, create_graph=True))
    return [next(grads) if is_needed else None for is_needed in needed]
