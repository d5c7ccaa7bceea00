"""Models that torch.compile has compiled: no hook runs in compiled code, so that they run as written while heard."""

import sys
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def run_as_written() -> AbstractContextManager[object]:
    """A context in which compiled modules run their own code; for a model compiled before or within it."""
    if "torch._dynamo" not in sys.modules:  # nothing has been compiled
        return nullcontext()
    context: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return context


def unwrap(model: nn.Module) -> nn.Module:
    """The module that torch.compile was given; another module as it is."""
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    return inner
