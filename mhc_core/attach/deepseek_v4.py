"""DeepSeek-V4 as transformers builds it: mHC before attention and before the mixture of experts of every block.

The connection returns H_post, its matrix and u; the matrix is applied transposed: x'[k] = sum_j comb[j, k] x[j]. H_pre
is not returned and is computed once more, from the connection's own parameters.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.attach.adapter import Adapter, Listener, Site
from mhc_core.connections import Mixing
from mhc_core.spec import SpecError


class DeepseekV4(Adapter):
    """Every block is two layers. State (B, T, n, C)."""

    def __init__(self, model: nn.Module) -> None:
        modules: list[Any] = list(model.modules())
        heads = [module for module in modules if type(module).__name__ == "DeepseekV4HyperHead"]
        if len(heads) != 1:
            raise SpecError("model", f"{len(heads)} DeepseekV4HyperHead", "exactly one, which ends the streams")
        self.head = heads[0]
        self.connections: list[Any] = []
        self.branches: list[Any] = []
        self.sites: list[Site] = []
        for block in modules:
            if type(block).__name__ == "DeepseekV4DecoderLayer":
                self._add("attention", block.attn_hc, block.input_layernorm, block.self_attn)
                self._add("mlp", block.ffn_hc, block.post_attention_layernorm, block.mlp)

    def _add(self, name: str, connection: nn.Module, norm: nn.Module, branch: nn.Module) -> None:
        self.connections.append(connection)
        self.branches.append(branch)
        self.sites.append(Site(name, [*norm.parameters(), *branch.parameters()], list(connection.parameters())))

    def listen(self, listener: Listener) -> list[RemovableHandle]:
        handles = [self.head.register_forward_pre_hook(partial(_end, listener))]
        for layer, (connection, branch) in enumerate(zip(self.connections, self.branches, strict=True)):
            handles.append(connection.register_forward_hook(partial(_enter, listener, layer)))
            handles.append(branch.register_forward_hook(partial(_leave, listener, layer)))
        return handles

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.flatten(0, 1).transpose(0, 1)


def _enter(listener: Listener, layer: int, connection: Any, inputs: Any, output: Any) -> None:
    (state,), (post, comb, u) = inputs, output
    mixing = Mixing(_compute_h_pre(connection, state), post.flatten(0, 1), comb.mT.flatten(0, 1))
    listener.enter(layer, state, u, mixing)


def _leave(listener: Listener, layer: int, branch: Any, inputs: Any, output: Any) -> None:
    listener.leave(layer, output[0] if isinstance(output, tuple) else output)


def _end(listener: Listener, head: Any, inputs: Any) -> None:
    listener.end(inputs[0])


@torch.no_grad()
def _compute_h_pre(connection: Any, state: torch.Tensor) -> torch.Tensor:
    """sigmoid(s (v phi) / rms(v) + b) + eps over the first n rows of phi, (N, n)."""
    n = connection.hc_mult
    raw = F.linear(connection.input_norm(state.flatten(2).float()), connection.fn[:n].float())
    return (torch.sigmoid(raw * connection.scale[0] + connection.base[:n]) + connection.hc_eps).flatten(0, 1)
