"""A stack: input, L layers joined by a connection, final norm, loss.

`Stack.forward` is the plain network under autograd. `run` drives the same layers one by one through `Stack.layer`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.blocks import build_branch
from mhc_core.blocks.norms import normalise
from mhc_core.connections import Made, Mixing, build_connection
from mhc_core.inputs import build_input
from mhc_core.spec import RunSpec

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


class LayerOutput(NamedTuple):
    """What one layer did: new state, branch input u (N, C), branch output y (N, C), the coefficients it used."""

    state: torch.Tensor
    u: torch.Tensor
    y: torch.Tensor
    mixing: Made


class Stack(nn.Module):
    """The network of a spec, on the CPU in the spec's dtype; move it with `.to(device)`."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        self.spec = spec
        self.input = build_input(spec)
        self.connection = build_connection(spec)
        self.branches = nn.ModuleList(build_branch(spec, layer) for layer in range(spec.depth))
        dtype = DTYPES[spec.dtype]
        self.input.to(dtype)
        self.branches.to(dtype)
        self.connection.to(self.connection.coefficient_dtype)

    def embed(self) -> torch.Tensor:
        """The state before the first layer: copies of the embedded input, or its parts."""
        return self.connection.expand(self.input().flatten(0, 1))

    def layer(self, layer: int, state: torch.Tensor, mixing: Mixing | None) -> LayerOutput:
        """One layer; `mixing` is its row of the static coefficients, or None for a dynamic connection."""
        connection = self.connection
        made: Any = connection.dynamic_mixing(layer, state) if mixing is None else mixing
        u_NC = connection.read(state, made)
        shape = (self.spec.input.batch, self.spec.input.tokens, self.spec.width)
        y_NC = self.branches[layer](u_NC.view(shape)).reshape(u_NC.shape)
        state, used = connection.leave(layer, self._pass_by(layer, state), y_NC, made)
        if self.spec.block.norm_position == "post":
            state = connection.normalise(state, self.spec.block.norm)
        return LayerOutput(state, u_NC, y_NC, used)

    def _pass_by(self, layer: int, state: torch.Tensor) -> torch.Tensor:
        """What the branch's output is added to: mixing is linear, so the state may be scaled before it."""
        skip: Any = self.branches[layer].skip
        return state if skip == 1.0 or not self.spec.family.has_mixing else skip * state

    def loss(self, state: torch.Tensor) -> torch.Tensor:
        """Collapse the streams, normalise (pre-norm stacks only: elsewhere none is due), read out."""
        out_NC = self.connection.reduce(state)
        if self.spec.block.norm_position == "pre":
            out_NC = normalise(out_NC, self.spec.block.norm)
        return self.input.loss(out_NC.view(self.spec.input.batch, self.spec.input.tokens, -1))

    def forward(self) -> torch.Tensor:
        """The loss, through plain autograd."""
        return self.loss(self.climb(self.embed())[0])

    def climb(
        self, state: torch.Tensor, observe: Callable[[int, LayerOutput], None] | None = None
    ) -> tuple[torch.Tensor, list[Made]]:
        """All layers in turn, through plain autograd: the state after the last, and the coefficients of every layer.

        `observe` is called with each layer as it is done.
        """
        static = self.connection.static_mixing()
        # Unbound at once: the gradient of an index a layer would be a tensor of all layers each.
        rows = None if static is None else list(zip(*(part.unbind() for part in static), strict=True))
        mixings = []
        for layer in range(self.spec.depth):
            output = self.layer(layer, state, None if rows is None else Mixing(*rows[layer]))
            if observe is not None:
                observe(layer, output)
            state = output.state
            mixings.append(output.mixing)
        return state, mixings


def build_stack(spec: RunSpec) -> Stack:
    """The stack of a spec, on the CPU."""
    return Stack(spec)
