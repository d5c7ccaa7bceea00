"""Merges the streams into the stack's output: their mean, their sum, or DeepSeek-V4's learned head.

Each module here maps the streams (n, N, C) to the output (N, C).
"""

import torch
from torch import nn

from mhc_core.layers.norms import NORM_EPS
from mhc_core.layers.projection import project
from mhc_core.rng import normal
from mhc_core.spec import RunSpec

HEAD_STD = 0.02


class MeanOutput(nn.Module):
    """The mean over streams."""

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        return x_nNC.mean(0)


class SumOutput(nn.Module):
    """The sum over streams, as in HC (arXiv 2409.19606)."""

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        return x_nNC.sum(0)


class StaticHead(nn.Module):
    """The learned head for static mixing, with the same weights for all tokens: sum_i (sigmoid(b) + eps)_i x[i]."""

    def __init__(self, spec: RunSpec, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.b = nn.Parameter(torch.zeros(spec.connection.streams))

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C): the streams (n, N, C), weighted by learned sigmoids and summed."""
        weights = torch.sigmoid(self.b) + self.eps
        return torch.einsum("n,nsc->sc", weights, x_nNC.to(weights.dtype)).to(x_nNC.dtype)


class DynamicHead(nn.Module):
    """DeepSeek-V4's head, with weights computed from each sample.

    sum_i (sigmoid(a (v phi) / rms(v) + b) + eps)_i x[i],  v = vec(x) over all n C entries
    """

    def __init__(self, spec: RunSpec, eps: float) -> None:
        super().__init__()
        n = spec.connection.streams
        self.eps, self.norm_eps = eps, NORM_EPS
        self.phi = nn.Parameter(normal(spec.seed, "head_phi", -1, n * spec.width, n) * HEAD_STD)
        self.b = nn.Parameter(torch.zeros(n))
        self.a = nn.Parameter(torch.ones(()))

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C): the streams (n, N, C), summed with weights computed from each sample."""
        x_NnC = x_nNC.transpose(0, 1).to(self.phi.dtype)
        (logits,) = project(x_NnC.flatten(1), self.phi, self.a.unsqueeze(0), (self.b,), self.norm_eps)
        weights = torch.sigmoid(logits.T) + self.eps
        return torch.bmm(weights.unsqueeze(1), x_NnC).squeeze(1).to(x_nNC.dtype)


def build_output(spec: RunSpec, eps: float = 0.0) -> nn.Module:
    """Build the module that merges the streams into the stack's output; `eps` is added to the weights of a head."""
    if spec.output == "head":
        return DynamicHead(spec, eps) if spec.connection.is_dynamic else StaticHead(spec, eps)
    return SumOutput() if spec.output == "sum" else MeanOutput()
