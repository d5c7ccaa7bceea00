"""What a family of models must tell: where its layers are, and what passes them.

Shapes: N samples (tokens of all sequences), n streams, C width.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.connections import Mixing


class Site(NamedTuple):
    """One layer: what it is called, its branch's parameters, and those of its connection."""

    name: str
    weights: list[nn.Parameter]
    mixing: list[nn.Parameter]


class Listener(Protocol):
    """Takes what an adapter's hooks hear, in the order of the layers. Tensors are the model's own, with their graph."""

    def enter(self, layer: int, state: torch.Tensor, u: torch.Tensor, mixing: Mixing) -> None:
        """A layer has read its branch input u (..., C), which is the state itself where there is one stream."""

    def leave(self, layer: int, y: torch.Tensor) -> None:
        """The layer's branch has returned y (..., C)."""

    def end(self, state: torch.Tensor) -> None:
        """The state after the last layer."""


class Adapter(ABC):
    """One family of models."""

    sites: Sequence[Site]

    @abstractmethod
    def listen(self, listener: Listener) -> list[RemovableHandle]:
        """Hook the model's modules, so that the listener hears of every layer; the hooks change nothing."""

    @abstractmethod
    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        """Any state, or its gradient, as (n, N, C)."""
