"""Modules that read earlier outputs, right ones in several styles and wrong ones with one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

WIDTH = 32


def norm(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Read(nn.Module):
    """softmax over depth of q . norm(s), in the words of a paper; each method is a step that a mistake replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, sources: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(sources)
        return self.add(self.weigh(self.score(self.make_keys(stacked))), stacked)

    def make_keys(self, stacked: torch.Tensor) -> torch.Tensor:
        return norm(stacked)

    def score(self, keys: torch.Tensor) -> torch.Tensor:
        return keys @ self.query

    def weigh(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits, 0)

    def add(self, weights: torch.Tensor, stacked: torch.Tensor) -> torch.Tensor:
        return (weights.unsqueeze(-1) * stacked).sum(0)


class Stacked(Read):
    """Sources (B, T, K, C), and one more for the last."""

    def forward(self, blocks: torch.Tensor, partial: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward([*blocks.unbind(-2), partial])


class DepthFirst(Read):
    """Sources (K, B, T, C)."""

    def forward(self, stacked: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward([*stacked])


class WithGain(Read):
    """A linear map as query, and a norm with a gain."""

    def __init__(self) -> None:
        super().__init__()
        del self.query
        self.norm, self.proj = nn.RMSNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 1, bias=False)

    def make_keys(self, stacked: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(stacked)
        return found

    def score(self, keys: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.proj(keys)
        return found.squeeze(-1)


class Heads(Read):
    """Four slices of the width with weights of their own."""

    def score(self, keys: torch.Tensor) -> torch.Tensor:
        return (keys * self.query).unflatten(-1, (4, -1)).sum(-1)

    def add(self, weights: torch.Tensor, stacked: torch.Tensor) -> torch.Tensor:
        return (weights.unsqueeze(-1) * stacked.unflatten(-1, (4, -1))).sum(0).flatten(-2)


def build_inkling2() -> nn.Module:
    """Return the read of Inkling2 with a query each for query, key and value."""
    from transformers.models.inkling2.configuration_inkling2 import Inkling2TextConfig
    from transformers.models.inkling2.modeling_inkling2 import Inkling2BlockAttentionResidual

    config = Inkling2TextConfig(hidden_size=WIDTH, eos_token_id=1, vocab_size=8, num_hidden_layers=1)
    config._attn_implementation = "eager"
    return Inkling2BlockAttentionResidual(config, num_queries=3)


RIGHT: dict[str, Callable[[], Any]] = {
    "a list": Read,
    "a stack and the last": Stacked,
    "a stack with depth first": DepthFirst,
    "a gain of the keys": WithGain,
    "heads": Heads,
    "Inkling2": build_inkling2,
    "inside of a model": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), Read()),
}


def build_wrong(**steps: Callable[..., torch.Tensor]) -> Callable[[], nn.Module]:
    """Return a class in which these steps are replaced."""
    return type("Wrong", (Read,), dict(steps))


def weigh_by_age(self: Any, logits: torch.Tensor) -> torch.Tensor:
    age = torch.arange(len(logits), dtype=logits.dtype).flip(0)
    return torch.softmax(logits - 0.5 * age.view(-1, 1, 1), 0)


def forget_last(self: Any, logits: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.softmax(logits[:-1], 0), torch.zeros_like(logits[-1:])])


# The mistake -> the check that is about it, and how to build it.
WRONG: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "a sigmoid": ("weights", build_wrong(weigh=lambda self, logits: torch.sigmoid(logits))),
    "softmax over tokens": ("weights", build_wrong(weigh=lambda self, logits: torch.softmax(logits, 2))),
    "softmax of squares": (
        "reference",
        build_wrong(weigh=lambda self, logits: torch.softmax(logits.square(), 0)),
    ),
    "a sum of parts that is divided by the count": (
        "weights",
        build_wrong(weigh=lambda self, logits: torch.softmax(logits, 0) / len(logits)),
    ),
    "weights by channel": (
        "read",
        build_wrong(
            score=lambda self, keys: keys * self.query,
            add=lambda self, weights, stacked: (weights * stacked).sum(0),
        ),
    ),
    "keys without a norm": ("key norm", build_wrong(make_keys=lambda self, stacked: stacked)),
    "keys with a norm over all sources": (
        "key norm",
        build_wrong(
            make_keys=lambda self, stacked: stacked * torch.rsqrt(stacked.square().mean((0, -1), keepdim=True))
        ),
    ),
    "keys with a norm over tokens": (
        "token axis",
        build_wrong(make_keys=lambda self, stacked: functional.layer_norm(norm(stacked), stacked.shape[2:])),
    ),
    "logits minus their mean over sources, divided by their spread": (
        "other sources",
        build_wrong(weigh=lambda self, logits: torch.softmax((logits - logits.mean(0)) / (logits.std(0) + 1e-3), 0)),
    ),
    "a bias by age": ("uniform", build_wrong(weigh=weigh_by_age)),
    "the last source is left out": ("uniform", build_wrong(weigh=forget_last)),
    "a temperature": ("reference", build_wrong(score=lambda self, keys: 2 * keys @ self.query)),
    "keys with a mean that is subtracted": (
        "reference",
        build_wrong(make_keys=lambda self, stacked: functional.layer_norm(stacked, stacked.shape[-1:])),
    ),
    "detached keys": ("gradients", build_wrong(make_keys=lambda self, stacked: norm(stacked.detach()))),
    "a detached norm": (
        "gradients",
        build_wrong(
            make_keys=lambda self, stacked: stacked * torch.rsqrt(stacked.square().mean(-1, keepdim=True)).detach()
        ),
    ),
    "detached values": (
        "gradients",
        build_wrong(add=lambda self, weights, stacked: (weights.unsqueeze(-1) * stacked.detach()).sum(0)),
    ),
    "dropout of weights": (
        "training mode",
        build_wrong(
            weigh=lambda self, logits: functional.dropout(torch.softmax(logits, 0), 0.5, training=self.training)
        ),
    ),
}
