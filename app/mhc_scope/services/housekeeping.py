"""What is done to the store from time to time, beside requests."""

import asyncio
import contextlib
import logging
from functools import partial

from mhc_scope import limits
from mhc_scope.presets import OPENING
from mhc_scope.services.clock import PatientClock
from mhc_scope.services.storage import Storage
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.expiry import drop_expired
from mhc_scope.store.queue.sweeps import drop_ended
from mhc_scope.store.retention import drop_oldest, give_back, sweep

log = logging.getLogger("mhc.housekeeping")

# A full store drops runs before their time, but none that was used so lately: someone may be looking at it. Uses are
# noted every ten minutes at most.
SPARED_S = 1200.0
# A store that stays full is looked at no more often than this.
MIN_PAUSE_S = 5.0


class Housekeeping:
    """Sweeps old runs until it is stopped: every `sweep_s`, and whenever the store is nearly full."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._settings, self._database, self._storage = settings, database, storage
        self._clock = PatientClock()
        self._spare = [spec.id for spec in OPENING.specs]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; the first sweep is due after `sweep_s`."""
        self._task = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Let go of what has not begun."""
        if self._task is not None:
            self._task.cancel()

    async def sweep(self) -> None:
        """Drop what is over its time; then, where the store is nearly full, runs that were not used for longest."""
        now, settings = self._clock.now(), self._settings
        views = await drop_expired(self._database, now)
        old = await sweep(self._database, now - settings.keep_s, now - limits.KEEP_TRACE_S, self._spare)
        await self._database.call(partial(drop_ended, before=now - settings.keep_s))
        freed = 0
        if excess := await self._storage.count_excess():
            freed = await drop_oldest(self._database, excess, now - min(SPARED_S, settings.keep_s), self._spare)
        pages = await give_back(self._database)
        self._storage.forget()
        log.info("dropped %d views, %d old runs, %d bytes of others; %d pages given back", views, old, freed, pages)

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._wait()
            try:
                await self.sweep()
            except Exception:
                log.exception("old runs could not be swept; the next try is in %g s", limits.SWEEP_S)

    async def _wait(self) -> None:
        pause_s = min(MIN_PAUSE_S, limits.SWEEP_S)
        await asyncio.sleep(pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.SWEEP_S - pause_s):
                await self._storage.is_near_full.wait()
        self._storage.is_near_full.clear()
