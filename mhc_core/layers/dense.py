"""Weighted averages over depth: after each block of layers, a learned weighted sum of all states is the new state.

    X_i = B_i(Y_{i-1}),  Y_i = sum_{j <= i} a_ij X_j,  X_0 = Y_0 = the embedding

B_i is a block of `depth_block` residual layers. Formulas as in the code that `mhc_core/families/denseformer.py` names.
A post-norm applies to Y only, not to the states X that are summed. DeepNorm multiplies the skip path of a layer, as in
a residual network.

Shapes: L layers, N samples, C width, K sources, J outputs so far with the embedding.
"""

from typing import NamedTuple

import torch
from torch import nn

from mhc_core.layers.connection import Connection, DepthReads, EditOfWeights, OverDepth
from mhc_core.layers.scaling import build_scaling
from mhc_core.rng import normal
from mhc_core.spec import RunSpec


class SourceWeights(NamedTuple):
    """The weights of the states in the sum after a layer, (K); empty if the layer does not end a block."""

    weights: torch.Tensor

    def with_edit(self, edit: EditOfWeights) -> "SourceWeights":
        """Return DenseFormer's weights of the sources, changed by an edit."""
        return SourceWeights(edit(self.weights.view(-1, 1, 1)).flatten()) if len(self.weights) else self


class WeightedDepth(OverDepth):
    """DenseFormer's connection. Layout (K + 1, N, C): K states that are summed, then the one that layers read and add
    to.

    The parameters of a layer are the weights of the sum after it.
    """

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        self.block, self.skip = spec.connection.depth_block, build_scaling(spec, 1).skip
        self.weights = nn.ParameterDict(
            {
                str(layer): nn.Parameter(self._build_start(layer) + self._draw_drift(spec, layer))
                for layer in range(spec.depth)
                if self._ends_block(layer)
            }
        )
        self.register_buffer("none", torch.zeros(0))
        # Weights of the embedding and of all outputs, (L + 1), in the state after each layer of the latest pass.
        self._rows: dict[int, torch.Tensor] = {}
        self._sources = torch.zeros(0)  # the same weights in each of the states that are summed, (K, L + 1)

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> SourceWeights:
        return SourceWeights(self.weights[str(layer)] if self._ends_block(layer) else self.get_buffer("none"))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return [self.weights[str(layer)]] if self._ends_block(layer) else []

    def leave(
        self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: SourceWeights
    ) -> tuple[torch.Tensor, DepthReads]:
        """Add the branch output to the last entry of the state; at the end of a block, append the weighted sum of all
        entries.
        """
        sources = torch.cat([state[:-1], (self.skip * state[-1] + y_NC).unsqueeze(0)])
        if self._ends_block(layer):
            read = (mixing.weights @ sources.flatten(1).to(mixing.weights.dtype)).view_as(y_NC)
            sources = torch.cat([sources, read.to(state.dtype).unsqueeze(0)])
        return sources, DepthReads(mixing.weights.detach().view(-1, 1, 1), self._weigh(layer, mixing.weights))

    def _ends_block(self, layer: int) -> bool:
        return (layer + 1) % self.block == 0 or layer == self.layers - 1

    def _build_start(self, layer: int) -> torch.Tensor:
        """Return the initial weights of the sum after a layer, without drift: 1 for the latest state, else 0."""
        start = torch.zeros(2 + layer // self.block, dtype=torch.float64)
        start[-1] = 1
        return start

    def _draw_drift(self, spec: RunSpec, layer: int) -> torch.Tensor:
        return normal(spec.seed, "mixing_noise", layer, 2 + layer // self.block) * spec.connection.noise

    @torch.no_grad()
    def _weigh(self, layer: int, weights: torch.Tensor) -> torch.Tensor:
        """Return the weights of the embedding and of each output so far in the state after a layer, (J)."""
        # Earlier layers have called this before in the same pass, so their rows are of this pass.
        if layer == 0:
            self._start_rows(weights.device)
        row = self._rows[layer - 1].clone()
        row[layer + 1] += 1
        if self._ends_block(layer):
            self._sources[len(weights) - 1] = row
            row = weights.double() @ self._sources[: len(weights)]
        self._rows[layer] = row
        return row[: layer + 2]

    def _start_rows(self, device: torch.device) -> None:
        """Reset the rows of weights for a new pass: the first state is the embedding alone."""
        if self._sources.device != device or not len(self._sources):
            ends = sum(self._ends_block(layer) for layer in range(self.layers))
            self._sources = torch.zeros(ends + 1, self.layers + 1, dtype=torch.float64, device=device)
            self._sources[0, 0] = 1
        self._rows[-1] = self._sources[0]


def build_dense(spec: RunSpec) -> Connection:
    """Build DenseFormer's connection for a spec: weighted averages of earlier states."""
    return WeightedDepth(spec)
