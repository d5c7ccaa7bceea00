"""Residual models without Hyper-Connections, by a list of their layers: one stream, the branch is what a layer adds."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.attach.adapter import Adapter, Listener, Site
from mhc_core.connections import Mixing


class Residual(Adapter):
    """x' = layer(x), so that y = layer(x) - x. State (..., C), n = 1.

    A listed module is one layer, whatever it holds: of a transformer's block, attention and MLP count together.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        self.layers = list(layers)
        self.sites = [Site(type(layer).__name__, list(layer.parameters()), []) for layer in self.layers]

    def listen(self, listener: Listener) -> list[RemovableHandle]:
        handles = []
        for index, layer in enumerate(self.layers):
            handles.append(layer.register_forward_pre_hook(partial(self._enter, listener, index), with_kwargs=True))
            handles.append(layer.register_forward_hook(partial(self._leave, listener, index)))
        return handles

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.flatten(0, -2).unsqueeze(0)

    def _enter(self, listener: Listener, index: int, layer: nn.Module, args: Any, kwargs: Any) -> None:
        state = _first(args, kwargs)
        self.before = state.detach().clone()  # the layer may add in place
        one = torch.ones(1, device=state.device)
        listener.enter(index, state, state, Mixing(one, one, one.view(1, 1)))

    def _leave(self, listener: Listener, index: int, layer: nn.Module, args: Any, output: Any) -> None:
        after = output[0] if isinstance(output, tuple) else output
        listener.leave(index, after.detach() - self.before)
        if index == len(self.layers) - 1:
            listener.end(after)


def _first(args: Any, kwargs: Any) -> torch.Tensor:
    state: torch.Tensor = args[0] if args else next(iter(kwargs.values()))
    return state
