"""The attention branch of the transformer block. Layers alternate between it and an MLP.

With a value residual, attention layers after the first use weighted sums of their own values and those of the first:
see `ResidualAttention`.

Shapes: B sequences, H heads, M = B H, T tokens, D = C / H features of a head; R queries of a tile, S keys that these
queries can attend to.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mhc_core.layers.branch import Branch, Carried, draw_matrix
from mhc_core.layers.scaling import Scaling
from mhc_core.spec import RunSpec

# If a layer has more attention weights than this, they are not kept for the backward pass but computed again.
KEPT = 2**18
# Largest number of weights and of queries in a tile. On a CPU, a tile must fit the cache.
TILE, CARD_TILE = (2**18, 64), (2**26, 1024)
VALUE_WEIGHTS = (0.5, 0.5)  # of a layer's own values and those of the first layer; initial values if they are learned
# Values per feature that a value residual moves, forward and backward: in the first attention layer and in later ones.
FIRST_MOVED, LATER_MOVED = 11, {"fixed": 23, "learned": 31}


class Attention(Branch):
    """Causal multi-head self-attention without biases or position encoding; heads of C / H features."""

    name = "attention"

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        self.heads = spec.block.heads
        width = spec.width
        # Queries and keys are not scaled, because the size of their product is the temperature of the softmax.
        rows = torch.ones(3 * width, 1)
        rows[2 * width :] = scaling.weights
        self.w_qkv = draw_matrix(spec, "attention.qkv", layer, 3 * width, width, scale=rows)
        self.w_out = draw_matrix(spec, "attention.out", layer, width, width, scale=scaling.weights)

    @classmethod
    def choose(cls, spec: RunSpec, layer: int) -> type[Branch]:
        """Return the attention class of this layer. With a value residual, the first layer differs from later ones."""
        if spec.block.value_residual == "off":
            return Attention
        return FirstAttention if layer == 0 else ResidualAttention

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        return self._attend(self._project(u_BTC))

    def _project(self, u_BTC: torch.Tensor) -> torch.Tensor:
        """Return the queries, keys and values of an attention layer, (B, T, 3, C)."""
        return F.linear(u_BTC, self.w_qkv).unflatten(-1, (3, -1))

    def _attend(self, qkv_BT3C: torch.Tensor) -> torch.Tensor:
        """Return the output of the attention layer, (B, T, C), from its queries, keys and values."""
        batch, tokens, _, width = qkv_BT3C.shape
        qkv = qkv_BT3C.reshape(batch, tokens, 3, self.heads, width // self.heads)
        mixed_BHTD = attend(qkv.permute(2, 0, 3, 1, 4).flatten(1, 2)).view(batch, self.heads, tokens, -1)
        return F.linear(mixed_BHTD.transpose(1, 2).reshape(batch, tokens, width), self.w_out)

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return 4 * spec.width**2

    @classmethod
    def count_flops(cls, spec: RunSpec) -> float:
        """Count the operations per token of an attention layer, including scores and weighted values of all pairs."""
        return super().count_flops(spec) + 4.0 * spec.input.tokens * spec.width

    @classmethod
    def count_equivalent_flops(cls, spec: RunSpec) -> float:
        """Return the cost of the softmax per token and layer: an exponential takes as long as about 90 operations of
        a matrix product.
        """
        return 90.0 * spec.block.heads * spec.input.tokens

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for an attention layer."""
        # Queries, keys and values, the weighted values, and the attention weights if they are few.
        wide = 2 if spec.dtype == "bfloat16" else 1  # because attention in a bfloat16 run is computed in float32
        return wide * (3 * spec.width + _count_kept_weights(spec)) + spec.width

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        """Count the values per token that an attention layer reads from and writes to memory, forward and backward.

        Attention weights are not included, because their tiles stay in the cache.
        """
        return 39.0 * spec.width


