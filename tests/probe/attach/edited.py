"""Models whose edited pass is written out here, without the probe: what the tests of edits compare with.

A hand is called with what a layer has and returns what it goes on with: `hand("state", layer, x)` with the streams
(..., n, C), `hand("branch", layer, y)` (..., C), `hand("h_res", layer, matrix)` (..., n, n) with outputs as rows,
`hand("h_pre", layer, weights)` and `hand("h_post", layer, weights)` (..., n).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from tests.probe.attach.animals import WIDTH, Animal
from tests.probe.attach.zoo import ZOO

Hand = Callable[[str, int, torch.Tensor], torch.Tensor]


class Case(NamedTuple):
    """An architecture, and a way to write its blocks by hand."""

    animal: Animal
    write: Callable[[Any, Hand], Any]  # a context in which the model runs by hand
    returns_loss: bool  # or `animal.feed` computes it from the output


def mix(post: torch.Tensor, y: torch.Tensor, matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return post.unsqueeze(-1) * y.unsqueeze(-2) + matrix @ x


def weigh(connection: Any, x: torch.Tensor) -> torch.Tensor:
    """Return H_pre of DeepSeek-V4 and GLM-5-next, (..., n): sigmoid of a linear map of the normed streams."""
    n = x.shape[-2]
    logits = torch.nn.functional.linear(connection.input_norm(x.flatten(-2)), connection.fn)[..., :n]
    return torch.sigmoid(logits * connection.scale[0] + connection.base[:n]) + connection.hc_eps


def connect(connection: Any, x: torch.Tensor, layer: int, hand: Hand) -> tuple[torch.Tensor, ...]:
    """Return post, H_res and u after edits."""
    post, comb, u = connection(x)
    pre = weigh(connection, x)
    edited = hand("h_pre", layer, pre)
    u = u if edited is pre else (edited.unsqueeze(-1) * x).sum(-2)  # else the bits of the model
    return hand("h_post", layer, post), hand("h_res", layer, comb.transpose(-1, -2)), u


def run_deepseek(block: Any, index: int, hand: Hand, x: torch.Tensor, input_ids: Any = None, **kwargs: Any) -> Any:
    x = hand("state", 2 * index, x)
    post, matrix, u = connect(block.attn_hc, x, 2 * index, hand)
    y = hand("branch", 2 * index, block.self_attn(block.input_layernorm(u), **kwargs)[0])
    x = hand("state", 2 * index + 1, mix(post, y, matrix, x))
    post, matrix, u = connect(block.ffn_hc, x, 2 * index + 1, hand)
    y = hand("branch", 2 * index + 1, block.mlp(block.post_attention_layernorm(u), input_ids=input_ids))
    return mix(post, y, matrix, x)


def run_glm(block: Any, index: int, hand: Hand, x: torch.Tensor, **kwargs: Any) -> Any:
    x, topk = hand("state", 2 * index, x), None
    post, matrix, u = connect(block.attn_hc, x, 2 * index, hand)
    given = {**kwargs, "hidden_states": block.input_layernorm(u)}
    if block.block_type == "linear_attention":
        for name in ("position_ids", "use_cache", "position_embeddings", "prev_topk_indices"):
            given.pop(name, None)
        y = block.self_attn(**given)
    else:
        y, _, topk = block.self_attn(**given)
    x = hand("state", 2 * index + 1, mix(post, hand("branch", 2 * index, y), matrix, x))
    post, matrix, u = connect(block.ffn_hc, x, 2 * index + 1, hand)
    y = hand("branch", 2 * index + 1, block.mlp(block.post_attention_layernorm(u)))
    return mix(post, y, matrix, x), topk


def run_qwen(
    block: Any,
    index: int,
    hand: Hand,
    x: torch.Tensor,
    position_embeddings: Any,
    attention_mask: Any = None,
    conv_mask: Any = None,
    cache: Any = None,
    ple_input_ids: Any = None,
    **kwargs: Any,
) -> Any:
    for place, connection in enumerate((block.attn_hyper_connection, block.mlp_hyper_connection)):
        layer = 2 * index + place
        x = hand("state", layer, x.unflatten(-1, (-1, WIDTH))).flatten(-2)
        u, passed, post = connection(x)
        if place:
            y = block.mlp(u)
        elif block.layer_type == "linear_attention":
            y = block.linear_attn(u, cache=cache, attention_mask=conv_mask, **kwargs)
        else:
            y = block.self_attn(u, position_embeddings, attention_mask=attention_mask, cache=cache, **kwargs)[0]
        written = hand("h_post", layer, post).unsqueeze(-1) * hand("branch", layer, y).unsqueeze(-2)
        x = passed + written.flatten(-2)
    return x


def run_lucid(block: Any, index: int, hand: Hand, x: torch.Tensor) -> Any:
    """The HyperConnections of the package, with its alpha written out: tanh(norm(x) w) s + a."""
    x = hand("state", index, x.unflatten(0, (-1, 4)).movedim(1, -2))
    normed = torch.nn.functional.normalize(x, dim=-1) * WIDTH**0.5 * (block.norm.gamma + 1)
    alpha = torch.tanh(normed @ block.dynamic_alpha_fn) * block.dynamic_alpha_scale + block.static_alpha
    beta = torch.tanh(normed @ block.dynamic_beta_fn) * block.dynamic_beta_scale + block.static_beta
    pre, matrix = hand("h_pre", index, alpha[..., 0]), hand("h_res", index, alpha[..., 1:].transpose(-1, -2))
    y = hand("branch", index, block.branch((pre.unsqueeze(-1) * x).sum(-2)))
    return mix(hand("h_post", index, beta), y, matrix, x).movedim(-2, 1).flatten(0, 1)


def run_gpt2(block: Any, index: int, hand: Hand, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    middle = x + block.attn(block.ln_1(x), **kwargs)[0]
    return x + hand("branch", index, middle - x + block.mlp(block.ln_2(middle)))


@contextmanager
def write_blocks(blocks: Any, run: Callable[..., Any], hand: Hand) -> Any:
    for index, block in enumerate(blocks):
        block.forward = partial(run, block, index, hand)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def build_case(name: str, run: Callable[..., Any], list_blocks: Callable[[Any], nn.ModuleList]) -> Case:
    write = lambda model, hand: write_blocks(list_blocks(model), run, hand)  # noqa: E731
    return Case(ZOO[name], write, name != "GLM-5-next")


CASES = {
    "DeepSeek-V4": build_case("DeepSeek-V4", run_deepseek, lambda model: model.model.layers),
    "GLM-5-next": build_case("GLM-5-next", run_glm, lambda model: model.layers),
    "Qwen4-Exp": build_case("Qwen4-Exp", run_qwen, lambda model: model.model.layers),
    "hyper-connections HC": build_case("hyper-connections HC", run_lucid, lambda model: model.blocks),
    "GPT-2": build_case("GPT-2", run_gpt2, lambda model: model.transformer.h),
}
