"""Attention over depth with normed values against the decoder layers of Inkling2 in transformers, queries copied.

Theirs: attention and MLP are two layers of ours; the first of a block puts what the last one left among the sources.
Their branches are replaced by linear maps and tanh, which ours get too, so that nothing but the joining is compared.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mhc_core.layers.connections import build_connection
from mhc_core.spec import parse_spec
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

WIDTH, BATCH, TOKENS = 16, 2, 5
UNUSED = ("input_layernorm", "post_attention_layernorm", "post_attention_convolution", "post_mlp_convolution")


class Branch(nn.Module):
    """A linear map in place of attention, which also returns attention weights, or of an MLP."""

    def __init__(self, weight: torch.Tensor, *, is_attention: bool) -> None:
        super().__init__()
        self.weight, self.is_attention = weight, is_attention

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> Any:
        found = torch.tanh(hidden_states @ self.weight.T)
        return (found, None) if self.is_attention else found


class Same(nn.Module):
    """In place of a norm or a convolution."""

    def forward(self, hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
        return hidden_states


def run_theirs(x: torch.Tensor, weights: list[torch.Tensor], queries: list[torch.Tensor], each: int) -> torch.Tensor:
    from transformers.models.inkling2.configuration_inkling2 import Inkling2TextConfig
    from transformers.models.inkling2.modeling_inkling2 import (
        Inkling2BlockAttentionResidual,
        Inkling2SlidingDecoderLayer,
    )

    config = Inkling2TextConfig(
        hidden_size=WIDTH, num_hidden_layers=len(weights) // 2, vocab_size=8, eos_token_id=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, swa_num_attention_heads=2, swa_num_key_value_heads=1, swa_head_dim=8,
        d_rel=2, rel_extent=8, moe_intermediate_size=8, n_routed_experts=2, num_experts_per_tok=1,
        n_layers_per_attn_res_block=each,
    )  # fmt: skip
    config._attn_implementation = "eager"
    rest = iter(queries)

    def give(module: Inkling2BlockAttentionResidual) -> None:
        module.query.data = next(rest).to(x.dtype)

    state, blocks = x, x.new_zeros(BATCH, TOKENS, 0, WIDTH)
    for index in range(len(weights) // 2):
        layer = Inkling2SlidingDecoderLayer(config, index).to(x.dtype)
        replaced: dict[str, nn.Module] = {
            "self_attn": Branch(weights[2 * index], is_attention=True),
            "mlp": Branch(weights[2 * index + 1], is_attention=False),
        }
        for name in (*replaced, *UNUSED):
            setattr(layer, name, replaced.get(name, Same()))
        if layer.attention_input is not None:
            give(layer.attention_input)
        give(layer.mlp_input)
        new = layer(state, blocks)
        if layer.is_block_boundary:
            blocks = torch.cat([blocks, state.unsqueeze(-2)], dim=-2)
        state = new
    final = Inkling2BlockAttentionResidual(config)
    give(final)
    (read,) = final(blocks, state)
    assert next(rest, None) is None, "every query is used"
    found: torch.Tensor = read.detach()
    return found


def run_ours(x: torch.Tensor, weights: list[torch.Tensor], queries: list[torch.Tensor], each: int) -> torch.Tensor:
    dtype = "float64" if x.dtype == torch.float64 else "float32"
    fields = {"kind": "attnres", "depth_values": "normed", "depth_block": 2 * each}
    spec = parse_spec(
        {"depth": len(weights), "width": WIDTH, "dtype": dtype, "block": {"heads": 1}, "connection": fields}
    )
    connection: Any = build_connection(spec).to(x.dtype)
    with torch.no_grad():
        for own, query in zip(connection.queries, queries, strict=True):
            own.copy_(query)
    state = connection.expand(x.flatten(0, 1))
    for layer, weight in enumerate(weights):
        made = connection.dynamic_mixing(layer, state)
        y = torch.tanh(connection.read(state, made) @ weight.T)
        state, _ = connection.leave(layer, state, y, made)
    found: torch.Tensor = connection.reduce(state).detach()
    return found.view_as(x)


@pytest.mark.parametrize(("layers", "each"), [(1, 1), (3, 1), (4, 2), (5, 3), (4, 6)])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_what_is_read_is_that_of_inkling2(
    layers: int, each: int, dtype: torch.dtype, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype == torch.float64:  # their modules cast by `.float()`
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
        monkeypatch.setattr(torch, "float32", torch.float64)
    x = draw(1, BATCH, TOKENS, WIDTH).to(dtype)
    weights = [draw(10 + k, WIDTH, WIDTH).to(dtype) / WIDTH**0.5 for k in range(2 * layers)]
    queries = [3 * draw(50 + k, WIDTH).to(dtype) for k in range(2 * layers)]
    theirs, ours = (run(x, weights, queries, each) for run in (run_theirs, run_ours))
    error = float((theirs - ours).abs().max() / theirs.abs().max())
    assert error < most
    # The queries matter: half of one is seen.
    halved = [0.5 * queries[0], *queries[1:]]
    assert float((run_ours(x, weights, halved, each) - ours).abs().max() / theirs.abs().max()) > 1e-3