class FirstAttention(Attention):
    """The first attention layer of a stack with a value residual: it passes its values on to later ones."""

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Return the attention output, (B, T, C), and store the layer's values in `carried` for later layers."""
        qkv_BT3C = self._project(u_BTC)
        carried.values = qkv_BT3C[:, :, 2].contiguous()  # a view would also keep the memory of queries and keys
        return self._attend(qkv_BT3C)

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        return super().count_kept(spec) + (spec.width if spec.block.value_residual == "learned" else 0)

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return super().count_moved(spec) + FIRST_MOVED * spec.width


class ResidualAttention(Attention):
    """A later attention layer of a stack with a value residual. Its values are l1 v + l2 v_1, a weighted sum of its own
    and those of the first layer.

    l1 = l2 = 1/2 are either fixed, as in the code of modded-nanogpt (KellerJordan/modded-nanogpt,
    `records/110624_ShortcutsTweaks`), or initial values of two learned numbers, as in tokenbender/nanogpt-attnres-repro
    (`examples/nanogpt/model.py`), where the first layer has such numbers, too. Both follow arXiv 2410.17897, of which
    only the abstract was read.
    """

    calls = 19

    def __init__(self, spec: RunSpec, layer: int, scaling: Scaling) -> None:
        super().__init__(spec, layer, scaling)
        self.value_weights: nn.Parameter | None = None
        if spec.block.value_residual == "learned":
            self.value_weights = nn.Parameter(torch.tensor(VALUE_WEIGHTS, dtype=torch.float64))

    def compute(self, u_BTC: torch.Tensor, carried: Carried) -> torch.Tensor:
        """Return the attention output, (B, T, C), with values that are a weighted sum of this layer's and layer 0's."""
        assert carried.values is not None, "the first attention layer has passed no values on"
        own, first = VALUE_WEIGHTS if self.value_weights is None else self.value_weights.unbind()
        qk_BT2C, v_BT1C = self._project(u_BTC).split((2, 1), 2)
        mixed_BT1C = own * v_BT1C + first * carried.values.unsqueeze(2)
        return self._attend(torch.cat((qk_BT2C, mixed_BT1C), 2))

    @classmethod
    def count_parameters(cls, spec: RunSpec) -> int:
        return super().count_parameters(spec) + (2 if spec.block.value_residual == "learned" else 0)

    @classmethod
    def count_flops(cls, spec: RunSpec) -> float:
        return Attention.count_flops(spec) + 3.0 * spec.width

    @classmethod
    def count_kept(cls, spec: RunSpec) -> float:
        """Count the values per token that autograd stores for attention with a value residual."""
        # The gradient of learned weights needs the values before the sum, which are kept with queries and keys.
        return super().count_kept(spec) + (3 * spec.width if spec.block.value_residual == "learned" else 0)

    @classmethod
    def count_moved(cls, spec: RunSpec) -> float:
        return super().count_moved(spec) + LATER_MOVED[spec.block.value_residual] * spec.width


def _count_kept_weights(spec: RunSpec) -> int:
    """Count the attention weights per token that are stored for the backward pass; 0 if they are computed again."""
    weights = spec.block.heads * spec.input.tokens
    return weights if spec.input.batch * spec.input.tokens * weights <= KEPT else 0


def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
    """Return causal attention softmax(q k^T / sqrt(D)) v of every head, (M, T, D) (arXiv 1706.03762, Eq. 1).

    Computed at least in float32. Weights are divided by their sum. Fused kernels instead store the logarithm of the
    sum, and compute the weights again as exp(logit - logarithm). In stacks without a norm logits reach 1e16, where the
    rounding error of both is above 1: these weights do not sum to 1, and the gradient of the logits, which is a
    difference that should vanish if the softmax is saturated, is wrong by decades.
    """
    mixed_MTD: torch.Tensor = _Attention.apply(qkv_3MTD.to(torch.promote_types(qkv_3MTD.dtype, torch.float32)))
    return mixed_MTD.to(qkv_3MTD.dtype)


