"""Reads and writes of streams with separate coefficients for each sample. With hand-written gradients, a layer has two
nodes in the graph instead of ten.

Shapes: N samples, n streams, C width.
"""

from typing import Any

import torch


def read_streams(x_NnC: torch.Tensor, h_pre_Nn: torch.Tensor) -> torch.Tensor:
    """Return the branch inputs sum_j h_pre[j] x[j], (N, C), of streams (N, n, C) with weights for each sample."""
    return _Read.apply(x_NnC, h_pre_Nn)


def write_streams(
    x_NnC: torch.Tensor, y_NC: torch.Tensor, h_post_Nn: torch.Tensor, h_res_Nnn: torch.Tensor
) -> torch.Tensor:
    """Return the streams after a layer, sum_j h_res[i, j] x[j] + h_post[i] y, (N, n, C)."""
    return _Write.apply(x_NnC, y_NC, h_post_Nn, h_res_Nnn)


# `forward` has the context as an argument: with `setup_context` torch would inspect the arguments of each call, which
# takes longer than the computation. Only inputs are saved, and gradients consist of torch's operators, so that they can
# be differentiated again.


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, h_pre: torch.Tensor) -> torch.Tensor:
        """Return the sum of the streams (N, n, C), weighted for each sample, (N, C)."""
        ctx.save_for_backward(x, h_pre)
        return _sum_streams(h_pre, x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gradients with respect to the streams and to the weights of their sum."""
        x, h_pre = ctx.saved_tensors
        return h_pre.unsqueeze(2) * grad.unsqueeze(1), torch.linalg.vecdot(x, grad.unsqueeze(1))


class _Write(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor, h_post: torch.Tensor, h_res: torch.Tensor) -> torch.Tensor:
        """Return h_res x + h_post y of every sample, (N, n, C)."""
        ctx.save_for_backward(x, y, h_post, h_res)
        return torch.baddbmm(h_post.unsqueeze(2) * y.unsqueeze(1), h_res, x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the gradients of h_res x + h_post y with respect to x, y, h_post and h_res."""
        x, y, h_post, h_res = ctx.saved_tensors
        return (
            torch.bmm(h_res.mT, grad),
            _sum_streams(h_post, grad),
            torch.linalg.vecdot(grad, y.unsqueeze(1)),
            torch.bmm(grad, x.mT),
        )


def _sum_streams(h_Nn: torch.Tensor, x_NnC: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the streams of each sample, (N, C)."""
    # `bmm` of one row and one matrix per sample is several times slower.
    return (h_Nn.unsqueeze(2) * x_NnC).sum(1)
