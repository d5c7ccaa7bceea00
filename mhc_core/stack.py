"""A stack: input, L layers joined by a connection, edits of these, final norm, loss.

`Stack.forward` is the plain network under autograd. `run` drives the same layers one by one through `Stack.layer`.
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
    """What one layer did: new state, branch input u (N, C), branch output y (N, C), the coefficients it used, the state
    that these were applied to, which an edit can have replaced, and what the next layer takes next to the state: the
    values of the first attention layer (B, T, C), None where no layer adds them to its own. Last come the learned
    weights of a value residual (2), None for a layer without.
    """

    state: torch.Tensor
    u: torch.Tensor
    y: torch.Tensor
    mixing: Made
    entered: torch.Tensor
    values: torch.Tensor | None = None
    value_weights: torch.Tensor | None = None


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
        self.edits = Edits(spec)
        self.skips_mixing = not spec.family.has_streams or spec.family.by_feature

    def embed(self) -> torch.Tensor:
        """Return the state before the first layer: copies of the embedded input, or its parts."""
        return self.connection.expand(self.input().flatten(0, 1))

    def layer(
        self, layer: int, state: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None = None
    ) -> LayerOutput:
        """One layer; `mixing` is its row of the static coefficients, or None for a dynamic connection, and `values` are
        what the layer below has passed on.
        """
        connection = self.connection
        state, matrix = self.edits.enter(layer, state, connection)
        seen = state if matrix is None else turn(state, matrix, connection)
        made: Any = connection.dynamic_mixing(layer, seen) if mixing is None else mixing
        made = self.edits.mix(layer, made)
        # Where the arithmetic skips coefficients, it would skip the matrix of the edits with them.
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
        """Return the state to which the branch's output is added, scaled by DeepNorm's factor if there is one."""
        skip: Any = self.branches[layer].skip
        return state if skip == 1.0 or not self.spec.family.has_mixing else skip * state

    def loss(self, state: torch.Tensor) -> torch.Tensor:
        """Return the loss of the state after the last layer."""
        return self.input.loss(self.collapse(state))

    def collapse(self, state: torch.Tensor) -> torch.Tensor:
        """Return the output (B, T, C): the streams merged, and normed in pre-norm stacks."""
        out_NC = self.connection.reduce(state)
        if self.spec.block.norm_position == "pre":
            out_NC = normalise(out_NC, self.spec.block.norm)
        return out_NC.view(-1, self.spec.input.tokens, self.spec.width)

    def forward(self) -> torch.Tensor:
        """Return the loss of a forward pass with plain autograd."""
        if self.edits.is_on:
            self.record_base()
        return self.loss(self.climb(self.embed())[0])

    @contextmanager
    def with_edits(self, *edits: EditSpec) -> Iterator[None]:
        """Use these edits instead of the stack's own until the context ends; none may restore or freeze."""
        own, self.edits = self.edits, Edits(self.spec.model_copy(update={"edits": edits}))
        try:
            yield
        finally:
            self.edits = own

    def with_spec(self, spec: RunSpec) -> "Stack":
        """Return a stack that shares all weights, for a spec that differs in its edits alone."""
        other = copy.copy(self)
        other.spec, other.edits = spec, Edits(spec)
        return other

    @torch.no_grad()
    def record_base(self) -> None:
        """Run the stack without edits, and store what edits restore or freeze."""
        outputs: list[LayerOutput] = []
        with self.with_edits():
            self.climb(self.embed(), lambda layer, output: outputs.append(output))
        self.edits.base = Base.of(outputs)

    def climb(
        self, state: torch.Tensor, observe: Callable[[int, LayerOutput], None] | None = None
    ) -> tuple[torch.Tensor, list[Made]]:
        """Compute all layers with plain autograd: the state after the last, and the coefficients of every layer.

        `observe` is called with each layer as it is done.
        """
        static = self.connection.static_mixing()
        # Unbound at once: the gradient of an index a layer would be a tensor of all layers each.
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
