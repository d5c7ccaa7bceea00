"""What a stack's operators really do, counted as they run: bytes read and written, bytes kept for the way down."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mhc_core.layers.connections import Mixing
from mhc_core.measure.probe import ForwardProbe
from mhc_core.stack import LayerOutput, Stack

# Operators that return another view of the same memory, or nothing but a handle.
VIEWS = ("view", "expand", "permute", "transpose", "select", "split", "slice", "squeeze", "unbind", "alias", "detach")


class ByteCounter(TorchDispatchMode):
    """Sums the sizes of all tensors that go into an operator and come out of it, but those of the shape in cache."""

    def __init__(self, in_cache: tuple[int, ...]) -> None:
        super().__init__()
        self.moved, self.in_cache = 0, in_cache

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name != "t" and not any(word in name for word in VIEWS):
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
            self.moved += sum(t.numel() * t.element_size() for t in tensors if t.shape != self.in_cache)
        return out


def count_layer_bytes(stack: Stack) -> int:
    """Bytes that all layers move, up and down, each layer a graph of its own as in a run.

    Attention weights are left out: they are computed in tiles that stay in the cache.
    """
    moved, spec = 0, stack.spec
    weights = (spec.input.batch * spec.block.heads, spec.input.tokens, spec.input.tokens)

    def visit(layer: int, leaf: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None) -> LayerOutput:
        nonlocal moved
        branch = list(stack.branches[layer].parameters())
        wanted = [leaf, *branch, *(mixing or ()), *stack.connection.layer_parameters(layer)]
        wanted += [] if values is None else [values]
        with ByteCounter(weights) as up:
            output = stack.layer(layer, leaf, mixing, values)
        ends = [output.state, *([output.values] if values is None and output.values is not None else [])]
        grads = [torch.ones_like(end) for end in ends]
        with ByteCounter(weights) as down:
            torch.autograd.grad(ends, wanted, grads, allow_unused=True)
        moved += up.moved + down.moved
        return output

    _walk(stack, visit)
    return moved


def count_kept_bytes(stack: Stack) -> int:
    """Bytes of memory that the layers' graphs, states, branch inputs and outputs hold; parameters left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in stack.parameters()}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        alive.append(tensor)  # or its address would be given out again
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def visit(layer: int, leaf: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None) -> LayerOutput:
        output = stack.layer(layer, leaf, mixing, values)
        for tensor in (leaf, output.state, output.u, output.y):
            note(tensor)
        return output

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _walk(stack, visit)
    return sum(kept.values())


def _walk(stack: Stack, visit: Callable[[int, torch.Tensor, Mixing | None, torch.Tensor | None], LayerOutput]) -> None:
    static, state, values = stack.connection.static_mixing(), stack.embed(), None
    for layer in range(stack.spec.depth):
        leaf = state.detach().requires_grad_()
        mixing = None
        if static is not None:
            mixing = Mixing(*(part[layer].detach().clone().requires_grad_() for part in static))
        output = visit(layer, leaf, mixing, values)
        state, values = output.state, None if output.values is None else output.values.detach().requires_grad_()


def count_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that receives the number of layers of each block which a forward probe measures from now on."""
    sizes: list[int] = []
    measure_block = ForwardProbe._measure

    def count(probe: ForwardProbe, outputs: list[LayerOutput]) -> dict[str, torch.Tensor]:
        sizes.append(len(outputs))
        return measure_block(probe, outputs)

    monkeypatch.setattr(ForwardProbe, "_measure", count)
    return sizes
