"""Branches of AlphaFold's pair stack (Jumper et al. 2021, supplement): triangle multiplication.

The T tokens are the pairs (i, j) of sqrt(T) residues, row by row. A layer updates z_ij from the other two sides of each
triangle i, j, k. The layers of a stack are in turn: outgoing edges, incoming edges, transition (an MLP).
"""

import math

import torch
import torch.nn.functional as F

from mhc_core.layers.branch import Branch, Carried, draw_matrix
from mhc_core.layers.mlp import Mlp
from mhc_core.layers.norms import normalise
from mhc_core.layers.scaling import Scaling
from mhc_core.spec import RunSpec


class Triangle(Branch):
    """Triangle multiplication: sigmoid(W_g z_ij) * W_o norm(sum_k a b), where a and b are gated projections of z."""

    equation = ""
    calls = 35

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        self.side = math.isqrt(spec.input.tokens)
        self.norm = spec.block.norm
        # One matrix for the projections a and b, their gates, and the gate of the output.
        self.w_in = draw_matrix(spec, f"{self.name}.in", layer, 5 * spec.width, spec.width)
        # The norm after the product removes any scale of w_in, so only w_out is multiplied by the scale.
        self.w_out = draw_matrix(spec, f"{self.name}.out", layer, spec.width, spec.width, scale=scaling.weights)

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Return the triangle multiplication of pair features: gated sums over the third corner, (B, T, C)."""
        z_BIJC = u_BTC.unflatten(1, (self.side, self.side))
        a, b, gate_a, gate_b, gate = F.linear(z_BIJC, self.w_in).chunk(5, dim=-1)
        a, b = a * torch.sigmoid(gate_a), b * torch.sigmoid(gate_b)
        joined = normalise(torch.einsum(self.equation, a, b), self.norm)
        return (torch.sigmoid(gate) * F.linear(joined, self.w_out)).flatten(1, 2)

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return 6 * spec.width**2

    @classmethod
    def count_flops(cls, spec: RunSpec) -> float:
        """Count the operations per token of a triangle multiplication, including the sum over the third corner."""
        return super().count_flops(spec) + 2.0 * math.isqrt(spec.input.tokens) * spec.width

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for a triangle multiplication."""
        # The five projections, three gates, two gated factors, the norm's input and output, and the product.
        return 13.0 * spec.width

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return 112.0 * spec.width


class TriangleOutgoing(Triangle):
    """Triangle multiplication with outgoing edges: sum_k a_ik b_jk."""

    name = "triangle_outgoing"
    equation = "bikc,bjkc->bijc"


class TriangleIncoming(Triangle):
    """Triangle multiplication with incoming edges: sum_k a_ki b_kj."""

    name = "triangle_incoming"
    equation = "bkic,bkjc->bijc"


class Transition(Mlp):
    """The pair stack's MLP."""

    name = "transition"
