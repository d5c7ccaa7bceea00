"""Call a connection by its calling convention, and assign the returned tensors to u, H_post, H_res and the next state.

Shapes: B sequences, T tokens, n streams, C width. A state is (B, T, n, C) here, and is converted to the layout that the
module takes.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import nn

BATCH, TOKENS = 3, 5  # sizes of the states that a module is called with
Write = Callable[..., torch.Tensor]  # write(state, y, returned) -> the next state, in the module's own layout


class StreamLayout(NamedTuple):
    """The layout of streams that a module takes. `joins_tokens`: B and T are one axis of all inputs and outputs."""

    name: str
    to_native: Callable[[torch.Tensor], torch.Tensor]
    to_state: Callable[[torch.Tensor, int], torch.Tensor]
    joins_tokens: bool = False


def _unfold_streams(x: torch.Tensor, n: int) -> torch.Tensor:
    """Return a state (B n, T, C), whose streams are in the batch axis, as (B, T, n, C)."""
    return x.unflatten(0, (-1, n)).movedim(1, -2)


LAYOUTS = (
    StreamLayout("x", lambda x: x, lambda x, n: x),
    StreamLayout("x.flatten(2)", lambda x: x.flatten(2), lambda x, n: x.unflatten(-1, (n, -1))),
    StreamLayout("x.movedim(2, 1).flatten(0, 1)", lambda x: x.movedim(2, 1).flatten(0, 1), _unfold_streams),
    StreamLayout(
        "x.flatten(0, 1)", lambda x: x.flatten(0, 1), lambda x, n: x.unflatten(0, (BATCH, -1)), joins_tokens=True
    ),
    StreamLayout("x.movedim(2, 1)", lambda x: x.movedim(2, 1), lambda x, n: x.movedim(1, 2)),
    StreamLayout("x.movedim(2, 0)", lambda x: x.movedim(2, 0), lambda x, n: x.movedim(0, 2)),
)


class ModuleCall(NamedTuple):
    """The parts of one call.

    u: (B, T, C), the branch's input. write: from y (B, T, C) to the next state, or None if it is unknown. h_post (B,
    T, n), h_res (B, T, n, n): as the module returns them, or None. next_pre: H_pre for the next layer. unknown_tensors:
    the number of returned tensors whose meaning is unknown.
    """

    u: torch.Tensor
    write: Callable[[torch.Tensor], torch.Tensor] | None
    h_post: torch.Tensor | None = None
    h_res: torch.Tensor | None = None
    next_pre: torch.Tensor | None = None
    unknown_tensors: int = 0


class NotUnderstood(Exception):
    """A call returned something that fits no convention."""


@dataclass(frozen=True)
class Subject:
    """A module and its calling convention.

    `takes_branch`: the module takes the branch as a function. `carried`: H_pre is an argument, which the previous layer
    returned. `in_place`: the next state overwrites the given state, so that each call yields only one next state.
    """

    module: nn.Module
    n: int
    width: int
    layout: StreamLayout
    takes_branch: bool = False
    carried: bool = False
    write: Write | None = None
    in_place: bool = False

    def __call__(self, x: torch.Tensor, h_pre: torch.Tensor | None = None) -> ModuleCall:
        """Call the module on a state (B, T, n, C), with h_pre (B, T, n), by default 1, if it is `carried`.

        Raises
        ------
        NotUnderstood
            If the returned values have no known form.
        """
        if self.takes_branch:
            return self._call_with_branch(x)
        native = self._to_native(x)
        given = x.new_ones(x.shape[:3]) if h_pre is None else h_pre
        returned = self.module(native, self._join_tokens(given)) if self.carried else self.module(native)
        parts = list(returned) if isinstance(returned, tuple | list) else [returned]
        functions = [part for part in parts if callable(part) and not isinstance(part, torch.Tensor)]
        tensors = [self._split_tokens(part) for part in parts if isinstance(part, torch.Tensor)]
        if functions:
            called = self._with_function(functions[0], tensors, x)
            return called._replace(write=lambda y: self._write_afresh(x, h_pre, y)) if self.in_place else called
        return self._read_coefficients(returned, tensors, x)

    def _write_afresh(self, x: torch.Tensor, h_pre: torch.Tensor | None, y: torch.Tensor) -> torch.Tensor:
        """Call the module again and return its next state, so that no other next state is overwritten."""
        write = replace(self, in_place=False)(x, h_pre).write
        assert write is not None
        return write(y)

    @torch.no_grad()
    def overwrites(self, x: torch.Tensor) -> bool:
        """Return whether computing a next state twice from one call overwrites the first."""
        called = self(x)
        if called.write is None:
            return False
        zeros = torch.zeros_like(called.u)
        before = called.write(zeros).clone()
        called.write(zeros + 1)
        return not torch.equal(called.write(zeros), before)

    def on(self, module: nn.Module) -> "Subject":
        """Return a subject that calls another module of the same class by the same convention."""
        return replace(self, module=module)

    def _to_native(self, x: torch.Tensor) -> torch.Tensor:
        return self.layout.to_native(x).clone()  # a copy, as the module may overwrite its input

    def _call_with_branch(self, x: torch.Tensor) -> ModuleCall:
        """Call a module that takes its branch as a function, and record the branch's input.

        The returned call runs the module again with another output of the branch.
        """
        inputs: list[torch.Tensor] = []

        def write_state(y: torch.Tensor) -> torch.Tensor:
            """Call the module with a branch that returns y; return the next state."""

            def branch(u: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
                """Replace the branch of a connection under test: record its input, and return the given y."""
                inputs.append(self._split_tokens(u))
                return self._join_tokens(y)

            return self._to_state(_get_first(self.module(self._to_native(x), branch)), x)

        write_state(x.new_zeros(*x.shape[:2], x.shape[3]))
        if not inputs or inputs[0].shape != (*x.shape[:2], x.shape[3]):
            raise NotUnderstood
        return ModuleCall(inputs[0], write_state)

    def _with_function(self, function: Any, tensors: list[torch.Tensor], x: torch.Tensor) -> ModuleCall:
        """Interpret a call that returns the branch's input, and a function from its output to the next state."""
        u = [part for part in tensors if part.shape == (*x.shape[:2], x.shape[3])]
        if not u:
            raise NotUnderstood
        carried = _list_vectors(tensors, x)
        return ModuleCall(
            u[0],
            lambda y: self._to_state(_get_first(function(self._join_tokens(y))), x),
            next_pre=carried[0] if carried else None,
        )

    def _read_coefficients(self, returned: Any, tensors: list[torch.Tensor], x: torch.Tensor) -> ModuleCall:
        """Assign the returned tensors by their shapes: u, H_post, H_res, and H_pre of this or of the next layer.

        Raises
        ------
        NotUnderstood
            If u or a vector of weights is missing.
        """
        u = [part for part in tensors if part.shape == (*x.shape[:2], x.shape[3])]
        matrices = [part for part in tensors if part.shape == (*x.shape[:3], x.shape[2])]
        vectors = _list_vectors(tensors, x)
        if not vectors or len(u) + len(vectors) < 2:
            raise NotUnderstood
        next_pre = None
        passed_on = [part for part in tensors if part.numel() == x.numel()]
        unknown_tensors = len(tensors) - len(u) - len(matrices) - len(vectors) - len(passed_on)
        if not u:
            h_pre, vectors = vectors[0], vectors[1:]
            u = [(h_pre.unsqueeze(-1) * x).sum(2)]
        elif len(vectors) > 1:
            fits = [_measure_read_misfit(vector, u[0], x) for vector in vectors]
            h_post = vectors[0] if self.carried else vectors[fits.index(min(fits)) - 1]
            next_pre = vectors[1] if self.carried else None
            vectors = [h_post]
        write = None if self.write is None else self._bind_write(returned, x)
        return ModuleCall(u[0], write, vectors[0], matrices[0] if matrices else None, next_pre, unknown_tensors)

    def _bind_write(self, returned: Any, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function from the branch's output to the next state, which calls the user's `write`."""
        assert self.write is not None
        write = self.write
        return lambda y: self._to_state(write(self._to_native(x), self._join_tokens(y), returned), x)

    def _join_tokens(self, tensor: torch.Tensor) -> torch.Tensor:
        """Join the axes of sequences and tokens, (B, T, ...), if the module's layout has one axis for both."""
        return tensor.flatten(0, 1) if self.layout.joins_tokens else tensor

    def _split_tokens(self, tensor: torch.Tensor) -> torch.Tensor:
        """Split the joined axis of batch and tokens of a tensor for the module under test, if its layout has one."""
        is_joined = self.layout.joins_tokens and tensor.ndim and len(tensor) == BATCH * TOKENS
        return tensor.unflatten(0, (BATCH, TOKENS)) if is_joined else tensor

    def _to_state(self, native: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return a state in the module's own layout as (B, T, n, C); raise NotUnderstood if `x` has another shape."""
        state = self.layout.to_state(native, self.n)
        if state.shape != x.shape:
            raise NotUnderstood
        return state


def count_required(module: nn.Module) -> int:
    """Return the number of arguments that `forward` requires."""
    required = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(module.forward).parameters.values()
    return sum(p.kind in required and p.default is inspect.Parameter.empty for p in parameters)


def _get_first(output: Any) -> torch.Tensor:
    """Return the first tensor of a module's output."""
    found: torch.Tensor = output[0] if isinstance(output, tuple | list) else output
    return found


def _list_vectors(tensors: list[torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    """Return the tensors with one number per token and stream as (B, T, n), ignoring axes of length 1."""
    size = x.shape[:3].numel()
    return [part.reshape(x.shape[:3]) for part in tensors if part.numel() == size and x.shape[2] in part.shape[2:]]


def _measure_read_misfit(vector: torch.Tensor, u: torch.Tensor, x: torch.Tensor) -> float:
    """Return the largest entry of |h x - u| for weights h (B, T, n), a state x (B, T, n, C) and u (B, T, C)."""
    return ((vector.unsqueeze(-1) * x).sum(2) - u).abs().max().item()
