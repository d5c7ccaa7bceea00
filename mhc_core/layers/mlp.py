"""MLP branch: W_out activation(W_in u), or activation(W u) if `mlp_ratio` is 0."""

import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.layers.branch import ACTIVATIONS, Branch, Carried, count_kept_by_activation, draw_matrix
from mhc_core.layers.scaling import Scaling
from mhc_core.spec import RunSpec


class Mlp(Branch):
    """MLP without biases that acts on each token. Hidden width: mlp_ratio * C."""

    name = "mlp"

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        width, hidden = spec.width, spec.block.mlp_ratio * spec.width
        self.activation = ACTIVATIONS[spec.block.activation]
        self.w_in = draw_matrix(spec, "mlp.in", layer, hidden or width, width, spec.block.activation, scaling.weights)
        self.w_out: nn.Parameter | None = None
        if hidden:
            self.w_out = draw_matrix(spec, "mlp.out", layer, width, hidden, scale=scaling.weights)

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Return W_out phi(W_in u), (B, T, C); phi(W_in u) if the MLP has no second matrix."""
        hidden = self.activation(F.linear(u_BTC, self.w_in))
        return hidden if self.w_out is None else F.linear(hidden, self.w_out)

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return (2 * spec.block.mlp_ratio or 1) * spec.width**2

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for the backward pass of the MLP."""
        # With only one matrix, no second product needs the output of the activation: only the MLP's output is stored.
        hidden = spec.block.mlp_ratio * spec.width
        return count_kept_by_activation(spec.block.activation, hidden) if hidden else spec.width

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return (11.0 * spec.block.mlp_ratio or 5.5) * spec.width
