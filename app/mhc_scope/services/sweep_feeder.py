"""Run the sweeps that this server leases: submit a few cells at a time.

The server delays the others: a sweep never has more runs submitted than there are workers, they count against its
client's quota of runs, and runs of anyone get their turn between them.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from mhc_scope.services.errors import NoRoomError, RefusalError
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import HELD, LIVE, SweepGrid
from mhc_scope.settings import Settings
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.queue.sweeps import SweepStore

log = logging.getLogger("mhc.sweeps")

LOOK_S = 0.5  # how often a sweep checks for free workers and for ended runs, and at most stores its progress
RETRY_S = 1.0
COULD_NOT = "the server could not continue the sweep"


class SweepLost(Exception):
    """Another server has the lease of the sweep now."""


@dataclass
class OpenSweep:
    """A sweep that runs here, and which progress is in the store."""

    sweep: SweepGrid
    task: "asyncio.Task[None] | None" = None
    kept: str = ""
    kept_at: float = 0.0


class Feeder:
    """Run sweeps until they are over."""

    def __init__(self, settings: Settings, runs: Runs, store: SweepStore) -> None:
        self._settings, self._runs, self._store = settings, runs, store
        self._fed: dict[str, OpenSweep] = {}

    def get(self, sweep_id: str) -> SweepGrid | None:
        """Return the sweep, where it runs here."""
        fed = self._fed.get(sweep_id)
        return None if fed is None else fed.sweep

    async def begin(self, sweep: SweepGrid) -> None:
        """Run a sweep that this server leases."""
        fed = self._fed[sweep.id] = OpenSweep(sweep)
        try:
            await self._fill(sweep)
        finally:
            fed.task = asyncio.create_task(self._feed(fed))

    async def cancel(self, sweep_id: str) -> None:
        """Submit no more cells, and stop running ones that no one else watches."""
        fed = self._fed.get(sweep_id)
        if fed is None:
            return
        if fed.task is not None:
            fed.task.cancel()
            await asyncio.gather(fed.task, return_exceptions=True)
        await self._cancel_cells(fed.sweep)
        await self._end(fed)

    async def stop(self) -> None:
        """Stop submitting; other servers can continue the sweeps."""
        tasks = [fed.task for fed in self._fed.values() if fed.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._fed:
            try:
                await self._store.let_go()
            except StoreUnavailable as error:
                log.warning("other servers continue the sweeps once their leases end: %s", error)

    # Below: helpers.

    async def _feed(self, fed: OpenSweep) -> None:
        while fed.sweep.is_open:
            try:
                await self._keep(fed)
                await self._wait_for_end(fed)
                await self._fill(fed.sweep)
            except StoreUnavailable as error:
                log.warning("sweep %s waits for the database: %s", fed.sweep.id, error)
                await asyncio.sleep(RETRY_S)
            except SweepLost:
                log.warning("another server runs sweep %s now", fed.sweep.id)
                del self._fed[fed.sweep.id]
                return
            except Exception:
                log.exception("sweep %s could not continue", fed.sweep.id)
                for run_id in fed.sweep.list_in((HELD, *LIVE)):
                    fed.sweep.states[run_id], fed.sweep.reasons[run_id] = "failed", COULD_NOT
        await self._end(fed)

    async def _end(self, fed: OpenSweep) -> None:
        """Store how it ended; until that is done, show it from here."""
        sweep = fed.sweep
        while True:
            try:
                await self._store.keep(sweep.id, sweep.states, sweep.reasons, sweep.is_open)
                del self._fed[sweep.id]
                return
            except StoreUnavailable as error:
                log.warning("the end of sweep %s cannot be stored yet: %s", sweep.id, error)
                await asyncio.sleep(RETRY_S)

    async def _keep(self, fed: OpenSweep) -> None:
        """Publish the progress to other servers, and renew the lease; end the sweep if another server requested it."""
        sweep, now = fed.sweep, time.monotonic()
        told = repr((sweep.states, sweep.reasons))
        due_s = LOOK_S if told != fed.kept else self._settings.lease_s / 3
        if now - fed.kept_at < due_s:
            return
        is_cancel_asked = await self._store.keep(sweep.id, sweep.states, sweep.reasons, sweep.is_open)
        if is_cancel_asked is None:
            raise SweepLost
        fed.kept, fed.kept_at = told, now
        if is_cancel_asked:
            await self._cancel_cells(sweep)

    async def _cancel_cells(self, sweep: SweepGrid) -> None:
        for run_id in sweep.list_in(LIVE):
            run = await self._runs.store.get(run_id)
            if run is not None:
                sweep.states[run_id] = (await self._runs.cancel(run, sweep.viewer)).run.status
        for run_id in sweep.list_in((HELD, *LIVE)):
            sweep.states[run_id] = "cancelled"

    async def _fill(self, sweep: SweepGrid) -> None:
        """Submit pending cells until as many run as there are workers, or a limit is reached."""
        for run_id in sweep.list_in((HELD,)):
            if len(sweep.list_in(LIVE)) >= self._settings.worker_count:
                return
            try:
                (submitted,) = await self._runs.submit([sweep.spec_of(run_id)], sweep.client)
            except NoRoomError:
                return
            except RefusalError as error:
                sweep.states[run_id], sweep.reasons[run_id] = "failed", str(error)
                continue
            sweep.states[run_id] = submitted.status

    async def _wait_for_end(self, fed: OpenSweep) -> None:
        """Wait until a submitted run has ended, or a limit may allow more."""
        sweep = fed.sweep
        live = sweep.list_in(LIVE)
        if not live:
            await asyncio.sleep(LOOK_S)
            return
        with self._runs.hub.subscribe(live, sweep.viewer) as subscription:
            while True:
                for run_id in live:
                    await self._look(sweep, run_id)
                if len(sweep.list_in(LIVE)) < len(live):
                    return
                await subscription.wait(LOOK_S)
                await self._keep(fed)

    async def _look(self, sweep: SweepGrid, run_id: str) -> None:
        position = self._runs.position(run_id)
        if position is not None:
            sweep.states[run_id] = "queued" if position else "running"
            return
        run = await self._runs.store.get(run_id)
        if run is None:
            sweep.states[run_id], sweep.reasons[run_id] = "failed", "it was deleted before its end was read"
            return
        sweep.states[run_id] = run.status
        if run.reason:
            sweep.reasons[run_id] = run.reason
