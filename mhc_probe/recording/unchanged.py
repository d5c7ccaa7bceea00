"""Run a model once more without a trace of it: random numbers, buffers and arguments stay as they were."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn


@contextmanager
def keep_unchanged(model: nn.Module) -> Iterator[None]:
    """Return a context behind which random numbers continue as if nothing had run, and buffers are the same bits."""
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    devices = {parameter.device.index or 0 for parameter in model.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices)):
        try:
            yield
        finally:
            with torch.no_grad():
                for module, name, buffer, values in buffers:
                    module._buffers[name] = buffer
                    # Only what has changed: a write counts as one for graphs that have stored the buffer.
                    if buffer is not None and values is not None and not torch.equal(buffer, values):
                        buffer.copy_(values)


def copy_arguments(value: Any) -> Any:
    """Return arguments of a call, with copies of all objects that the call may change, such as caches."""
    if value is None or isinstance(value, torch.Tensor | nn.Module | str | int | float | bool):
        return value
    if type(value) in (tuple, list):
        return type(value)(copy_arguments(part) for part in value)
    if type(value) is dict:
        return {key: copy_arguments(part) for key, part in value.items()}
    return deepcopy(value)
