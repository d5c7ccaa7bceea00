"""Run the sweeps of this server, a few runs at a time.

The other runs stay pending: a sweep never has more submitted runs than there are workers. They count in the client's
quota of runs, and runs of other clients are computed between them.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from mhc_scope.services.errors import NoCapacityError, RefusalError
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import LIVE, PENDING, SweepGrid
from mhc_scope.settings import Settings
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.sweeps import SweepStore

log = logging.getLogger("mhc.sweeps")

POLL_S = 0.5  # time between two checks for free workers and ended runs, and shortest time between stored states
RETRY_S = 1.0
FAILED_REASON = "the server could not continue the sweep"


class SweepLost(Exception):
    """Another server runs the sweep now."""


@dataclass
class OpenSweep:
    """A sweep that runs here, with its task and the progress that was stored last."""

    sweep: SweepGrid
    task: "asyncio.Task[None] | None" = None
    kept: str = ""
    kept_at: float = 0.0


class SweepRunner:
    """Runs sweeps until all their runs have ended."""

    def __init__(self, settings: Settings, runs: Runs, store: SweepStore) -> None:
        self._settings, self._runs, self._store = settings, runs, store
        self._open: dict[str, OpenSweep] = {}

    def get(self, sweep_id: str) -> SweepGrid | None:
        """Return the sweep with an id if this server runs it; else None."""
        open_sweep = self._open.get(sweep_id)
        return None if open_sweep is None else open_sweep.sweep

    async def begin(self, sweep: SweepGrid) -> None:
        """Start to submit the runs of a sweep that no other server runs."""
        open_sweep = self._open[sweep.id] = OpenSweep(sweep)
        try:
            await self._fill(sweep)
        finally:
            open_sweep.task = asyncio.create_task(self._run_cells(open_sweep))

    async def cancel(self, sweep_id: str) -> None:
        """Submit no more runs of a sweep, and stop those that no one else watches."""
        open_sweep = self._open.get(sweep_id)
        if open_sweep is None:
            return
        if open_sweep.task is not None:
            open_sweep.task.cancel()
            await asyncio.gather(open_sweep.task, return_exceptions=True)
        await self._cancel_cells(open_sweep.sweep)
        await self._end(open_sweep)

    async def stop(self) -> None:
        """Stop submitting runs of sweeps, and release the sweeps, so that other servers can continue them."""
        tasks = [open_sweep.task for open_sweep in self._open.values() if open_sweep.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._open:
            try:
                await self._store.release()
            except StoreUnavailable as error:
                log.warning("the sweeps could not be released; they are found later: %s", error)

    # ---- helpers

    async def _run_cells(self, open_sweep: OpenSweep) -> None:
        """Submit the runs of a sweep as limits allow, until all have ended or another server runs the sweep."""
        while open_sweep.sweep.is_open:
            try:
                await self._store_progress(open_sweep)
                await self._wait_for_end(open_sweep)
                await self._fill(open_sweep.sweep)
            except StoreUnavailable as error:
                log.warning("sweep %s waits for the database: %s", open_sweep.sweep.id, error)
                await asyncio.sleep(RETRY_S)
            except SweepLost:
                log.warning("another server runs sweep %s now", open_sweep.sweep.id)
                del self._open[open_sweep.sweep.id]
                return
            except Exception:
                log.exception("sweep %s could not continue", open_sweep.sweep.id)
                for run_id in open_sweep.sweep.list_in((PENDING, *LIVE)):
                    open_sweep.sweep.states[run_id], open_sweep.sweep.reasons[run_id] = "failed", FAILED_REASON
        await self._end(open_sweep)

    async def _end(self, open_sweep: OpenSweep) -> None:
        """Store the final state of a sweep, with repeated attempts. Until then, `get` returns it from memory."""
        sweep = open_sweep.sweep
        while True:
            try:
                await self._store.keep(sweep.id, sweep.states, sweep.reasons, sweep.is_open)
                del self._open[sweep.id]
                return
            except StoreUnavailable as error:
                log.warning("the end of sweep %s cannot be stored yet: %s", sweep.id, error)
                await asyncio.sleep(RETRY_S)

    async def _store_progress(self, open_sweep: OpenSweep) -> None:
        """Store the progress of a sweep if it is due, and cancel the sweep if that was requested."""
        sweep, now = open_sweep.sweep, time.monotonic()
        progress = repr((sweep.states, sweep.reasons))
        due_s = POLL_S if progress != open_sweep.kept else self._store.lease_s / 3
        if now - open_sweep.kept_at < due_s:
            return
        is_cancel_asked = await self._store.keep(sweep.id, sweep.states, sweep.reasons, sweep.is_open)
        if is_cancel_asked is None:
            raise SweepLost
        open_sweep.kept, open_sweep.kept_at = progress, now
        if is_cancel_asked:
            await self._cancel_cells(sweep)

    async def _cancel_cells(self, sweep: SweepGrid) -> None:
        """Cancel the pending runs of a sweep, and those that no one else watches."""
        for run_id in sweep.list_in(LIVE):
            run = await self._runs.store.get(run_id)
            if run is not None:
                sweep.states[run_id] = (await self._runs.cancel(run, sweep.viewer)).run.status
        for run_id in sweep.list_in((PENDING, *LIVE)):
            sweep.states[run_id] = "cancelled"

    async def _fill(self, sweep: SweepGrid) -> None:
        """Submit pending runs of a sweep until there are as many as workers, or a limit is reached."""
        for run_id in sweep.list_in((PENDING,)):
            if len(sweep.list_in(LIVE)) >= self._settings.worker_count:
                return
            try:
                (submitted,) = await self._runs.submit([sweep.spec_of(run_id)], sweep.client)
            except NoCapacityError:
                return
            except RefusalError as error:
                sweep.states[run_id], sweep.reasons[run_id] = "failed", str(error)
                continue
            sweep.states[run_id] = submitted.status

    async def _wait_for_end(self, open_sweep: OpenSweep) -> None:
        """Wait until a submitted run has ended, or a limit may allow more."""
        sweep = open_sweep.sweep
        live = sweep.list_in(LIVE)
        if not live:
            await asyncio.sleep(POLL_S)
            return
        with self._runs.hub.subscribe(live, sweep.viewer) as subscription:
            while True:
                for run_id in live:
                    await self._update_state(sweep, run_id)
                if len(sweep.list_in(LIVE)) < len(live):
                    return
                await subscription.wait(POLL_S)
                await self._store_progress(open_sweep)

    async def _update_state(self, sweep: SweepGrid, run_id: str) -> None:
        """Set the state of a run of a sweep from the queue or, if it is not there, from the store."""
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
