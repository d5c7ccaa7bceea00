"""Discovery of extensions: imports all files of a folder, and loads objects that other packages add.

Another package declares an entry point of a group. Without an entry point, an environment variable can list objects as
"module:object", separated by commas; a flag of `mhc-scope` sets it.
"""

import os
import pkgutil
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


class InvalidAddition(Exception):
    """An object of another package that cannot be used; the message names its entry point."""


def load(target: Any) -> Any:
    """Import the object that a text "module:name" names; return any other value unchanged."""
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def import_files(package: str, first: Sequence[str] = ()) -> Iterator[ModuleType]:
    """Import and yield the files of a package: those in `first`, in this order, then the others by name."""
    names = [module.name for module in pkgutil.iter_modules(import_module(package).__path__)]
    for name in (*first, *sorted(set(names) - set(first))):
        yield import_module(f"{package}.{name}")


def list_added(kind: type[T], group: str, variable: str) -> Iterator[tuple[str | None, T]]:
    """Yield the objects that other packages add, each with the name of its entry point; None for those of the variable.

    kind: their class. group: of entry points. variable: the environment variable.

    Raises
    ------
    InvalidAddition
        If an object cannot be loaded or is not a `kind`.
    """
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        yield (
            point.name,
            _load_addition(kind, point.value, f"Entry point {point.name} = {point.value} of the group {group}"),
        )
    for target in filter(None, os.environ.get(variable, "").split(",")):
        yield None, _load_addition(kind, target, f"{target} of {variable}")


def _load_addition(kind: type[T], target: str, where: str) -> T:
    """Import an object of another package; raise InvalidAddition if that fails, or if it has another type."""
    try:
        found = load(target)
    except Exception as error:  # a module of another package can raise anything
        raise InvalidAddition(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, kind):
        raise InvalidAddition(f"{where} is a {type(found).__name__}, not a {kind.__module__}.{kind.__name__}.")
    return found
