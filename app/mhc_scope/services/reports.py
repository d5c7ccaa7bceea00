"""Store the engine's reports about runs that this server has claimed: frames and ends."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mhc_scope import limits, spans
from mhc_scope.engine.contract import Crash, EndStatus, Sink, SinkError
from mhc_scope.services.predictions import Predictions
from mhc_scope.store.claims import MAX_ATTEMPTS, ClaimLost, RunClaim, TornLog
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.notifications import Hub
from mhc_scope.store.queue_contract import Queue

log = logging.getLogger("mhc.runs")

T = TypeVar("T")
# Pause between two attempts to store a report, which is doubled each time.
RETRY_S, RETRY_MAX_S = 0.05, 1.0


@dataclass(frozen=True)
class Ending:
    """The end of a job after `index` frames and `lines`. `seconds` is the time that it took on a worker."""

    index: int
    status: EndStatus
    reason: str | None
    lines: Sequence[bytes]
    seconds: float


@dataclass
class ClaimedRun:
    """A run that this server computes. `seconds` is its predicted time, `ending` an end that is not stored yet."""

    claim: RunClaim
    client: str
    attempts: int
    kind: str
    queued_at: float
    seconds: float
    begun_s: float | None = None
    ending: Ending | None = None


class Reports(Sink):
    """Stores the reports, with repeated attempts if the database is unavailable.

    `wake` is called when a worker is free; `note_over`, with run and client, when a run is no longer computed here.
    """

    def __init__(
        self,
        queue: Queue,
        log: FrameLog,
        hub: Hub,
        predictions: Predictions,
        wake: Callable[[], None],
        note_over: Callable[[str, str], None],
    ) -> None:
        self._queue, self._log, self._hub, self._predictions = queue, log, hub, predictions
        self._wake, self._note_over = wake, note_over
        self.claimed: dict[str, ClaimedRun] = {}
        self.ended: Counter[str] = Counter()
        self.frames_stored = 0

    async def on_start(self, job_id: str) -> None:
        """Record that a worker has begun a run."""
        self.claimed[job_id].begun_s = time.monotonic()
        self._predictions.begin(job_id)
        self._hub.wake_viewers(job_id)

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Store frames of a run. Frames that are stored already must be equal, to not mix two computations."""
        claim = self.claimed[job_id].claim
        try:
            await self._persist(lambda: self._log.append(job_id, first, lines, claim))
        except (ClaimLost, TornLog, StoreUnavailable) as error:
            raise SinkError(str(error)) from None
        self.frames_stored += len(lines)

    async def on_end(
        self, job_id: str, index: int, status: EndStatus, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None:
        """Store the last frames and the end of a run, or requeue the run if its worker was lost for the first time."""
        claimed = self.claimed[job_id]
        self._predictions.end(job_id, is_done=status == "done")
        seconds = 0.0 if claimed.begun_s is None else time.monotonic() - claimed.begun_s
        ending = Ending(index, status, reason, lines, seconds)
        try:
            await self._persist(lambda: self._store_end(job_id, claimed, ending))
        except StoreUnavailable as error:
            log.error("the end of run %s is kept until it can be stored: %s", job_id, error)
            claimed.ending = ending

    def on_free(self) -> None:
        """Let the next queued run be passed to the worker that became idle."""
        self._wake()

    async def store_late_ends(self) -> None:
        """Try again to store ends that could not be stored.

        Raises
        ------
        StoreUnavailable
            If they still cannot be stored.
        """
        for job_id, claimed in list(self.claimed.items()):
            if claimed.ending is not None:
                await self._store_end(job_id, claimed, claimed.ending)

    async def _store_end(self, job_id: str, claimed: ClaimedRun, ending: Ending) -> None:
        """Store the end of a job, or requeue it if its worker crashed. If the claim was lost, discard the results."""
        try:
            if isinstance(ending.reason, Crash) and claimed.attempts < MAX_ATTEMPTS:
                if await self._queue.requeue(claimed.claim, claimed.client, ending.seconds):
                    log.warning("run %s is tried again: %s", job_id, ending.reason)
                else:
                    self.ended["cancelled"] += 1
                self._log.forget(job_id)
                self._hub.wake_viewers(job_id)
            else:
                last = (ending.index, ending.status, ending.reason, claimed.claim, ending.seconds, ending.lines)
                await self._log.finish(job_id, *last)
                self.ended[ending.status] += 1
                self.frames_stored += len(ending.lines)
                _record_span(job_id, claimed, ending)
        except TornLog as error:
            await self._store_end(job_id, claimed, replace(ending, status="failed", reason=str(error), lines=()))
            return
        except ClaimLost as error:
            log.warning("the results are discarded: %s", error)
            self._log.forget(job_id)
        del self.claimed[job_id]
        self._note_over(job_id, claimed.client)

    async def _persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Run `write`, and repeat it while the database is unavailable, for at most `STORE_WAIT_S`."""
        until, pause = time.monotonic() + limits.STORE_WAIT_S, RETRY_S
        while True:
            try:
                return await write()
            except StoreUnavailable:
                if time.monotonic() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_MAX_S)


def _record_span(run_id: str, claimed: ClaimedRun, ending: Ending) -> None:
    """Send a tracing span of an ended run."""
    now = time.time()
    begun_at = None if claimed.begun_s is None else now - ending.seconds
    ids = {"run": run_id, "kind": claimed.kind, "client": claimed.client, "status": ending.status}
    spans.record_run(ids, claimed.queued_at, begun_at, now)
