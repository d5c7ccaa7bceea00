"""What a test knows of an architecture, and what is fed to all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
