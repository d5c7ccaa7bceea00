"""Where the layers of a residual model are, told by its structure: a list of modules of one class.

Modules have paths as people write them: model.layers[3].mlp.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import nn

from mhc_core.attach.families.residual import Residual
from mhc_core.spec import SpecError


class Stack(NamedTuple):
    """A list of modules that may be layers."""

    path: str
    layers: Sequence[nn.Module]


def build_residual(model: nn.Module) -> Residual:
    """An adapter for the one list of layers that the model has.

    Raises
    ------
    SpecError
        Where it has none, or more than one; it proposes the list that would do.
    """
    stacks = list(find_stacks(model, "model"))
    name = type(model).__name__
    if not stacks:
        raise SpecError("model", f"{name}, without a list of two or more layers of one class", "its layers as a list")
    if len(stacks) > 1:
        seen = ", ".join(f"{stack.path} ({len(stack.layers)} {_name_class(stack)})" for stack in stacks)
        raise SpecError("model", f"{name} with {len(stacks)} stacks", f"one of them: {seen}; try {_propose(stacks)}")
    return Residual(stacks[0].layers, stacks[0].path)


def find_stacks(module: nn.Module, path: str) -> Iterator[Stack]:
    """Outermost lists of layers: what lies within a layer is part of it."""
    children = list(module.children())
    if _is_stack(module, children):
        yield Stack(path, children)
        return
    for name, child in module.named_children():
        yield from find_stacks(child, f"{path}[{name}]" if name.isdigit() else f"{path}.{name}")


def _is_stack(module: nn.Module, children: Sequence[nn.Module]) -> bool:
    """Two or more modules of one class that have parts and the same width."""
    if not isinstance(module, nn.ModuleList | nn.Sequential) or len(children) < 2:
        return False
    if len({type(child) for child in children}) > 1 or not any(True for _ in children[0].children()):
        return False
    widths = [_list_vectors(child) for child in children]
    return bool(set.intersection(*widths)) or not any(widths)


def _list_vectors(layer: nn.Module) -> set[tuple[str, int]]:
    """Names and lengths of vectors, as the gains of norms and biases: they tell whether layers have one width."""
    return {(name, len(parameter)) for name, parameter in layer.named_parameters() if parameter.ndim == 1}


def _propose(stacks: Sequence[Stack]) -> str:
    """The longest run of layers that are built alike, in the list that has it."""
    best = max((_find_run(stack) for stack in stacks), key=lambda run: (run[2] - run[1], -stacks.index(run[0])))
    stack, first, end = best
    whole = first == 0 and end == len(stack.layers)
    return f"layers={stack.path}" + ("" if whole else f"[{first}:{end}]")


def _find_run(stack: Stack) -> tuple[Stack, int, int]:
    """First and end of the longest run of layers with the same vectors: a layer that changes the state has others."""
    shapes = [_list_vectors(layer) for layer in stack.layers]
    runs, first = [], 0
    for place in range(1, len(shapes) + 1):
        if place == len(shapes) or shapes[place] != shapes[first]:
            runs.append((place - first, first))
            first = place
    length, first = max(runs, key=lambda run: run[0])
    return stack, first, first + length


def _name_class(stack: Stack) -> str:
    return type(stack.layers[0]).__name__
