"""The engines that there are. An engine is imported only where it is chosen: its libraries may be large, or missing."""

from collections.abc import Callable

from app.engine.contract import Engine
from app.settings import Settings


class UnknownEngine(ValueError):
    """No engine has this name."""


def _build_local(settings: Settings) -> Engine:
    from app.engine.local.engine import LocalEngine

    return LocalEngine(settings)


ENGINES: dict[str, Callable[[Settings], Engine]] = {"local": _build_local}


def build_engine(settings: Settings) -> Engine:
    """The engine that the settings name.

    Raises
    ------
    UnknownEngine
        Where there is none of that name.
    """
    if settings.engine not in ENGINES:
        raise UnknownEngine(f"engine: got {settings.engine!r}, wanted {' or '.join(ENGINES)}")
    return ENGINES[settings.engine](settings)
