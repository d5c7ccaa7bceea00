"""Find the relevant tensor in the arguments or the output of a module."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
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
    """Return the first floating-point tensor of that shape."""
    return next((x for x in list_tensors(value) if x.shape == shape and x.is_floating_point()), None)
