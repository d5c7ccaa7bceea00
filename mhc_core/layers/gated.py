"""Gated Residual: a layer reads each feature of each stream with a separate gate, and streams are not mixed.

    v_i = x_i / rms(x_i),  g = sigmoid(W_up silu(W_down v / n)),  u = 1/n sum_i g_i * v_i
    x'_i = x_i + w_i F(u),  w = 2 sigmoid(W_post v / n)

v is the concatenation of all v_i, with n C entries; g has the same shape. The same read, with other weights, computes
the stack's output from the last state. Formulas as in `Qwen4ExpTextGatedResidual` of transformers, without the learned
gain of its norm, which starts at 1. Initial weights are N(0, 0.02^2), as in that code.

For given gates and norms, what a layer reads is linear in the streams: the weight of a feature is g / (n rms(x_i)).
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
    """Computes the gates with which each feature of each stream is read.

    `layer` is part of the seed of the initial weights; -1 is the head.
    """

    def __init__(self, spec: RunSpec, layer: int) -> None:
        super().__init__()
        self.n, entries, rank = spec.streams, spec.streams * spec.width, spec.connection.gate_rank
        self.w_down = nn.Parameter(normal(spec.seed, "gate_down", layer, rank, entries) * STD)
        self.w_up = nn.Parameter(normal(spec.seed, "gate_up", layer, entries, rank) * STD)

    def weigh(self, v_ND: torch.Tensor, inverse_Nn: torch.Tensor) -> torch.Tensor:
        """Return the weights of features, gate / (n rms), (N, n, C).

        v_ND: the normalised streams in one vector, D = n C. inverse_Nn: 1 / rms of each stream.
        """
        low = F.silu(v_ND @ self.w_down.T / self.n)
        gates = torch.sigmoid(low @ self.w_up.T).unflatten(1, (self.n, -1))
        return gates * (inverse_Nn / self.n).unsqueeze(2)

    def forward(self, x_NnC: torch.Tensor) -> torch.Tensor:
        """Return the sum of the streams, each feature weighted by its gate, (N, C)."""
        return (self.weigh(*normalise_streams(x_NnC)) * x_NnC).sum(1)


class GatedLayer(FeatureGates):
    """The coefficients of one layer: gates for the read, and H_post with which its output is written."""

    def __init__(self, spec: RunSpec, layer: int) -> None:
        super().__init__(spec, layer)
        self.w_post = nn.Parameter(normal(spec.seed, "gate_post", layer, self.n, self.n * spec.width) * STD)

    def mix(self, x_NnC: torch.Tensor) -> GatedMixing:
        """Return the weights of features, H_post and H_res of each sample, computed from its streams (N, n, C)."""
        v_ND, inverse_Nn = normalise_streams(x_NnC)
        weights = self.weigh(v_ND, inverse_Nn)
        h_post = 2 * torch.sigmoid(v_ND @ self.w_post.T / self.n)
        eye = torch.eye(self.n, dtype=v_ND.dtype, device=v_ND.device)
        return GatedMixing(weights.detach().mean(2), h_post, eye.expand(len(v_ND), -1, -1).contiguous(), weights)


def normalise_streams(x_NnC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the streams divided by their root mean squares, concatenated to (N, n C), and 1 / rms (N, n).

    The mean of squares is computed in float64, so that float32 streams of any size keep their precision.
    """
    norm = torch.linalg.vector_norm(x_NnC, dim=2, dtype=torch.float64)
    inverse = torch.rsqrt(norm.square() / x_NnC.shape[2] + NORM_EPS).to(x_NnC.dtype)
    return (x_NnC * inverse.unsqueeze(2)).flatten(1), inverse


class GatedHead(nn.Module):
    """The read-out of Gated Residual: a gated sum of the streams, with separate weights."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.gates = FeatureGates(spec, -1)

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C): the sum of the streams (n, N, C), each feature weighted by its gate."""
        x_NnC = x_nNC.transpose(0, 1).to(self.gates.w_down.dtype)
        found: torch.Tensor = self.gates(x_NnC)
        return found.to(x_nNC.dtype)


class GatedResidual(SampleMajor):
    """The connection of Gated Residual, with one `GatedLayer` per layer."""

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
        """Return the branch input (N, C): the sum of the streams, each feature weighted by its gate."""
        assert isinstance(mixing, GatedMixing)
        return (mixing.features * state.to(mixing.features.dtype)).sum(1).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> torch.Tensor:
        """Return the state after a layer: each stream plus H_post times the branch output."""
        added = mixing.h_post.unsqueeze(2) * y_NC.unsqueeze(1).to(mixing.h_post.dtype)
        return (state.to(added.dtype) + added).to(state.dtype)


def build_gated(spec: RunSpec) -> Connection:
    """Build the connection of the family `gated` for a spec."""
    return GatedResidual(spec)
