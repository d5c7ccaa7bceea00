"""Hyper-Connections (arXiv 2409.19606): unconstrained real mixing, static or with a dynamic part through a tanh.

The paper writes H = [[0, B], [A_m, A_r]] with rows of A_r indexing the input stream; our h_res is A_r transposed.
"""

import torch
from torch import nn

from mhc_core.layers.connection import Connection, Mixing, SampleMajor, StreamMajor
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.layers.norms import normalise
from mhc_core.spec import RunSpec

GATE = 0.01


def _build_initial_matrices(spec: RunSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the initial A_m (one-hot at l mod n), B = 1 and A_r = I plus noise of HC: (L, n), (L, n), (L, n, n)."""
    n = spec.connection.streams
    eye = torch.eye(n)
    a_m = eye[torch.arange(spec.depth) % n]
    return a_m, torch.ones(spec.depth, n), eye + draw_mixing_noise(spec, n * n).view(-1, n, n)


class StaticHC(StreamMajor):
    """Static HC: the coefficients are the parameters themselves."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        a_m, b, a_r = _build_initial_matrices(spec)
        self.a_m, self.b, self.a_r = nn.Parameter(a_m), nn.Parameter(b), nn.Parameter(a_r)

    def static_mixing(self) -> Mixing:
        return Mixing(self.a_m, self.b, self.a_r.transpose(1, 2))

    def stacked_parameters(self) -> list[nn.Parameter]:
        return [self.a_m, self.b, self.a_r]

    def raw_residual(self) -> nn.Parameter:
        return self.a_r


class DynamicHCLayer(nn.Module):
    """Coefficients of one layer for each sample: a static part plus s tanh(norm(x) W).

    The norm is over the C features of each stream. W = 0 and s = 0.01 at initialisation.
    """

    def __init__(self, a_m: torch.Tensor, b: torch.Tensor, a_r: torch.Tensor, width: int) -> None:
        super().__init__()
        n = len(b)
        self.a_m, self.b, self.a_r = nn.Parameter(a_m), nn.Parameter(b), nn.Parameter(a_r)
        self.w_m = nn.Parameter(torch.zeros(width, 1))
        self.w_b = nn.Parameter(torch.zeros(width, 1))
        self.w_r = nn.Parameter(torch.zeros(width, n))
        self.s_a = nn.Parameter(torch.tensor(GATE))
        self.s_b = nn.Parameter(torch.tensor(GATE))

    def forward(self, x_NnC: torch.Tensor) -> Mixing:
        """Return H_pre, H_post and H_res of hyper-connections for every sample: (N, n), (N, n), (N, n, n)."""
        normed = normalise(x_NnC, "rmsnorm")
        n = x_NnC.shape[1]
        raw = torch.tanh(normed @ torch.cat([self.w_m, self.w_b, self.w_r], dim=1))
        h_pre = self.a_m + self.s_a * raw[..., 0]
        h_post = self.b + self.s_b * raw[..., 1]
        a_r = self.a_r + self.s_a * raw[..., 2 : 2 + n]
        return Mixing(h_pre, h_post, a_r.transpose(1, 2).contiguous())


class DynamicHC(SampleMajor):
    """Dynamic HC, with one `DynamicHCLayer` per layer."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        initial = zip(*_build_initial_matrices(spec), strict=True)
        self.mixers = nn.ModuleList(
            DynamicHCLayer(a_m.clone(), b.clone(), a_r.clone(), spec.width) for a_m, b, a_r in initial
        )

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        """Return the coefficients of hyper-connections in one layer, computed from the state of every sample."""
        return self.mixers[layer](state.to(self.coefficient_dtype))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return list(self.mixers[layer].parameters())


def build_hc(spec: RunSpec) -> Connection:
    """Build hyper-connections for a spec, static or dynamic."""
    return DynamicHC(spec) if spec.connection.is_dynamic else StaticHC(spec)
