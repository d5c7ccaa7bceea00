"""Pass queued runs to the engine, and keep the state of the queue correct.

There are two loops: one passes on runs whenever a worker is free or the queue has changed; the other regularly puts
runs that no server computes back into the queue.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from mhc_core.spec import RunSpec, SpecErrors, parse_spec
from mhc_scope import limits
from mhc_scope.engine.contract import RUN, Engine, Job
from mhc_scope.services.predictions import Predictions
from mhc_scope.services.reports import ClaimedRun, Reports
from mhc_scope.store.board import QueueState, predict_seconds
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.database import consume_error
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.notifications import Hub
from mhc_scope.store.queue_contract import Queue, Turn
from mhc_scope.store.runs import NewJob, StoredRun

log = logging.getLogger("mhc.queue")

STALE_NUMERICS = "the server was updated and now computes other numbers: post the spec again"
# Engines report a free worker (`Sink.on_free`). While runs wait, the dispatcher also polls this often, to be safe.
POLL_S = 0.05
RETRY_S = 1.0


class Dispatcher:
    """Connects the queue to the engine of one server."""

    def __init__(self, queue: Queue, log: FrameLog, engine: Engine, hub: Hub, predictions: Predictions) -> None:
        self._queue, self._log, self._engine, self._hub, self._predictions = queue, log, engine, hub, predictions
        self.reports = Reports(queue, log, hub, predictions, self.wake, self._note_over)
        self.board = QueueState()
        self._short_s = limits.SHORT_RUN_S
        self._turn = asyncio.Lock()
        self._woken, self._check_due = asyncio.Event(), asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._stops: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Start the engine, and requeue the runs of an earlier process that no server computes."""
        await self._queue.join(self)
        await self._engine.start(self.reports)
        await self.check()
        await self.take_turn()
        self._loops = [asyncio.create_task(loop) for loop in (self._take_turns(), self._check_forever())]

    async def stop(self) -> None:
        """Stop computing because the server stops; put running runs back into the queue."""
        for task in (*self._loops, *self._stops.values()):
            task.cancel()
        await asyncio.gather(*self._loops, *self._stops.values(), return_exceptions=True)
        await self._engine.stop()
        try:
            await self.reports.store_late_ends()
            await self._queue.leave()
        except StoreUnavailable as error:
            log.warning("the running runs could not be returned to the queue; they are found later: %s", error)

    def wake(self) -> None:
        """Let the dispatcher pass queued runs to idle workers soon."""
        self._woken.set()

    def check_soon(self) -> None:
        """Let the dispatcher check soon whether a run must be stopped."""
        self._check_due.set()

    def computes(self, run_id: str) -> bool:
        """Return whether a run is computed by this server."""
        return run_id in self.reports.claimed

    async def take_turn(self, fresh: Mapping[str, NewJob] | None = None) -> Turn:
        """Enqueue jobs, and give the engine as many queued runs as it has idle workers.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now.
        """
        # Shielded, because claimed runs must reach the engine even if the caller disconnects.
        turn = asyncio.ensure_future(self._take_turn(fresh or {}))
        turn.add_done_callback(consume_error)
        return await asyncio.shield(turn)

    async def cancel(self, run_id: str, is_forced: bool) -> bool:
        """Cancel a run: stop it if it is computed here, end it if it waits, or request a stop from another server.

        Return False if another client has just requested the run and the cancellation is not forced: the run continues.
        """
        async with self._turn:
            answer = await self._queue.request_cancel(run_id, is_forced)
            is_mine = self.computes(run_id)
        if answer == "wanted":
            return False
        if is_mine:
            await self._engine.cancel(run_id)
        elif answer == "stops":
            self._log.forget(run_id)
            self._hub.wake_viewers(run_id)
            await self.take_turn()  # which updates the positions of runs after it
        return True

    async def check(self) -> None:
        """Requeue runs that no server computes, and stop runs for which a stop was requested.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now.
        """
        self._check_due.clear()
        async with self._turn:  # otherwise a run that was just claimed would seem not to be computed
            claimed = dict(self.reports.claimed)
            found = await self._queue.check([run.claim for run in claimed.values()])
        for run_id in (*found.gone, *found.to_cancel):
            self._stop_soon(run_id, claimed[run_id])
        for run_id in found.freed:
            log.warning("run %s was running, and no server computed it", run_id)
            self._log.forget(run_id)
            self._hub.wake_viewers(run_id)
        if found.freed:
            self.wake()
        await self.reports.store_late_ends()

    # ---- helpers

    async def _take_turn(self, fresh: Mapping[str, NewJob]) -> Turn:
        """Enqueue jobs, claim as many runs as workers are idle, and submit these to the engine."""
        async with self._turn:
            self._woken.clear()
            free, short_s = self._engine.free, self._short_s if self._engine.has_spare else None
            turn = await self._queue.take_turn(fresh, free, short_s)
            for run_id in turn.put:  # runs that may have ended here before, and wait again
                self._log.forget(run_id)
            for place, run in enumerate(turn.claimed):
                await self._submit_claimed(run, is_spare=place >= free)
            self._show(turn.board)
        return turn

    async def _submit_claimed(self, run: StoredRun, *, is_spare: bool) -> None:
        """Submit a claimed job to the engine; end it as failed if its id stands for results of earlier numerics."""
        claim, spec = RunClaim(run.id, run.fence), _read_current(run)
        if spec is None:
            await self._log.finish(run.id, run.frames, "failed", STALE_NUMERICS, claim)
            return
        await self._engine.cancel(run.id)  # if a job of an earlier, lost claim is still running
        seconds = predict_seconds(run.cost)
        self.reports.claimed[run.id] = ClaimedRun(claim, run.client, run.attempts, run.kind, run.created_at, seconds)
        if run.frames:
            self._log.forget(run.id)
        else:
            self._log.begin(run.id, claim)
        self._predictions.expect(run.id, run.kind, spec)
        self._engine.submit(Job(run.id, run.kind, run.spec, is_spare))

    def _show(self, board: QueueState) -> None:
        """Publish the new positions of runs in the queue to viewers of runs whose position has changed."""
        before, self.board = self.board.places, board
        for run_id in board.places.keys() | before.keys():
            if board.places.get(run_id) != before.get(run_id):
                self._hub.wake_viewers(run_id)

    def _note_over(self, run_id: str, client: str) -> None:
        """Remove a run that has ended from the known state of the queue, and pass on the next run soon."""
        self.board = self.board.without(run_id, client)
        self.wake()

    def _stop_soon(self, run_id: str, claimed: ClaimedRun) -> None:
        """Start to stop a job, unless it has ended. This may take longer than the time between two checks."""
        if self.reports.claimed.get(run_id) is claimed and run_id not in self._stops:
            self._stops[run_id] = asyncio.create_task(self._engine.cancel(run_id))
            self._stops[run_id].add_done_callback(lambda _: self._stops.pop(run_id, None))

    async def _take_turns(self) -> None:
        """Pass queued runs to idle workers whenever the queue or the workers have changed, forever."""
        while True:
            while not self._woken.is_set() and not (self._engine.free and self.board.waiting):
                await _wait_for_event(self._woken, POLL_S if self.board.waiting else None)
            await self._await_or_pause(self.take_turn(), "no turn could be taken")

    async def _check_forever(self) -> None:
        """Check at intervals whether runs are lost or must be stopped, forever."""
        while True:
            await _wait_for_event(self._check_due, self._queue.check_s)
            await self._await_or_pause(self.check(), "the queue could not be checked")

    async def _await_or_pause(self, work: Coroutine[Any, Any, Any], otherwise: str) -> None:
        """Run a coroutine. If it fails, log `otherwise` and pause before the next attempt."""
        try:
            await work
        except StoreUnavailable as error:
            log.warning("%s; the next try is in %g s: %s", otherwise, RETRY_S, error)
            await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("%s; the next try is in %g s", otherwise, RETRY_S)
            await asyncio.sleep(RETRY_S)


def has_outdated_numerics(run: StoredRun) -> bool:
    """Return whether the id of a run is from earlier numerics, so that this version would compute other results."""
    return run.kind == RUN and parse_spec(run.spec).id != run.id


def _read_current(run: StoredRun) -> RunSpec | None:
    """Return the spec of a run, if this version computes the results for which its id stands; else None."""
    try:
        return None if has_outdated_numerics(run) else parse_spec(run.spec)
    except SpecErrors:  # a spec of an earlier version, which had other fields
        return None


async def _wait_for_event(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until the event is set, at most for `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
