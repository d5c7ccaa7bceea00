"""Import the target of a command by its name, `package.module:name`: a class, a function that builds a module, or a
module of torch.
"""

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from mhc_core.spec import SpecError


def load_target(text: str, arguments: dict[str, Any]) -> nn.Module | Callable[[], nn.Module]:
    """Return the torch module at `package.module:name`, or a function that builds it with these arguments.

    Raises
    ------
    SpecError
        If the name does not exist, or does not build a torch module.
    """
    found = load_name(text)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise SpecError("target", text, "a class, a function or a torch module")
    _try_to_build(text, found, arguments)
    return partial(found, **arguments)


def _try_to_build(text: str, build: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Raise SpecError unless `build` returns a torch module for these arguments."""
    try:
        built = build(**arguments)
    except Exception as error:  # the user's class may raise anything
        wanted = f"arguments that it takes, as --args '{{\"name\": value}}': {type(error).__name__}: {error}"
        raise SpecError(text, arguments, wanted) from error
    if not isinstance(built, nn.Module):
        raise SpecError("target", text, f"what builds a torch module, not {type(built).__name__}")


def load_name(text: str) -> Any:
    """Return the object at `package.module:name`.

    Raises
    ------
    SpecError
        If the name does not exist.
    """
    path, colon, name = text.partition(":")
    if not (path and colon and name):
        raise SpecError("target", text, "package.module:name")
    try:
        found: Any = importlib.import_module(path)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SpecError("target", text, f"a name that can be imported: {error}") from error
    return found
