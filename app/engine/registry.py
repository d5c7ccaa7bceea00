"""The engines that there are. An engine is imported only where it is chosen: its libraries may be large, or missing."""

from collections.abc import Callable
from importlib.util import find_spec

from app.engine.contract import Engine
from app.settings import Settings


class UnknownEngine(ValueError):
    """No engine has this name, or it lacks what it needs."""


def _build_local(settings: Settings) -> Engine:
    from app.engine.local.engine import LocalEngine

    return LocalEngine(settings)


def _build_ray(settings: Settings) -> Engine:
    from app.engine.ray.engine import RayEngine

    if find_spec("ray") is None:
        raise UnknownEngine("engine: ray needs the package ray: install mhc-scope[cluster]")
    if not settings.ray_address:
        raise UnknownEngine("ray_address: got nothing, wanted host:port of the head; the engine ray starts no cluster")
    return RayEngine(settings)


ENGINES: dict[str, Callable[[Settings], Engine]] = {"local": _build_local, "ray": _build_ray}


def build_engine(settings: Settings) -> Engine:
    """The engine that the settings name.

    Raises
    ------
    UnknownEngine
        Where there is none of that name, or it lacks what it needs.
    """
    if settings.engine not in ENGINES:
        raise UnknownEngine(f"engine: got {settings.engine!r}, wanted {' or '.join(ENGINES)}")
    return ENGINES[settings.engine](settings)
