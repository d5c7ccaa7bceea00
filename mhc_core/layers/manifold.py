"""Mixing with constrained H_res, as in mHC and all families that have a map (mHC, arXiv 2512.24880, Eq. 7).

In all of them h_pre = sigmoid(t_pre) and h_post = 2 sigmoid(t_post). The family's map turns the raw residual logits
into h_res. Dynamic logits are t = a (v phi) / rms(v) + b, where v = vec(x) has all n C entries; static logits are
t = b.

Logits and maps are computed in the type `connection.mapping_dtype`; parameters and coefficients have the connection's
type. There are two exceptions, which are always computed in float64: rms(v), a sum over many entries, and maps whose
rounding errors no later step corrects, such as those through orthogonal matrices.
"""

from collections.abc import Callable

import torch
from torch import nn

from mhc_core.family import ResidualMap
from mhc_core.layers.connection import Mixing, SampleMajor, StreamMajor
from mhc_core.layers.inits import InitialMixing, build_preset
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.layers.norms import NORM_EPS, normalise
from mhc_core.layers.projection import project
from mhc_core.spec import RunSpec


def draw_logits(spec: RunSpec, residual_map: ResidualMap, certainty: float) -> torch.Tensor:
    """Return the initial raw logits of H_res of all layers, including the drift, (L, m)."""
    start = torch.tensor(residual_map.start(certainty))
    return start + draw_mixing_noise(spec, len(start))


def find_mapping_dtype(spec: RunSpec) -> torch.dtype | None:
    """Return the dtype in which logits are mapped to H_res; None for the dtype of the coefficients."""
    return {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}[spec.connection.mapping_dtype]


class StaticManifold(StreamMajor):
    """Static mixing: the biases are the logits. All layers are mapped as one batch."""

    def __init__(self, spec: RunSpec, residual_map: ResidualMap) -> None:
        super().__init__(spec, residual_map.eps)
        preset = build_preset(spec)
        self.residual_map, self.mapping_dtype = residual_map, find_mapping_dtype(spec)
        self.b_pre, self.b_post = nn.Parameter(preset.b_pre), nn.Parameter(preset.b_post)
        self.b_res = nn.Parameter(draw_logits(spec, residual_map, preset.certainty))

    def static_mixing(self) -> Mixing:
        """Return H_pre, H_post and H_res of all layers from the biases; H_res by the family's map."""
        dtype = self.mapping_dtype or self.coefficient_dtype
        t_pre, t_post, t_res = (bias.to(dtype) for bias in (self.b_pre, self.b_post, self.b_res))
        return _to_mixing(t_pre, t_post, t_res, self.residual_map, self.coefficient_dtype)

    def stacked_parameters(self) -> list[nn.Parameter]:
        return [self.b_pre, self.b_post, *([self.b_res] if self.b_res.numel() else [])]

    def residual_logits(self, layer: int) -> nn.Parameter | None:
        return self.b_res if self.b_res.numel() else None


class DynamicManifoldLayer(nn.Module):
    """Computes the mixing of one layer from the state. `a` contains the gates of pre, post and res.

    `listener`, if set, is called with the residual logits (N, m) in each forward pass.
    """

    def __init__(
        self,
        preset: InitialMixing,
        b_res: torch.Tensor,
        layer: int,
        residual_map: ResidualMap,
        mapping_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.residual_map, self.norm_per_stream, self.norm_eps = residual_map, preset.norm_per_stream, NORM_EPS
        self.mapping_dtype = mapping_dtype
        self.listener: Callable[[torch.Tensor], None] | None = None
        self.phi = nn.Parameter(preset.project(layer, len(b_res)))
        self.b_pre = nn.Parameter(preset.b_pre[layer].clone())
        self.b_post = nn.Parameter(preset.b_post[layer].clone())
        self.b_res = nn.Parameter(b_res.clone())
        self.a = nn.Parameter(torch.full((3,), preset.gate))

    def forward(self, x_NnC: torch.Tensor) -> Mixing:
        """Return H_pre, H_post and H_res of every sample, (N, n), (N, n), (N, n, n), from its streams."""
        given, dtype = x_NnC.dtype, self.mapping_dtype or x_NnC.dtype
        x_NnC = x_NnC.to(dtype)
        if self.norm_per_stream:
            x_NnC = normalise(x_NnC, "rmsnorm")
        phi, a, *biases = (part.to(dtype) for part in (self.phi, self.a, self.b_pre, self.b_post, self.b_res))
        t_pre, t_post, t_res = project(x_NnC.flatten(1), phi, a, biases, self.norm_eps)
        if self.listener is not None:
            self.listener(t_res.T)
        return _to_mixing(t_pre.T, t_post.T, t_res.T, self.residual_map, given)


class DynamicManifold(SampleMajor):
    """Dynamic mixing, with one `DynamicManifoldLayer` per layer."""

    def __init__(self, spec: RunSpec, residual_map: ResidualMap) -> None:
        super().__init__(spec, residual_map.eps)
        preset, dtype = build_preset(spec), find_mapping_dtype(spec)
        b_res = draw_logits(spec, residual_map, preset.certainty)
        self.residual_map = residual_map
        self.mixers = nn.ModuleList(
            DynamicManifoldLayer(preset, b_res[layer], layer, residual_map, dtype) for layer in range(spec.depth)
        )

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        """Return H_pre, H_post and H_res of one layer, computed from the state of every sample."""
        return self.mixers[layer](state.to(self.coefficient_dtype))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return [parameter for parameter in self.mixers[layer].parameters() if parameter.numel()]

    def residual_logits(self, layer: int) -> nn.Parameter | None:
        """Return the bias of the logits of H_res in one layer; None if the family has no logits."""
        mixer = self.mixers[layer]
        assert isinstance(mixer, DynamicManifoldLayer)
        return mixer.b_res if mixer.b_res.numel() else None


def _to_mixing(
    t_pre: torch.Tensor, t_post: torch.Tensor, t_res: torch.Tensor, residual_map: ResidualMap, dtype: torch.dtype
) -> Mixing:
    """Convert logits to H_pre, H_post and H_res of this dtype."""
    h_pre = to_reads(t_pre, residual_map.eps)
    return Mixing(h_pre.to(dtype), (2 * torch.sigmoid(t_post)).to(dtype), residual_map(t_res).to(dtype))


def to_reads(t_pre: torch.Tensor, eps: float) -> torch.Tensor:
    """Convert logits to H_pre, in the dtype of the logits: a sigmoid plus eps."""
    h_pre = torch.sigmoid(t_pre)
    return h_pre + eps if eps else h_pre
