"""Gated Residual: a layer reads every feature of every stream with a gate of its own, and streams are not mixed.

    v_i = x_i / rms(x_i),  g = sigmoid(W_up silu(W_down v / n)),  u = 1/n sum_i g_i * v_i
    x'_i = x_i + w_i F(u),  w = 2 sigmoid(W_post v / n)

v is all v_i in one vector of n C entries, g has as many. The same read with other weights makes the stack's output of
the last state. Formulas as in `Qwen4ExpTextGatedResidual` of transformers, without the learned gain of its norm, which
starts at 1. Its weights start as there, N(0, 0.02^2).

What a layer reads is linear in the streams but for their norms: the weight of a feature is g / (n rms(x_i)).
Shapes: N samples, n streams, C width, R rank of the gates.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.layers.connection import Connection, GatedMixing, SampleMajor
from mhc_core.layers.norms import NORM_EPS
from mhc_core.rng import normal
from mhc_core.spec import RunSpec

STD = 0.02


class FeatureGates(nn.Module):
    """Weights with which each feature of each stream is read; `layer` names their draws, -1 those of the head."""

    def __init__(self, spec: RunSpec, layer: int) -> None:
        super().__init__()
        self.n, entries, rank = spec.streams, spec.streams * spec.width, spec.connection.gate_rank
        self.w_down = nn.Parameter(normal(spec.seed, "gate_down", layer, rank, entries) * STD)
        self.w_up = nn.Parameter(normal(spec.seed, "gate_up", layer, entries, rank) * STD)

    def weigh(self, v_ND: torch.Tensor, inverse_Nn: torch.Tensor) -> torch.Tensor:
        """Return the gates of single features over n rms, (N, n, C), made from all streams, and 1 / rms of each."""
        low = F.silu(v_ND @ self.w_down.T / self.n)
        gates = torch.sigmoid(low @ self.w_up.T).unflatten(1, (self.n, -1))
        return gates * (inverse_Nn / self.n).unsqueeze(2)

    def forward(self, x_NnC: torch.Tensor) -> torch.Tensor:
        """Return the sum of the streams with a gate for every feature, (N, C)."""
        return (self.weigh(*normalise_streams(x_NnC)) * x_NnC).sum(1)


class GatedLayer(FeatureGates):
    """One layer's gates, and the weights with which its output is written."""

    def __init__(self, spec: RunSpec, layer: int) -> None:
        super().__init__(spec, layer)
        self.w_post = nn.Parameter(normal(spec.seed, "gate_post", layer, self.n, self.n * spec.width) * STD)

    def mix(self, x_NnC: torch.Tensor) -> GatedMixing:
        """Return the gates of features, H_post and H_res of every sample from its streams (N, n, C)."""
        v_ND, inverse_Nn = normalise_streams(x_NnC)
        weights = self.weigh(v_ND, inverse_Nn)
        h_post = 2 * torch.sigmoid(v_ND @ self.w_post.T / self.n)
        eye = torch.eye(self.n, dtype=v_ND.dtype, device=v_ND.device)
        return GatedMixing(weights.detach().mean(2), h_post, eye.expand(len(v_ND), -1, -1).contiguous(), weights)


def normalise_streams(x_NnC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each stream over its root mean square, all in one vector (N, n C), and 1 / rms (N, n).

    The mean of squares is taken in float64, so that float32 streams of any size keep their digits.
    """
    norm = torch.linalg.vector_norm(x_NnC, dim=2, dtype=torch.float64)
    inverse = torch.rsqrt(norm.square() / x_NnC.shape[2] + NORM_EPS).to(x_NnC.dtype)
    return (x_NnC * inverse.unsqueeze(2)).flatten(1), inverse


class GatedHead(nn.Module):
    """The output as a gated read of the streams, with weights of its own."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.gates = FeatureGates(spec, -1)

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        """Return the output (N, C) of the stack: the sum of the streams (n, N, C), gated for each feature."""
        x_NnC = x_nNC.transpose(0, 1).to(self.gates.w_down.dtype)
        found: torch.Tensor = self.gates(x_NnC)
        return found.to(x_nNC.dtype)


class GatedResidual(SampleMajor):
    """One `GatedLayer` a layer."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        if spec.output == "head":
            self.output = GatedHead(spec)
        self.mixers = nn.ModuleList(GatedLayer(spec, layer) for layer in range(spec.depth))

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> GatedMixing:
        """Return the gates of one layer, computed from the state of every sample."""
        mixer = self.mixers[layer]
        assert isinstance(mixer, GatedLayer)
        return mixer.mix(state.to(self.coefficient_dtype))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return list(self.mixers[layer].parameters())

    def read(self, state: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the branch input (N, C): the sum of the streams, each feature with a gate of its own."""
        assert isinstance(mixing, GatedMixing)
        return (mixing.features * state.to(mixing.features.dtype)).sum(1).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the state after a layer: each stream plus H_post times the branch output."""
        added = mixing.h_post.unsqueeze(2) * y_NC.unsqueeze(1).to(mixing.h_post.dtype)
        return (state.to(added.dtype) + added).to(state.dtype)


def build_gated(spec: RunSpec) -> Connection:
    """Build the connection of the family `gated` for a spec."""
    return GatedResidual(spec)
