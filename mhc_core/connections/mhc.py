"""Manifold-Constrained Hyper-Connections (mHC, arXiv 2512.24880, Eq. 7-9), static and dynamic.

h_pre = sigmoid(t_pre), h_post = 2 sigmoid(t_post), h_res = Sinkhorn(t_res). Dynamic logits are
t = a (v phi) / rms(v) + b with v = vec(x) over all n C entries; static ones are t = b.
"""

import torch
from torch import nn

from mhc_core.connections.base import Connection, Mixing, SampleMajor, StreamMajor
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.connections.presets import Preset, build_preset
from mhc_core.connections.sinkhorn import sinkhorn
from mhc_core.norms import NORM_EPS, normalise, within_range
from mhc_core.rng import normal
from mhc_core.spec import RunSpec


def _to_mixing(t_pre: torch.Tensor, t_post: torch.Tensor, t_res: torch.Tensor, rounds: int, eps: float) -> Mixing:
    return Mixing(torch.sigmoid(t_pre) + eps, 2 * torch.sigmoid(t_post), sinkhorn(t_res, rounds, eps))


class StaticMHC(StreamMajor):
    """No projection: the biases are the logits. All layers go through Sinkhorn as one batch."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, spec.connection.streams)
        preset = build_preset(spec)
        self.rounds, self.eps = spec.connection.sinkhorn_iters, spec.connection.sinkhorn_eps
        self.b_pre, self.b_post = nn.Parameter(preset.b_pre), nn.Parameter(preset.b_post)
        self.b_res = nn.Parameter(preset.b_res + draw_mixing_noise(spec))
        self.head_base = nn.Parameter(torch.zeros(self.n)) if preset.learned_head else None

    def static_mixing(self) -> Mixing:
        return _to_mixing(self.b_pre, self.b_post, self.b_res, self.rounds, self.eps)

    def stacked_parameters(self) -> list[nn.Parameter]:
        return [self.b_pre, self.b_post, self.b_res]

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        if self.head_base is None:
            return super().reduce(state)
        weights = torch.sigmoid(self.head_base) + self.eps
        return torch.einsum("n,nsc->sc", weights, state.to(weights.dtype)).to(state.dtype)


class DynamicMHCLayer(nn.Module):
    """Logits of one layer from the state. `a` holds the gates of pre, post and res."""

    def __init__(self, preset: Preset, b_res: torch.Tensor, layer: int, rounds: int, eps: float) -> None:
        super().__init__()
        self.rounds, self.eps, self.norm_per_stream = rounds, eps, preset.norm_per_stream
        self.norm_eps = NORM_EPS
        self.phi = nn.Parameter(preset.project(layer))
        self.b_pre = nn.Parameter(preset.b_pre[layer].clone())
        self.b_post = nn.Parameter(preset.b_post[layer].clone())
        self.b_res = nn.Parameter(b_res.clone())
        self.a = nn.Parameter(torch.full((3,), preset.gate))

    def forward(self, x_NnC: torch.Tensor) -> Mixing:
        """Coefficients of every sample: (N, n), (N, n), (N, n, n)."""
        samples, n, _ = x_NnC.shape
        if self.norm_per_stream:
            x_NnC = normalise(x_NnC, "rmsnorm")
        v = within_range(x_NnC.flatten(1))
        # Project first, then divide the few logits instead of the n C inputs.
        raw = (v @ self.phi) * torch.rsqrt(v.square().mean(1, keepdim=True) + self.norm_eps)
        pre, post, res = raw.split([n, n, n * n], dim=1)
        a_pre, a_post, a_res = self.a.unbind()
        return _to_mixing(
            torch.addcmul(self.b_pre, pre, a_pre),
            torch.addcmul(self.b_post, post, a_post),
            torch.addcmul(self.b_res, res.view(samples, n, n), a_res),
            self.rounds,
            self.eps,
        )


class LearnedHead(nn.Module):
    """DeepSeek-V4's collapse: sum_i (sigmoid(a (v phi) / rms(v) + b) + eps)_i x[i]."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        n = spec.connection.streams
        self.eps = spec.connection.sinkhorn_eps
        self.norm_eps = NORM_EPS
        self.phi = nn.Parameter(normal(spec.seed, "head_phi", -1, n * spec.width, n) * 0.02)
        self.b = nn.Parameter(torch.zeros(n))
        self.a = nn.Parameter(torch.ones(()))

    def forward(self, x_NnC: torch.Tensor) -> torch.Tensor:
        """(N, n, C) to (N, C)."""
        v = within_range(x_NnC.flatten(1))
        raw = (v @ self.phi) * torch.rsqrt(v.square().mean(1, keepdim=True) + self.norm_eps)
        weights = torch.sigmoid(raw * self.a + self.b) + self.eps
        return torch.bmm(weights.unsqueeze(1), x_NnC).squeeze(1)


class DynamicMHC(SampleMajor):
    """One `DynamicMHCLayer` a layer."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, spec.connection.streams)
        preset = build_preset(spec)
        b_res = preset.b_res + draw_mixing_noise(spec)
        rounds, eps = spec.connection.sinkhorn_iters, spec.connection.sinkhorn_eps
        self.mixers = nn.ModuleList(
            DynamicMHCLayer(preset, b_res[layer], layer, rounds, eps) for layer in range(spec.depth)
        )
        self.head = LearnedHead(spec) if preset.learned_head else None

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        mixing: Mixing = self.mixers[layer](state.to(self.coefficient_dtype))
        return mixing

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return list(self.mixers[layer].parameters())

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        if self.head is None:
            return super().reduce(state)
        out: torch.Tensor = self.head(state.to(self.coefficient_dtype))
        return out.to(state.dtype)


def build_mhc(spec: RunSpec) -> Connection:
    """mHC by the spec's `dynamic`."""
    return DynamicMHC(spec) if spec.connection.dynamic else StaticMHC(spec)
