"""Run a model without side effects on random numbers, buffers and arguments."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn


@contextmanager
def keep_unchanged(model: nn.Module) -> Iterator[None]:
    """Restore the state of random numbers and the buffers of a model, bit by bit, when the context ends."""
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
                    # Write only if it has changed, because a write invalidates graphs that have saved the buffer.
                    if buffer is not None and values is not None and not torch.equal(buffer, values):
                        buffer.copy_(values)


def copy_arguments(value: Any) -> Any:
    """Copy the arguments of a call that the call may change, such as caches. Tensors and modules are not copied."""
    if value is None or isinstance(value, torch.Tensor | nn.Module | str | int | float | bool):
        return value
    if type(value) in (tuple, list):
        return type(value)(copy_arguments(part) for part in value)
    if type(value) is dict:
        return {key: copy_arguments(part) for key, part in value.items()}
    return deepcopy(value)
