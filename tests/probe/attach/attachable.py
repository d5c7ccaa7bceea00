"""Models to attach the probe to: a tiny DeepSeek-V4, GPT-2, and a residual model written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mhc_probe import attach

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4ForCausalLM

BLOCKS, STREAMS, WIDTH = 3, 4, 32


LAYERS = 2 * BLOCKS


IDS = torch.randint(64, (2, 12), generator=torch.Generator().manual_seed(5))


def build_deepseek() -> DeepseekV4ForCausalLM:
    """Random weights, mixing far from its start, one block of every kind of attention and of experts."""
    # Here, not above: every lane of the tests imports this module, and transformers takes four seconds.
    from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4ForCausalLM

    torch.manual_seed(0)
    config = DeepseekV4Config(
        vocab_size=64,
        hidden_size=WIDTH,
        moe_intermediate_size=16,
        num_hidden_layers=BLOCKS,
        num_attention_heads=2,
        head_dim=16,
        q_lora_rank=16,
        o_lora_rank=16,
        o_groups=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        index_n_heads=2,
        index_head_dim=16,
        hc_mult=STREAMS,
        layer_types=["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"],
        mlp_layer_types=["hash_moe", "moe", "moe"],
        compress_rates={"compressed_sparse_attention": 4, "heavily_compressed_attention": 4},
    )
    model = DeepseekV4ForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hc" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def build_gpt2() -> GPT2LMHeadModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_positions=16, n_embd=WIDTH, n_layer=3, n_head=2)
    return GPT2LMHeadModel(config)  # training mode: dropout draws random numbers


def backward(model: Any) -> Any:
    output = model(input_ids=IDS, labels=IDS)
    output.loss.backward()
    return output


def rms(x: Any) -> float:
    return float(np.sqrt((np.asarray(x, dtype=np.float64) ** 2).mean()))


def norm(parameters: Any) -> float:
    return float(np.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in parameters if p.grad is not None)))


def assert_untouched(build: Any, layers: Any) -> None:
    """Outputs and every gradient are the same bits with the probe and without."""
    torch.manual_seed(3)
    alone = build()
    wanted = backward(alone)
    torch.manual_seed(3)
    watched = build()
    with attach(watched, layers(watched)) as probe:
        found = backward(watched)
    probe.result()
    assert torch.equal(found.logits, wanted.logits)
    assert torch.equal(found.loss, wanted.loss)
    grads = 0
    for (name, one), (_, other) in zip(watched.named_parameters(), alone.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None and other.grad is not None:
            assert torch.equal(one.grad, other.grad), name
            grads += bool(one.grad.abs().max() > 0)
    assert grads > 20


# ---- residual models


class Block(nn.Module):
    """x + tanh(W x), in place where asked; keeps the branch's own input and its gradient."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.linear, self.in_place = nn.Linear(WIDTH, WIDTH), in_place
        self.u = torch.empty(0)
        self.y = torch.empty(0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
        self.u = x.clone()
        self.u.retain_grad()
        self.y = torch.tanh(self.linear(self.u))
        x = x.mul_(1.0).add_(self.y) if self.in_place else x + self.y
        return x, "something else"


class Chain(nn.Module):
    """A residual model without a loss of its own."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList(Block(in_place) for _ in range(4))

    def forward(self) -> torch.Tensor:
        x = 1.0 * self.embed(IDS)
        for block in self.blocks:
            x, _ = block(x)
        return x
