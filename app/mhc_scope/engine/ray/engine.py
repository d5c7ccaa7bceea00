"""The engine of a cluster: the queue and slots of the engine of one machine, with workers that are elsewhere."""

from mhc_scope.engine.local.engine import LocalEngine
from mhc_scope.engine.ray.bridge_process import BridgeProcess
from mhc_scope.engine.ray.options import Options
from mhc_scope.engine.worker import Worker
from mhc_scope.settings import Settings


class RayEngine(LocalEngine):
    """As many actors of a Ray cluster as the settings name workers, behind one bridge."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._bridge = BridgeProcess(Options.from_settings(settings))

    @property
    def bridge_pid(self) -> int | None:
        """Process id of the bridge, where one runs."""
        return self._bridge.pid

    async def stop(self) -> None:
        """End the workers, then the bridge."""
        await super().stop()
        await self._bridge.stop()

    async def _spawn(self) -> Worker:
        return await self._bridge.open_worker()
