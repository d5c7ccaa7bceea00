"""Find the layers of a residual model by its structure: a list of modules with similar parts."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.recording.paths import CONTAINERS, extend_path, name_layers


class LayerList(NamedTuple):
    """A list of modules that may be layers.

    Attributes
    ----------
    path: Python expression of the list.
    rows: the layers of each entry of the list; several if the entry is itself a list, such as of attention and an MLP.
    owner: the module that contains the list.
    is_called: whether the list itself is called; otherwise the owner calls its entries.
    """

    path: str
    rows: Sequence[Sequence[nn.Module]]
    owner: nn.Module | None
    is_called: bool

    @property
    def layers(self) -> list[nn.Module]:
        """Return all layers of the list in order."""
        return [layer for row in self.rows for layer in row]


def find_layers(model: nn.Module) -> tuple[list[nn.Module], SpecError | None]:
    """Return the layers of a model's only list of layers, and None; or layers to try, and an error, if it has none or
    several lists.

    The error proposes the list to use. Layers to try exist if one module has several lists of the same length, such as
    one of attention and one of MLPs: attention 0, MLP 0, attention 1, and so on. Otherwise they are [].
    """
    stacks = list(find_stacks(model, "model"))
    name = type(model).__name__
    if not stacks:
        wanted = "two or more layers that are built alike in a list, or its layers as layers=[...]"
        return [], SpecError("model", f"{name}, without a list of layers", wanted)
    if len(stacks) == 1:
        return stacks[0].layers, None
    seen = ", ".join(f"{stack.path} ({len(stack.layers)} {_name_class(stack)})" for stack in stacks)
    wanted = f"one of them: {seen}; try layers={_propose(model, stacks)}"
    refusal = SpecError("model", f"{name} with {len(stacks)} stacks", wanted)
    return (_take_in_turn(stacks) if _are_parallel(stacks) else []), refusal


def find_stacks(module: nn.Module, path: str, owner: nn.Module | None = None) -> Iterator[LayerList]:
    """Yield the outermost lists of layers. A list within a layer is part of that layer."""
    rows = _find_rows(module) if isinstance(module, nn.ModuleList | nn.Sequential) else []
    if rows:
        yield LayerList(path, rows, owner, isinstance(module, nn.Sequential))
        return
    for name, child in module.named_children():
        yield from find_stacks(child, extend_path(path, module, name), module)


def list_parts(module: nn.Module) -> list[nn.Module]:
    """Return a callable module in a list; of a container, the modules in it, without those that have no parts."""
    if not isinstance(module, CONTAINERS):
        return [module]
    parts = [part for child in module.children() for part in list_parts(child)]
    return [part for part in parts if any(True for _ in part.children())] or parts


def _find_rows(module: nn.Module) -> Sequence[Sequence[nn.Module]]:
    """Return the layers of each entry of a list; [] if they are not alike."""
    rows = [list_parts(child) for child in module.children()]
    layers = [layer for row in rows for layer in row]
    # An nn.Sequential of different classes is usually a whole model, or a branch.
    may_differ = isinstance(module, nn.ModuleList)
    columns = list(zip_longest(*rows))
    if len(rows) > 1 and all(None not in column and _are_alike(column, may_differ) for column in columns):
        return rows
    return [[layer] for layer in layers] if len(layers) > 1 and _are_alike(layers, may_differ) else []


def _are_alike(layers: Sequence[nn.Module], may_differ: bool) -> bool:
    """Return whether modules may be layers of one list: all have parts, and vectors that show a common width.

    Modules of one class without any vectors are alike too. may_differ: whether their classes may differ.
    """
    if not all(any(True for _ in layer.children()) for layer in layers):
        return False
    vectors = [_list_vectors(layer) for layer in layers]
    is_shared, is_one_class = bool(set.intersection(*vectors)), len({type(layer) for layer in layers}) == 1
    return (is_shared and (is_one_class or may_differ)) or (is_one_class and not any(vectors))


def _list_vectors(layer: nn.Module) -> set[tuple[str, int]]:
    """Return names and lengths of vectors, such as gains and biases, which show whether layers share a width."""
    return {(name, len(parameter)) for name, parameter in layer.named_parameters() if parameter.ndim == 1}


def _are_parallel(stacks: Sequence[LayerList]) -> bool:
    """Return whether the code of one module may call the entries of all lists in turn."""
    owners = {stack.owner for stack in stacks}
    return (
        len(owners) == len({len(stack.layers) for stack in stacks}) == 1
        and not any(stack.is_called for stack in stacks)
        and not any(isinstance(owner, CONTAINERS) for owner in owners)
    )


def _take_in_turn(stacks: Sequence[LayerList]) -> list[nn.Module]:
    return [layer for row in zip(*(stack.layers for stack in stacks), strict=True) for layer in row]


def _propose(model: nn.Module, stacks: Sequence[LayerList]) -> str:
    """Return a Python expression for the longest run of similar layers in a model."""
    expression = name_layers(model, max((_find_run(stack) for stack in stacks), key=len))
    assert expression is not None, "the layers are parts of the model"
    return expression


def _find_run(stack: LayerList) -> list[nn.Module]:
    """Return the longest run of layers with the same vectors, which ends where a layer changes the width."""
    shapes = [[_list_vectors(layer) for layer in row] for row in stack.rows]
    runs, first = [], 0
    for place in range(1, len(shapes) + 1):
        if place == len(shapes) or shapes[place] != shapes[first]:
            runs.append([layer for row in stack.rows[first:place] for layer in row])
            first = place
    return max(runs, key=len)


def _name_class(stack: LayerList) -> str:
    return type(stack.layers[0]).__name__
