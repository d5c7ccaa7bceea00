"""Disable torch.compile while a model is recorded, because hooks do not run in compiled code."""

import sys
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def run_as_written() -> AbstractContextManager[object]:
    """Return a context in which all compiled modules run uncompiled, also those that are compiled within it."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled
        return nullcontext()
    context: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return context


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module behind a module that torch.compile returned; any other module unchanged."""
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    return inner
