"""Architectures with Hyper-Connections, tiny and with random weights.

A state is what their connections take, and what the last block returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.probe.attach.animals import (
    COMMON,
    LAYERS,
    TOKENS,
    WIDTH,
    Animal,
    draw,
    shake,
)


def build_deepseek() -> Any:
    from tests.probe.attach.attachable import build_deepseek as construct

    return construct()


def build_branch() -> nn.Module:
    return nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Tanh())


class Lucid(nn.Module):
    """Branches between connections of the package hyper-connections."""

    def __init__(self, mhc: bool) -> None:
        super().__init__()
        from hyper_connections import (
            get_init_and_expand_reduce_stream_functions,
            mc_get_init_and_expand_reduce_stream_functions,
        )

        torch.manual_seed(0)
        make = mc_get_init_and_expand_reduce_stream_functions if mhc else get_init_and_expand_reduce_stream_functions
        build_connection, self.expand, self.reduce = make(4)
        self.blocks = nn.ModuleList(
            build_connection(
                dim=WIDTH,
                layer_index=index,
                branch=nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Tanh()),
            )
            for index in range(LAYERS)
        )
        shake(self, "alpha", "beta", "scale", size=0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.expand(x)
        for block in self.blocks:
            x = block(x)
        out: torch.Tensor = self.reduce(x).square().mean()
        return out


SMALL: dict[str, Any] = {
    **{key: value for key, value in COMMON.items() if key != "intermediate_size"},
    "num_key_value_heads": 2,
    "moe_intermediate_size": 16,
    "num_experts_per_tok": 2,
}
LATENT: dict[str, Any] = {
    "intermediate_size": 48,
    "n_routed_experts": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "v_head_dim": 16,
    "qk_nope_head_dim": 16,
    "index_topk": 4,
    "index_head_dim": 16,
    "index_n_heads": 2,
}


def build_glm() -> Any:
    from transformers.models.glm5_next import Glm5NextTextConfig, Glm5NextTextModel

    torch.manual_seed(0)
    kinds = ["linear_attention", "full_attention", "linear_attention"]
    linear: dict[str, Any] = {"linear_head_dim": 16, "linear_num_heads": 2, "index_kpool": 4}
    return shake(Glm5NextTextModel(Glm5NextTextConfig(**SMALL, **LATENT, **linear, layer_types=kinds)), "hc")


def build_hunyuan() -> Any:
    from transformers import HYV4Config, HYV4ForCausalLM

    torch.manual_seed(0)
    return shake(HYV4ForCausalLM(HYV4Config(**SMALL, **LATENT, qk_rope_head_dim=8, head_dim=24)), "hc")


def build_qwen4() -> Any:
    from transformers import Qwen4ExpForCausalLM
    from transformers.models.qwen4_exp import Qwen4ExpTextConfig

    torch.manual_seed(0)
    config = Qwen4ExpTextConfig(
        **SMALL,
        head_dim=16,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        shared_expert_intermediate_size=16,
        num_experts=4,
        hc_lowrank=8,
        indexer_n_heads=2,
        indexer_kv_heads=1,
        indexer_head_dim=16,
        indexer_budget=8,
        indexer_compress_ratio=4,
        layer_types=["linear_attention", "indexed_attention", "linear_attention"],
    )
    return shake(Qwen4ExpForCausalLM(config), "hyper")


def build_hyper(construct: Callable[[], Any], feed: Callable[[Any], torch.Tensor], first: str, second: str) -> Animal:
    def get_layers(model: Any) -> Any:
        return getattr(model, "model", model).layers

    return Animal(
        construct,
        feed,
        lambda model: [getattr(block, name) for block in get_layers(model) for name in (first, second)],
        to_streams=lambda x: x.unflatten(-1, (-1, WIDTH)).flatten(2, -2).movedim(2, 0),
        end=lambda model: get_layers(model)[-1],
        streams=4,
    )


def build_lucid(mhc: bool) -> Animal:
    return Animal(
        lambda: Lucid(mhc),
        lambda model: model(draw(2, TOKENS, WIDTH).requires_grad_()),
        lambda model: model.blocks,
        to_streams=lambda x: x.unflatten(0, (2, 4)).transpose(0, 1),
        end=lambda model: model.blocks[-1],
        streams=4,
    )