class _Attention(torch.autograd.Function):
    """`attend` as one node of the graph. The backward pass uses stored weights, or, if there are more than `KEPT`,
    computes them again tile by tile.
    """

    @staticmethod
    def forward(ctx: Any, qkv_3MTD: torch.Tensor) -> torch.Tensor:
        """Return softmax(q k^T / sqrt(D)) v of every head, (M, T, D), tile by tile if there are many weights."""
        q, k, v = qkv_3MTD.unbind(0)
        if q.shape[0] * q.shape[1] ** 2 <= KEPT:
            weights = _weigh(q, k)
            ctx.save_for_backward(qkv_3MTD, weights)
            return weights @ v
        ctx.save_for_backward(qkv_3MTD, None)
        mixed_MTD = torch.empty_like(v)
        for m, rows, keys in _cut_tiles(q):
            mixed_MTD[m, rows] = _weigh(q[m, rows], k[m, keys]) @ v[m, keys]
        return mixed_MTD

    @staticmethod
    def backward(ctx: Any, grad_MTD: torch.Tensor) -> torch.Tensor:
        """Return the gradient of causal attention with respect to queries, keys and values, (3, M, T, D)."""
        qkv_3MTD, weights = ctx.saved_tensors
        q, k, v = qkv_3MTD.unbind(0)
        if torch.is_grad_enabled():  # the gradient will be differentiated
            return torch.autograd.grad(_weigh(q, k) @ v, qkv_3MTD, grad_MTD, create_graph=True)[0]
        if weights is not None:
            return torch.stack(_pull_back(q, k, v, weights, grad_MTD))
        found_3MTD = torch.zeros_like(qkv_3MTD)
        for m, rows, keys in _cut_tiles(q):
            seen = q[m, rows], k[m, keys], v[m, keys]
            parts = _pull_back(*seen, _weigh(*seen[:2]), grad_MTD[m, rows])
            for place, (part, tokens) in enumerate(zip(parts, (rows, keys, keys), strict=True)):
                found_3MTD[place, m, tokens] += part
        return found_3MTD


def _pull_back(
    q_mRD: torch.Tensor, k_mSD: torch.Tensor, v_mSD: torch.Tensor, weights_mRS: torch.Tensor, grad_mRD: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of attention with respect to queries, keys and values, from that of the weighted values.

    The gradient of the logits, P (dP - sum(P dP)), is exactly 0 if one weight is 1 and the others are 0.
    """
    grad_mRS = torch.bmm(grad_mRD, v_mSD.mT).mul_(weights_mRS)
    grad_mRS.addcmul_(weights_mRS, grad_mRS.sum(-1, keepdim=True), value=-1).mul_(q_mRD.shape[-1] ** -0.5)
    return torch.bmm(grad_mRS, k_mSD), torch.bmm(grad_mRS.mT, q_mRD), torch.bmm(weights_mRS.mT, grad_mRD)


def _weigh(q_mRD: torch.Tensor, k_mSD: torch.Tensor) -> torch.Tensor:
    """Return the causal attention weights (m, R, S) of R queries over S keys. The last R keys belong to the same tokens
    as the queries.
    """
    scores_mRS = (q_mRD * q_mRD.shape[-1] ** -0.5) @ k_mSD.mT
    earlier = k_mSD.shape[1] - q_mRD.shape[1]
    later_RS = scores_mRS.new_full(scores_mRS.shape[1:], -math.inf).triu_(earlier + 1)
    # Masked logits are set to 0 before -inf is added, because they may be infinite. masked_fill is four times slower.
    return scores_mRS.tril_(earlier).add_(later_RS).softmax(-1)


def _cut_tiles(q_MTD: torch.Tensor) -> Iterator[tuple[slice, slice, slice]]:
    """Yield tiles that cover causal attention and fit the cache: slices (heads, queries, keys up to the last query)."""
    heads, tokens, _ = q_MTD.shape
    most, queries = TILE if q_MTD.device.type == "cpu" else CARD_TILE
    together = max(1, most // (min(queries, tokens) * tokens))
    for head in range(0, heads, together):
        for query in range(0, tokens, queries):
            end = min(query + queries, tokens)
            yield slice(head, head + together), slice(query, end), slice(0, end)
