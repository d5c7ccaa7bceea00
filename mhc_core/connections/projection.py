"""The projection behind dynamic coefficients, with its gradient by hand (mHC, arXiv 2512.24880, Eq. 7).

Shapes: N samples, D = n C entries of a sample's streams, K logits.
"""

from typing import Any

import torch


def project(v_ND: torch.Tensor, phi_DK: torch.Tensor, eps: float) -> torch.Tensor:
    """(v phi) / sqrt(mean(v^2) + eps), (N, K): the few logits are divided instead of the many inputs.

    The mean of squares is taken in float64, so that float32 states of any size keep their digits, there and back.
    """
    found_KN: torch.Tensor = _Project.apply(v_ND, phi_DK, eps)[0]
    return found_KN.T


def _project_plainly(v: torch.Tensor, phi: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits as (K, N), and 1 / rms (1, N): what follows sums over few logits, which should lie apart."""
    norm = torch.linalg.vector_norm(v, dim=1, dtype=torch.float64)
    scale = torch.rsqrt(norm.square() / v.shape[1] + eps).to(v.dtype).unsqueeze(0)
    return (phi.T @ v.T) * scale, scale


class _Project(torch.autograd.Function):
    """One node of the graph: autograd would keep and walk four arrays of the size of v."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: torch.Tensor, phi: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
        return _project_plainly(v, phi, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        v, phi, ctx.eps = inputs
        found, scale = output
        ctx.save_for_backward(v, phi, found, scale)
        ctx.mark_non_differentiable(scale)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        v, phi, found, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone differentiates the gradient
            wanted = [item if needed else None for item, needed in zip((v, phi), ctx.needs_input_grad, strict=False)]
            plain, _ = _project_plainly(v, phi, ctx.eps)
            left = [item for item in wanted if item is not None]
            grads = iter(torch.autograd.grad(plain, left, grad, create_graph=True))
            to_v, to_phi = (None if item is None else next(grads) for item in wanted)
            return to_v, to_phi, None
        scaled = grad * scale
        # The norm's part is -v (grad . found) / (D rms^2): each of its factors stays in range.
        along = (scaled * found).sum(0, keepdim=True) * (scale / -v.shape[1])
        return torch.addmm(v * along.T, scaled.T, phi.T), (scaled @ v).T, None
