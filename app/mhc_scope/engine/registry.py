"""The engines that there are. An engine is imported only where it is chosen: its libraries may be large, or missing."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mhc_scope.settings import Settings

if TYPE_CHECKING:  # it takes torch with it, and an engine can be prepared before that
    from mhc_scope.engine.contract import Engine


class UnknownEngine(ValueError):
    """No engine has this name, or it lacks what it needs."""


def _build_local(settings: Settings) -> "Engine":
    from mhc_scope.engine.local.engine import LocalEngine

    return LocalEngine(settings)


def _build_ray(settings: Settings) -> "Engine":
    from mhc_scope.engine.ray.engine import RayEngine

    if find_spec("ray") is None:
        raise UnknownEngine("MHC_ENGINE, --engine: got ray, which needs its package: pip install mhc-scope[cluster]")
    if not settings.ray_address:
        raise UnknownEngine(
            "MHC_RAY_ADDRESS, --ray-address: got nothing, wanted host:port of the head of a Ray cluster"
        )
    return RayEngine(settings)


ENGINES: dict[str, Callable[[Settings], "Engine"]] = {"local": _build_local, "ray": _build_ray}


def prepare_engine(settings: Settings) -> None:
    """Begin what takes a while and needs no app: the local engine's processes import beside this one."""
    if settings.engine == "local":
        from mhc_scope.engine.local.forks import begin_template

        begin_template()


def build_engine(settings: Settings) -> "Engine":
    """The engine that the settings name.

    Raises
    ------
    UnknownEngine
        Where there is none of that name, or it lacks what it needs.
    """
    if settings.engine not in ENGINES:
        raise UnknownEngine(f"MHC_ENGINE, --engine: got {settings.engine!r}, wanted {' or '.join(ENGINES)}")
    return ENGINES[settings.engine](settings)
