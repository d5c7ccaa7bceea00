"""Define the engine on a cluster: the local engine's slots, with workers in the cluster."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mhc_core.cost.threads import choose_threads
from mhc_core.measure.trained import TrainedStacks
from mhc_core.spec import RunSpec
from mhc_scope.engine.local import LocalEngine
from mhc_scope.engine.registry import UnknownEngine
from mhc_scope.engine.worker import Worker
from mhc_scope.settings import Settings
from mhc_service.ray.bridge_process import BridgeProcess
from mhc_service.ray.options import Options
from mhc_service.settings import ServiceSettings


class RayEngine(LocalEngine):
    """An engine whose workers are actors of a Ray cluster, all behind one bridge."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self._options = Options.from_settings(settings)
        self._bridge = BridgeProcess(self._options)

    @property
    def bridge_pid(self) -> int | None:
        """Return the process id of the bridge, if one runs."""
        return self._bridge.pid

    async def stop(self) -> None:
        """End the workers, then the bridge to the cluster."""
        await super().stop()
        await self._bridge.stop()

    def has_trained(self, spec: RunSpec) -> bool:
        """Return whether the trained stack of a spec is in a folder that this server shares with the workers."""
        folder = self._options.trained
        return bool(folder) and TrainedStacks(Path(folder)).has(spec, choose_threads(spec, self._options.cpus))

    def has_base(self, spec: RunSpec) -> bool:
        """Return False, because the server does not know on which device an actor computes."""
        return False

    def prepare(self, specs: Sequence[RunSpec]) -> None:
        """Do nothing: actors do not prepare passes in advance."""

    async def spawn_worker(self) -> Worker:
        """Open a worker on the Ray cluster."""
        return await self._bridge.open_worker()


def build_engine(settings: Settings) -> RayEngine:
    """Return the engine on Ray.

    Raises
    ------
    UnknownEngine
        If Ray is not installed, the server runs without --service, or the settings lack the cluster's address.
    """
    if find_spec("ray") is None:
        raise UnknownEngine("MHC_ENGINE, --engine: got ray, which needs its package: pip install mhc-scope[cluster]")
    if not isinstance(settings, ServiceSettings):
        raise UnknownEngine("MHC_ENGINE, --engine: got ray, which needs --service")
    if not settings.ray_address:
        raise UnknownEngine(
            "MHC_RAY_ADDRESS, --ray-address: got nothing, wanted host:port of the head of a Ray cluster"
        )
    return RayEngine(settings)
