"""Delete old runs and views at intervals, independent of requests."""

import asyncio
import contextlib
import logging
import time
from functools import partial

from mhc_scope import limits
from mhc_scope.presets import OPENING
from mhc_scope.services.storage import Storage
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.expiry import drop_expired
from mhc_scope.store.retention import drop_oldest, drop_unused, release_pages
from mhc_scope.store.sweeps import drop_ended

log = logging.getLogger("mhc.housekeeping")

# A full store deletes runs early, but not those used within this time, which someone may be viewing. Uses are recorded
# at most every ten minutes.
SPARED_S = 1200.0
# Shortest time between two deletions, if the store remains full.
MIN_PAUSE_S = 5.0


class RateLimitedClock:
    """A clock of the time of day that advances at most twice as fast as time passes.

    Otherwise a system clock that is set a year ahead by mistake, even for a minute, would delete all recordings and
    snapshots. After a long sleep of the machine, this clock catches up at double speed. It follows a system clock that
    is set back.
    """

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._offset = time.time() - self._seen

    def now(self) -> float:
        """Return seconds since 1970. After the system's clock has jumped ahead, they advance at most twice as fast."""
        seen = time.monotonic()
        self._offset = min(time.time() - seen, self._offset + seen - self._seen)
        self._seen = seen
        return seen + self._offset


class Housekeeping:
    """Deletes old runs and views every `RETENTION_INTERVAL_S`, and whenever the store is nearly full."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self._settings, self._database, self._storage = settings, database, storage
        self._clock = RateLimitedClock()
        self._spare = [spec.id for spec in OPENING.specs]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the regular deletion, first after `RETENTION_INTERVAL_S`."""
        self._task = asyncio.create_task(self._run_forever())

    async def stop(self) -> None:
        """Stop deleting old runs regularly; cancel deletions that have not begun."""
        if self._task is not None:
            self._task.cancel()

    async def delete_old(self) -> None:
        """Delete expired views, runs and sweeps; then, if the store is nearly full, the runs used longest ago."""
        now, settings = self._clock.now(), self._settings
        views = await drop_expired(self._database, now)
        old = await drop_unused(self._database, now - settings.keep_s, now - limits.KEEP_TRACE_S, self._spare)
        await self._database.call(partial(drop_ended, before=now - settings.keep_s))
        freed = 0
        if excess := await self._storage.count_excess():
            freed = await drop_oldest(self._database, excess, now - min(SPARED_S, settings.keep_s), self._spare)
        pages = await release_pages(self._database)
        self._storage.forget()
        log.info("deleted %d views, %d old runs, %d bytes of other runs; %d pages returned", views, old, freed, pages)

    async def _run_forever(self) -> None:
        """Delete old runs whenever it is due, forever."""
        while True:
            await self._wait_for_turn()
            try:
                await self.delete_old()
            except Exception:
                log.exception("old runs could not be deleted; the next try is in %g s", limits.RETENTION_INTERVAL_S)

    async def _wait_for_turn(self) -> None:
        """Wait until the store is nearly full or RETENTION_INTERVAL_S is over, but at least MIN_PAUSE_S."""
        pause_s = min(MIN_PAUSE_S, limits.RETENTION_INTERVAL_S)
        await asyncio.sleep(pause_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.RETENTION_INTERVAL_S - pause_s):
                await self._storage.is_near_full.wait()
        self._storage.is_near_full.clear()
