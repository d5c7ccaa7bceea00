"""What this server does for the sweeps whose lease it has: a few cells at a time become runs.

The server holds those that have not begun: a sweep never has more runs under way than there are workers, they count
against its client's share of runs, and between them a run of anyone's gets its turn.
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

LOOK_S = 0.5  # how often a sweep looks for room and for an end, and at most tells others how far it is
RETRY_S = 1.0
COULD_NOT = "the server could not go on with the sweep"


class SweepLost(Exception):
    """Another server feeds the sweep now."""


@dataclass
class OpenSweep:
    """A sweep that is fed here, and what of it is in the store."""

    sweep: SweepGrid
    task: "asyncio.Task[None] | None" = None
    kept: str = ""
    kept_at: float = 0.0


class Feeder:
    """Feeds sweeps until they are over."""

    def __init__(self, settings: Settings, runs: Runs, store: SweepStore) -> None:
        self._settings, self._runs, self._store = settings, runs, store
        self._fed: dict[str, OpenSweep] = {}

    def get(self, sweep_id: str) -> SweepGrid | None:
        """The sweep, where it is fed here."""
        fed = self._fed.get(sweep_id)
        return None if fed is None else fed.sweep

    async def begin(self, sweep: SweepGrid) -> None:
        """Feed a sweep whose lease this server has."""
        fed = self._fed[sweep.id] = OpenSweep(sweep)
        try:
            await self._fill(sweep)
        finally:
            fed.task = asyncio.create_task(self._feed(fed))

    async def cancel(self, sweep_id: str) -> None:
        """Hold nothing any more, and stop the runs under way that no one else watches."""
        fed = self._fed.get(sweep_id)
        if fed is None:
            return
        if fed.task is not None:
            fed.task.cancel()
            await asyncio.gather(fed.task, return_exceptions=True)
        await self._cancel_cells(fed.sweep)
        await self._end(fed)

    async def stop(self) -> None:
        """Feed no more; others may."""
        tasks = [fed.task for fed in self._fed.values() if fed.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._fed:
            try:
                await self._store.let_go()
            except StoreUnavailable as error:
                log.warning("sweeps are left to others once their leases are over: %s", error)

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
                log.warning("sweep %s is fed by another server now", fed.sweep.id)
                del self._fed[fed.sweep.id]
                return
            except Exception:
                log.exception("sweep %s could not go on", fed.sweep.id)
                for run_id in fed.sweep.list_in((HELD, *LIVE)):
                    fed.sweep.states[run_id], fed.sweep.reasons[run_id] = "failed", COULD_NOT
        await self._end(fed)

    async def _end(self, fed: OpenSweep) -> None:
        """Store how it ended; until that is done it is shown from here."""
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
        """Let other servers see how far it is, and hold the lease; end it where another server was asked to."""
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
        """Submit held cells until as many are under way as there are workers, or there is no room for more."""
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
        """Until a run under way has ended, or there may be room again."""
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
            sweep.states[run_id], sweep.reasons[run_id] = "failed", "it was dropped before its end was seen"
            return
        sweep.states[run_id] = run.status
        if run.reason:
            sweep.reasons[run_id] = run.reason
