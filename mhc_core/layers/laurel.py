"""LAuReL: learned weights of the branch and of the skip path, and a low-rank map on the skip path.

    x' = a F(x) + b (x + x A B),  (a, b) = 2 softmax(w)

A is (C, R), and B (R, C) starts at 0. Formulas as in the code that `mhc_core/families/laurel.py` names. H_post is a and
H_res is b. The term x A B acts on features, so no coefficient of a whole stream contains it.

Shapes: L layers, N samples, C width, R rank.
"""

import math

import torch
from torch import nn

from mhc_core.layers.connection import Connection, Mixing, SingleStream
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.spec import RunSpec


class AugmentedResidual(SingleStream):
    """LAuReL's connection: one stream, layout (N, C). The parameters of layer l are `weights.l`, `down.l`, `up.l`."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        rank = spec.connection.gate_rank
        self.weights = nn.ParameterList(nn.Parameter(draw.clone()) for draw in draw_mixing_noise(spec, 2))
        self.down = nn.ParameterList(nn.Parameter(build_down(spec.width, rank)) for _ in range(spec.depth))
        self.up = nn.ParameterList(nn.Parameter(torch.zeros(rank, spec.width)) for _ in range(spec.depth))
        self.register_buffer("one", torch.ones(1))

    def static_mixing(self) -> Mixing | None:
        return None

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        """Return LAuReL's weights of one layer: H_post = a and H_res = b, (a, b) = 2 softmax(w)."""
        a, b = (2 * torch.softmax(self.weights[layer], 0)).unbind()
        return Mixing(self.get_buffer("one"), a.view(1), b.view(1, 1))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return [self.weights[layer], self.down[layer], self.up[layer]]

    def leave(self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> tuple[torch.Tensor, Mixing]:
        """Return the state after a layer, a y + b (x + x A B), and LAuReL's weights a and b."""
        x = state.to(mixing.h_res.dtype)
        passed = x + x @ self.down[layer] @ self.up[layer]
        return (mixing.h_post * y_NC.to(x.dtype) + mixing.h_res[0] * passed).to(state.dtype), mixing


def build_down(width: int, rank: int) -> torch.Tensor:
    """Return the initial A, (C, R): row i has one nonzero entry, 1 / sqrt(R C), in column i mod R."""
    down = torch.zeros(width, rank, dtype=torch.float64)
    rows = torch.arange(width)
    down[rows, rows % rank] = 1 / math.sqrt(rank * width)
    return down


def build_laurel(spec: RunSpec) -> Connection:
    """Build LAuReL's connection for a spec: a residual connection with a low-rank map."""
    return AugmentedResidual(spec)
