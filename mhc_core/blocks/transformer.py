"""Attention branch of the transformer block, whose layers alternate between it and an MLP."""

import torch
import torch.nn.functional as F

from mhc_core.blocks.branch import Branch, draw_matrix
from mhc_core.blocks.scaling import Scaling
from mhc_core.spec import RunSpec


class Attention(Branch):
    """Causal multi-head self-attention without biases or position encoding; heads of C / H features."""

    name = "attention"

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        self.heads = spec.block.heads
        width = spec.width
        # Queries and keys keep their size: their product is the softmax's temperature.
        rows = torch.ones(3 * width, 1)
        rows[2 * width :] = scaling.weights
        self.w_qkv = draw_matrix(spec, "attention.qkv", layer, 3 * width, width, scale=rows)
        self.w_out = draw_matrix(spec, "attention.out", layer, width, width, scale=scaling.weights)

    def compute(self, u_BTC: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = u_BTC.shape
        qkv = F.linear(u_BTC, self.w_qkv).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, H, T, C / H)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(mixed.transpose(1, 2).reshape(batch, tokens, width), self.w_out)

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return 4 * spec.width**2

    @classmethod
    def count_flops(cls, spec: RunSpec) -> float:
        # Scores and weighted values of every pair of tokens.
        return super().count_flops(spec) + 4.0 * spec.input.tokens * spec.width

    @classmethod
    def count_slow_flops(cls, spec: RunSpec) -> float:
        # The softmax: an exponential costs as much as some 90 operations of a product.
        return 90.0 * spec.block.heads * spec.input.tokens

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        # Queries, keys, values, their mixture, and a log-sum a head.
        return 4 * spec.width + spec.block.heads

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return 33.0 * spec.width
