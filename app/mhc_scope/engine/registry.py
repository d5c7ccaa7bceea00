"""List the engines: the local one, and those that other packages declare as entry points."""

from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mhc_scope.settings import Settings

if TYPE_CHECKING:  # this imports torch, and an engine can be prepared before
    from mhc_scope.engine.contract import Engine

LOCAL = "local"
GROUP = "mhc_scope.engines"
"""Each entry point is a function that takes the settings and returns an engine, or raises `UnknownEngine`."""


class UnknownEngine(ValueError):
    """No engine has this name, or the engine cannot be used, because a package or a setting is missing."""


def prepare_engine(settings: Settings) -> None:
    """Start the template process of the local engine's workers, which imports torch while the app is built."""
    if settings.engine == LOCAL:
        from mhc_scope.engine.forks import begin_template

        begin_template()


def build_engine(settings: Settings) -> "Engine":
    """Return the engine that the settings name.

    Raises
    ------
    UnknownEngine
        If no engine has this name, or the engine cannot be used.
    """
    if settings.engine == LOCAL:
        from mhc_scope.engine.local import LocalEngine

        return LocalEngine(settings)
    others = {point.name: point for point in entry_points(group=GROUP) if find_spec(point.module.partition(".")[0])}
    if settings.engine not in others:
        raise UnknownEngine(f"MHC_ENGINE, --engine: got {settings.engine!r}, wanted {' or '.join((LOCAL, *others))}")
    return others[settings.engine].load()(settings)
