"""Find the relevant tensor in the arguments or the output of a module."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch


def list_tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield all tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from list_tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from list_tensors(part)
    elif is_dataclass(value):
        for field in fields(value):
            yield from list_tensors(getattr(value, field.name))


def find_state(args: Any, kwargs: Any) -> torch.Tensor | None:
    """Return the state that a layer receives: its first floating-point tensor."""
    return next((x for x in list_tensors((args, kwargs)) if x.is_floating_point()), None)


def find_like(value: Any, shape: torch.Size) -> torch.Tensor | None:
    """Return the first floating-point tensor of this shape; None if there is none."""
    return next((x for x in list_tensors(value) if x.shape == shape and x.is_floating_point()), None)


def replace_tensor(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """Replace a tensor in nested tuples, lists, mappings and dataclasses. Parts without it remain the same objects."""
    if value is old:
        return new
    if isinstance(value, tuple | list):
        items = [replace_tensor(part, old, new) for part in value]
        if all(one is other for one, other in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: replace_tensor(getattr(value, field.name), old, new) for field in fields(value)}
        changed = {key: part for key, part in found.items() if part is not getattr(value, key)}
        return replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        parts = {key: replace_tensor(part, old, new) for key, part in value.items()}
        return value if all(parts[key] is value[key] for key in parts) else type(value)(parts)  # type: ignore[call-arg]
    return value
