"""Name modules of a model by Python expressions, such as model.layers[3].mlp."""

from collections.abc import Iterator, Sequence

from torch import nn

CONTAINERS = (nn.ModuleList, nn.ModuleDict)  # they have no forward pass; their parts are called


def extend_path(path: str, module: nn.Module, name: str) -> str:
    """Return the path of a submodule, such as `model.layers[0]`, from the path of its module."""
    if isinstance(module, nn.ModuleDict):
        return f'{path}["{name}"]'
    return f"{path}[{name}]" if name.isdigit() else f"{path}.{name}"


def name_module(model: nn.Module, module: nn.Module) -> str | None:
    """Return the path of a module in a model; None if the model does not contain it."""
    return next((path for path, part in _list_paths(model, "model") if part is module), None)


def name_layers(model: nn.Module, layers: Sequence[nn.Module]) -> str | None:
    """Return an expression for modules of a model: a list of the model, a slice of one, or a list of their paths.

    None if the model does not contain one of them.
    """
    paths = {module: path for path, module in _list_paths(model, "model")}
    if any(layer not in paths for layer in layers):
        return None
    holder = paths[layers[0]].rpartition("[")[0]
    found = next((module for module, path in paths.items() if path == holder), None)
    if isinstance(found, nn.ModuleList | nn.Sequential):
        children = list(found)
        first = children.index(layers[0])
        if children == [*layers]:
            return holder
        if children[first : first + len(layers)] == [*layers]:
            return f"{holder}[{first}:{first + len(layers)}]"
    return f"[{', '.join(paths[layer] for layer in layers)}]"


def _list_paths(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module and all modules inside it, each with its path as a Python expression."""
    yield path, module
    for name, child in module.named_children():
        yield from _list_paths(child, extend_path(path, module, name))
