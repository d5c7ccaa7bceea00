"""What is done to the store from time to time, beside requests."""

import asyncio
import logging
import time

from app.presets import OPENING
from app.settings import Settings
from app.store.database import Database
from app.store.sweeping import sweep

log = logging.getLogger("mhc.housekeeping")


class Housekeeping:
    """Sweeps old runs until it is stopped."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first sweep is due after `sweep_s`."""
        self._task = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Let go of what has not begun."""
        if self._task is not None:
            self._task.cancel()

    async def _sweep_for_ever(self) -> None:
        spare = [spec.id for spec in OPENING.specs]
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            try:
                now, settings = time.time(), self._settings
                dropped = await sweep(self._database, now - settings.keep_s, now - settings.keep_trace_s, spare)
                log.info("dropped %d old runs", dropped)
            except Exception:
                log.exception("old runs could not be swept; the next try is in %g s", self._settings.sweep_s)
