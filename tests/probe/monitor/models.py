"""Models that are trained under a monitor: a residual one written here, a tiny Llama, and a step of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.probe.attach.attachable import build_deepseek
from tests.probe.attach.zoo import build_glm as build_glm_body

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

VOCABULARY, WIDTH = 64, 32


class Block(nn.Module):
    """x + W2 tanh(W1 x)."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.down(torch.tanh(self.up(x)))
        return y


@dataclass
class Output:
    """What a model returns."""

    loss: torch.Tensor


class Tiny(nn.Module):
    """A residual model that returns its loss, without transformers."""

    def __init__(self, depth: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> Output:
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        return Output(F.cross_entropy(self.head(x).flatten(0, 1), labels.flatten()))


def build_llama() -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=6,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config)


class WithHead(nn.Module):
    """A body that returns hidden states, read out as a language model."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> Output:
        logits = self.head(self.body(input_ids=input_ids)[0])
        return Output(F.cross_entropy(logits.flatten(0, 1), labels.flatten()))


def build_glm() -> WithHead:
    return WithHead(build_glm_body())


@dataclass(frozen=True)
class Kind:
    """A model to be watched: how it is built, and its layers where they have to be said."""

    build: Callable[[], Any]
    list_layers: Callable[[Any], Any] = lambda model: None
    updates: int = 200  # of a long training; of one whose layers are slow on a CPU, fewer


KINDS = {
    "tiny": Kind(Tiny, lambda model: model.blocks),
    "llama": Kind(build_llama),
    "deepseek": Kind(build_deepseek),
    "glm": Kind(build_glm, updates=150),
}


# What the fast suite trains of them; the others are left to the full one.
NAMES = [name if name in ("tiny", "deepseek") else pytest.param(name, marks=pytest.mark.full) for name in KINDS]


def draw_batches(seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Sequences in which every second token repeats the one before it."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        ids = torch.randint(VOCABULARY, (2, 12), generator=generator)
        ids[:, 1::2] = ids[:, ::2]
        yield {"input_ids": ids, "labels": ids}


def build_optimizer(model: nn.Module, rate: float = 1e-3) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)


def train(model: Any, steps: int, rate: float = 1e-3) -> list[float]:
    """Plain training; the losses before each update."""
    optimizer, batches, losses = build_optimizer(model, rate), draw_batches(), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**next(batches)).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
