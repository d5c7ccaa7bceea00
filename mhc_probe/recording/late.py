"""Hooks that are registered while the call of their module has begun."""

from collections.abc import Collection
from typing import Any

from torch import nn


def run_late_hooks(model: nn.Module, known: Collection[int], args: Any, kwargs: Any) -> None:
    """Run the hooks before the call that are not in `known`: torch runs only those that existed when it started."""
    for key in [key for key in model._forward_pre_hooks if key not in known]:
        hook: Any = model._forward_pre_hooks[key]
        if key in model._forward_pre_hooks_with_kwargs:
            hook(model, args, kwargs)
        else:
            hook(model, args)
