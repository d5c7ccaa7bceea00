"""Convolution branch of ResNet's basic block (He et al. 2016): two 3 x 3 convolutions on a square grid of tokens."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.layers.branch import ACTIVATIONS, Branch, Carried, count_kept_by_activation, draw_matrix
from mhc_core.layers.scaling import Scaling
from mhc_core.spec import RunSpec


class Conv(Branch):
    """conv(activation(conv(u))), zero padding, no bias; tokens are read row by row as a square image of C channels.

    The pre-norm is over the channels of each pixel, not over the batch, so that samples stay independent.
    """

    name = "conv"
    scratch = 10

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        self.activation = ACTIVATIONS[spec.block.activation]
        self.side = math.isqrt(spec.input.tokens)
        self.w_in = self._draw_filter(spec, "conv.in", layer, spec.block.activation, scaling.weights)
        self.w_out = self._draw_filter(spec, "conv.out", layer, "linear", scaling.weights)

    @staticmethod
    def _draw_filter(spec: RunSpec, name: str, layer: int, activation: str, scale: float) -> nn.Parameter:
        """Draw the initial weights (C, C, 3, 3) of a convolution, as a matrix with a fan-in of 9 C."""
        matrix = draw_matrix(spec, name, layer, spec.width, 9 * spec.width, activation, scale)
        return nn.Parameter(matrix.detach().view(spec.width, spec.width, 3, 3))

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Apply two 3 x 3 convolutions to the tokens, arranged as the pixels of a square image."""
        image = u_BTC.mT.unflatten(2, (self.side, self.side))
        hidden = self.activation(F.conv2d(image, self.w_in, padding=1))
        return F.conv2d(hidden, self.w_out, padding=1).flatten(2).mT

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return 18 * spec.width**2

    @classmethod
    def count_equivalent_flops(cls, spec: RunSpec) -> float:
        """Return by how much convolutions are slower than their operations suggest, as the number of operations of a
        matrix product that take as long, per token and layer.
        """
        # Convolutions run at about half the rate of matrix products. In addition, each call reorders the filters, which
        # takes the same time for any number of tokens.
        reordering = 800.0 * cls.count_parameters(spec) / (spec.input.batch * spec.input.tokens)
        return 1.2 * cls.count_flops(spec) + reordering

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        return count_kept_by_activation(spec.block.activation, spec.width)

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return 11.0 * spec.width
