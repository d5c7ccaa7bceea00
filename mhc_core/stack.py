"""The stack: the network of a spec, with its input, L layers joined by a connection, edits, final norm and loss.

`Stack.forward` computes the whole network under autograd. `run` computes the same layers one by one, by `Stack.layer`.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.edits import Base, Edits, fold, turn
from mhc_core.inputs import build_input
from mhc_core.layers.blocks import build_branch
from mhc_core.layers.branch import Carried
from mhc_core.layers.connections import Made, Mixing, build_connection
from mhc_core.layers.norms import normalise
from mhc_core.spec import EditSpec, RunSpec

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


class LayerOutput(NamedTuple):
    """The results of one layer.

    state: the new state. u, y: branch input and output, (N, C). mixing: the coefficients that the layer used. entered:
    the state to which they were applied, after edits. values: the values of the first attention layer, (B, T, C), for
    later layers; None without a value residual. value_weights: the learned weights of a value residual (2); None for
    layers without.
    """

    state: torch.Tensor
    u: torch.Tensor
    y: torch.Tensor
    mixing: Made
    entered: torch.Tensor
    values: torch.Tensor | None = None
    value_weights: torch.Tensor | None = None


class Stack(nn.Module):
    """The network of a spec. It is created on the CPU in the spec's dtype; move it with `.to(device)`."""

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
        self.edits = Edits(spec)
        self.skips_mixing = not spec.family.has_streams or spec.family.by_feature

    def embed(self) -> torch.Tensor:
        """Return the state before the first layer: copies of the embedded input, or its parts."""
        return self.connection.expand(self.input().flatten(0, 1))

    def layer(
        self, layer: int, state: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None = None
    ) -> LayerOutput:
        """Compute one layer.

        mixing: the coefficients of this layer for static mixing; None for dynamic mixing. values: those of the first
        attention layer, as in the output of the layer before; default None.
        """
        connection = self.connection
        state, matrix = self.edits.enter(layer, state, connection)
        seen = state if matrix is None else turn(state, matrix, connection)
        made: Any = connection.dynamic_mixing(layer, seen) if mixing is None else mixing
        made = self.edits.mix(layer, made)
        # If the layer does not use H_res, the matrix of edits cannot be a part of it, and is applied to the state.
        mixed, applied = (seen, made) if self.skips_mixing else (state, fold(made, matrix))
        u_NC = connection.read(mixed, applied)
        shape = (-1, self.spec.input.tokens, self.spec.width)
        carried = Carried(values)
        y_NC = self.edits.output(layer, self.branches[layer](u_NC.view(shape), carried).reshape(u_NC.shape))
        after, used = connection.leave(layer, self._pass_by(layer, mixed), y_NC, applied)
        if self.spec.block.norm_position == "post":
            after = connection.normalise(after, self.spec.block.norm)
        made = fold(used, matrix) if self.skips_mixing else used
        value_weights = getattr(self.branches[layer], "value_weights", None)
        return LayerOutput(after, u_NC, y_NC, made, state, carried.values, value_weights)

    def _pass_by(self, layer: int, state: torch.Tensor) -> torch.Tensor:
        """Return the state on the skip path, multiplied by DeepNorm's factor if there is one."""
        skip: Any = self.branches[layer].skip
        return state if skip == 1.0 or not self.spec.family.has_mixing else skip * state

    def loss(self, state: torch.Tensor) -> torch.Tensor:
        """Return the loss of the state after the last layer."""
        return self.input.loss(self.collapse(state))

    def collapse(self, state: torch.Tensor) -> torch.Tensor:
        """Return the output (B, T, C): the merged streams, in pre-norm stacks after the final norm."""
        out_NC = self.connection.reduce(state)
        if self.spec.block.norm_position == "pre":
            out_NC = normalise(out_NC, self.spec.block.norm)
        return out_NC.view(-1, self.spec.input.tokens, self.spec.width)

    def forward(self) -> torch.Tensor:
        """Return the loss of a forward pass with plain autograd."""
        if self.edits.is_on:
            self.record_base()
        return self.loss(self.run_layers(self.embed())[0])

    @contextmanager
    def with_edits(self, *edits: EditSpec) -> Iterator[None]:
        """Use these edits instead of the stack's own until the context ends; none may restore or freeze."""
        own, self.edits = self.edits, Edits(self.spec.model_copy(update={"edits": edits}))
        try:
            yield
        finally:
            self.edits = own

    def with_spec(self, spec: RunSpec) -> "Stack":
        """Return a stack with the same weights, for a spec that differs only in its edits."""
        other = copy.copy(self)
        other.spec, other.edits = spec, Edits(spec)
        return other

    @torch.no_grad()
    def record_base(self) -> None:
        """Run the stack without edits, and store the values that edits restore or freeze."""
        outputs: list[LayerOutput] = []
        with self.with_edits():
            self.run_layers(self.embed(), lambda layer, output: outputs.append(output))
        self.edits.base = Base.of(outputs)

    def run_layers(
        self, state: torch.Tensor, observe: Callable[[int, LayerOutput], None] | None = None
    ) -> tuple[torch.Tensor, list[Made]]:
        """Compute all layers with plain autograd; return the state after the last, and the coefficients of all layers.

        observe: a function that is called with the index and the output of each layer; default None.
        """
        static = self.connection.static_mixing()
        # `unbind`, because the gradient of an index per layer would be a tensor of all layers for each of them.
        rows = None if static is None else list(zip(*(part.unbind() for part in static), strict=True))
        mixings, values = [], None
        for layer in range(self.spec.depth):
            output = self.layer(layer, state, None if rows is None else Mixing(*rows[layer]), values)
            if observe is not None:
                observe(layer, output)
            state, values = output.state, output.values
            mixings.append(output.mixing)
        return state, mixings


def build_stack(spec: RunSpec) -> Stack:
    """Build the stack of a spec, on the CPU."""
    return Stack(spec)
