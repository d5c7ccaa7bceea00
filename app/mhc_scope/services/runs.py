"""Manage runs: submit, find, cancel, withdraw. Connects admission, queue, engine and store."""

import asyncio
import contextlib
import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mhc_core.findings.numerals import format_value
from mhc_core.record.source import SpecSource
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.engine.contract import RUN, Engine
from mhc_scope.presets import OPENING
from mhc_scope.presets.records import SPECS, has_record, read_record
from mhc_scope.services.admission import require_admissible
from mhc_scope.services.dispatcher import Dispatcher
from mhc_scope.services.errors import NoSpecError
from mhc_scope.services.identity import SERVER, ClientIdentity
from mhc_scope.services.policy import Policy
from mhc_scope.services.predictions import Predictions
from mhc_scope.services.storage import Storage
from mhc_scope.services.unannounced import Caller, CallerGone, UnannouncedRuns
from mhc_scope.settings import Settings
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import Cost, NewJob, StoredRun
from mhc_scope.store.store import Store

ID_LENGTH = 20
# Status of a run that was not started, because it would take longer than the client accepts.
UNSTARTED = "unstarted"
NO_VIEWER = ""  # key that belongs to no viewer, so that the event streams of all viewers count
FIRST_POLL_S, POLL_S = 0.005, 0.05  # first and longest pause while waiting for the end of a run that must be stopped


@dataclass(frozen=True)
class JobRequest:
    """A requested job. `of_run`: id of the run that the job is about; None for a run itself."""

    kind: str
    spec: RunSpec
    of_run: str | None = None


@dataclass(frozen=True)
class Submission:
    """The result of submitting a run. `cost` was predicted when the run was first accepted."""

    run_id: str
    status: str
    position: int | None
    is_new: bool
    cost: Cost


@dataclass(frozen=True)
class Cancellation:
    """The result of cancelling a run, which continues if others watch it or another client has just requested it."""

    run: StoredRun
    watchers: int
    is_wanted: bool


class Runs:
    """The runs of a server, whichever server computes them."""

    def __init__(
        self, settings: Settings, policy: Policy, store: Store, engine: Engine, hub: Hub, storage: Storage
    ) -> None:
        self._settings, self._policy = settings, policy
        self.engine, self.hub, self.storage = engine, hub, storage
        self.store, self.log, self._queue = store.runs, store.log, store.queue
        self.predictions = Predictions(engine, settings.worker_count)
        self._dispatcher = Dispatcher(self._queue, self.log, engine, hub, self.predictions)
        self._submitting = asyncio.Lock()
        self._unannounced = UnannouncedRuns()
        self.growing: set[str] = set()  # live recordings, for which no job runs here
        self._unpacking: dict[str, asyncio.Task[StoredRun | None]] = {}  # records of the package that are being stored
        self._reading: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the engine, continue the runs of an earlier process, and submit the runs of the opening view."""
        await self._dispatcher.start()
        if self._settings.precompute:
            await self.submit(OPENING.specs, SERVER)

    async def stop(self) -> None:
        """Stop computing because the server stops; put running runs back into the queue."""
        await asyncio.gather(*self._reading, *self._unpacking.values(), return_exceptions=True)
        await self._dispatcher.stop()

    @property
    def ended(self) -> Counter[str]:
        """Return the numbers of runs that have ended here since the start, by status."""
        return self._dispatcher.reports.ended

    @property
    def frames_stored(self) -> int:
        """Return the number of frames that were stored since the start."""
        return self._dispatcher.reports.frames_stored

    @property
    def waiting(self) -> int:
        """Return the number of runs that wait in the queue."""
        return len(self._dispatcher.board.waiting)

    async def find(self, run_id: str) -> StoredRun | None:
        """Return the stored run with an id; None if there is none. A record of the package is first stored."""
        run = await self.store.get(run_id)
        if run is not None or not self._ships(run_id):
            return run
        if run_id not in self._unpacking:
            self._unpacking[run_id] = asyncio.create_task(self._unpack(run_id))
            self._unpacking[run_id].add_done_callback(lambda _: self._unpacking.pop(run_id))
        # Shielded, because other requests may wait for it too.
        return await asyncio.shield(self._unpacking[run_id])

    async def is_done(self, run_id: str) -> bool:
        """Return whether a run is done. A record of the package counts, even if it is not stored."""
        run = await self.store.get(run_id)
        return self._ships(run_id) if run is None else run.status == "done"

    def read_ahead(self, run_ids: Sequence[str]) -> None:
        """Start to store records of the package that a page will request soon."""
        task = asyncio.create_task(self._find_all(run_ids))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def submit(
        self, specs: Sequence[RunSpec], client: ClientIdentity, limit_s: float = math.inf, caller: Caller | None = None
    ) -> list[Submission]:
        """Queue the specs that are not known: all of them or none. A failed or cancelled run starts again.

        No spec is queued if the unknown ones together are predicted to take more than `limit_s`. With a `caller`, the
        runs may be withdrawn until they are announced.

        Raises
        ------
        RefusalError
            If a spec would cost too much, or a limit is reached.
        CallerGone
            If the caller has disconnected before its turn.
        """
        found = await self._submit({spec.id: JobRequest(RUN, spec) for spec in specs}, client, limit_s, caller)
        stored = [spec for spec in specs if found[spec.id].status == "done"]
        if stored and client != SERVER:  # edits follow only runs that people have requested
            self.engine.prepare(stored)
        return [found[spec.id] for spec in specs]

    def announce(self, run_ids: Iterable[str]) -> None:
        """Record that a caller has received the ids of runs, which then continue if it disconnects."""
        self._unannounced.announce(run_ids)

    async def withdraw(self, caller: Caller) -> None:
        """Cancel runs whose ids the caller never received, unless another caller requested or watches them."""
        if not self._unannounced.waits(caller):
            return
        async with self._submitting:  # otherwise another caller could join a run that is being cancelled
            for run_id in self._unannounced.leave(caller):
                if not await self._count_watchers(run_id, viewer=NO_VIEWER):
                    await self._dispatcher.cancel(run_id, is_forced=False)

    async def submit_job(self, kind: str, run: StoredRun, client: ClientIdentity) -> Submission:
        """Queue a job about a run, such as its recomputation, with its own id, unless it is known.

        Raises
        ------
        RefusalError
            If the run has no spec, the job would cost too much, or a limit is reached.
        """
        job = JobRequest(kind, read_spec(run), run.id)
        known = await self.store.find_job(kind, run.id)
        job_id = to_job_id(kind, run.id) if known is None else known.id
        return (await self._submit({job_id: job}, client))[job_id]

    async def _submit(
        self,
        by_id: dict[str, JobRequest],
        client: ClientIdentity,
        limit_s: float = math.inf,
        caller: Caller | None = None,
    ) -> dict[str, Submission]:
        """Queue, requeue or find each requested job, by id; return the result for each."""
        await asyncio.gather(*(self._settle(run_id, client) for run_id in by_id))
        async with self._submitting:
            if caller is not None and await caller.is_gone():
                raise CallerGone
            usable = await asyncio.gather(*map(self._usable, by_id))
            known = dict(zip(by_id, usable, strict=True))
            fresh = {run_id: job for run_id, job in by_id.items() if known[run_id] is None}
            predicted = {
                run_id: self.predictions.predict(job.kind, job.spec, len(fresh)) for run_id, job in fresh.items()
            }
            if client != SERVER and fresh:
                await self.storage.require_space()
                for run_id, job in fresh.items():
                    require_admissible(job.spec, predicted[run_id], self._settings)
                seconds = [cost.seconds for cost in predicted.values()]
                self._policy.require_queue_capacity(client, seconds, await self.store.list_live_costs())
            is_started = sum(cost.seconds for cost in predicted.values()) <= limit_s
            costs = {run_id: cost.model_dump() for run_id, cost in predicted.items()}
            put = await self._enqueue(fresh, costs, client) if fresh and is_started else frozenset()
            self._note_requested(by_id.keys() - put, put, caller)
        return {
            run_id: self._to_submitted(run_id, run, run.cost if run else costs[run_id], run_id in put, is_started)
            for run_id, run in known.items()
        }

    async def cancel(self, run: StoredRun, viewer: str | None) -> Cancellation:
        """Stop a run that no one but the viewer watches. viewer: None for an operator, who stops any run."""
        watchers = await self._count_watchers(run.id, viewer) if run.is_live and viewer is not None else 0
        is_wanted = False
        if run.is_live and not watchers:
            is_wanted = not await self._dispatcher.cancel(run.id, is_forced=viewer is None)
            run = await self._wait_for_stop(run.id) or run
        return Cancellation(run, watchers, is_wanted)

    def position(self, run_id: str) -> int | None:
        """Return the position in the queue, 1 for the next; 0 for a running run or live recording; None for others."""
        return 0 if run_id in self.growing else self._dispatcher.board.places.get(run_id)

    def explain_wait(self, run: StoredRun) -> str | None:
        """Return why a queued run has not begun, in one sentence; None for any other run."""
        if run.status != "queued":
            return None
        state, workers = self._dispatcher.board, self.engine.ready_workers
        place = state.places.get(run.id)
        if place is None:
            return "It has just been queued; its place is not known yet."
        if workers == 0:
            return f"Place {place} of {len(state.waiting)}: no worker of this server is ready yet."
        ahead_s = sum(state.seconds[other] for other in state.waiting[: place - 1])
        running = f"{len(state.running)} {'run is' if len(state.running) == 1 else 'runs are'} being computed"
        ahead = f", and those ahead of it need about {format_value(ahead_s, digits=2)} s" if place > 1 else ""
        return f"Place {place} of {len(state.waiting)}: {running}{ahead}; clients that used less lately come first."

    async def is_live(self, run_id: str) -> bool:
        """Return whether a run waits or is computed, so that more frames will follow, according to the store.

        It is for runs without a `position`, such as one that was just queued.
        """
        run = await self.store.get(run_id)
        return run is not None and run.is_live

    async def count_stuck(self) -> int:
        """Return the number of running runs that no server seems to compute."""
        return await self._queue.count_stuck(self._settings.run_deadline_s)

    # ---- helpers

    def _ships(self, run_id: str) -> bool:
        """Return whether the package has the record of a run, and the settings allow using it."""
        return self._settings.precompute and has_record(run_id)

    async def _unpack(self, run_id: str) -> StoredRun | None:
        """Store the record of a run from the package, and return the run."""
        lines = await asyncio.to_thread(read_record, run_id)
        if lines is None:
            return None
        spec = SPECS[run_id]
        cost = self.predictions.predict(RUN, spec, 1).model_dump()
        await self.log.add_record(run_id, SpecSource(spec=spec.canonical()), lines, cost)
        return await self.store.get(run_id)

    async def _find_all(self, run_ids: Sequence[str]) -> None:
        """Store the records of runs from the package that are not stored yet."""
        with contextlib.suppress(StoreUnavailable):  # the request that needs them reports it
            await asyncio.gather(*map(self.find, run_ids))

    def _note_requested(self, known: Iterable[str], put: Iterable[str], caller: Caller | None) -> None:
        """Record how ids are received: in the response to this request, or later, by the `caller`."""
        if caller is None:
            self._unannounced.announce(known)
        else:
            self._unannounced.join(known, caller)
            self._unannounced.add(put, caller)

    async def _count_watchers(self, run_id: str, viewer: str) -> int:
        """Return the number of event streams of a run that other viewers have open, on this and other servers."""
        elsewhere = await self._queue.count_watchers(run_id, viewer)
        return self.hub.count_watchers(run_id, viewer) + elsewhere

    async def _settle(self, run_id: str, client: ClientIdentity) -> None:
        """If a run is being stopped, here or elsewhere, wait for its end; else record that this client wants it too."""
        await self.engine.settle(run_id)
        run = await self._wait_for_stop(run_id)
        if run and run.is_live and run.client != client.key and not await self._queue.want(run_id):
            await self._wait_for_stop(run_id)  # a stop was requested in the meantime

    async def _wait_for_stop(self, run_id: str) -> StoredRun | None:
        """Return the stored run, after its end if a stop was requested; None if there is none."""
        until, pause = time.monotonic() + self._queue.stop_s, FIRST_POLL_S
        while (run := await self.store.get(run_id)) and run.is_live and run.is_cancel_asked:
            if time.monotonic() > until:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_S)
        return run

    async def _usable(self, run_id: str) -> StoredRun | None:
        """Return the stored run with an id; None if there is none, or it must be computed again."""
        run = await self._wait_for_stop(run_id)
        if run is None and self._ships(run_id):
            run = await self.find(run_id)
        if run is None or run.status in ("failed", "cancelled"):
            return None
        await self.store.touch(run)
        return run

    async def _enqueue(
        self, fresh: dict[str, JobRequest], costs: dict[str, Cost], client: ClientIdentity
    ) -> frozenset[str]:
        """Queue jobs; return the ids of those that no other server has just queued."""
        jobs = {
            run_id: NewJob(
                job.kind,
                SpecSource(spec=job.spec.canonical()),
                costs[run_id],
                job.of_run,
                client.key,
                client.address,
            )
            for run_id, job in fresh.items()
        }
        return (await self._dispatcher.take_turn(jobs)).put

    def _to_submitted(
        self, run_id: str, known: StoredRun | None, cost: Cost, is_new: bool, is_started: bool
    ) -> Submission:
        """Build the result of submitting a run: status, position in the queue and cost."""
        if known is None and not is_started:
            return Submission(run_id, UNSTARTED, None, False, cost)
        if known is not None and not known.is_live:
            return Submission(run_id, known.status, None, False, cost)
        position = self.position(run_id)
        status = known.status if known and position is None else "queued" if position else "running"
        return Submission(run_id, status, position or None, is_new, cost)


def read_spec(run: StoredRun) -> RunSpec:
    """Return the spec of a stored run.

    Raises
    ------
    NoSpecError
        If its source is a recording.
    """
    if not isinstance(run.source, SpecSource):
        raise NoSpecError(f"Record {run.id} is a trace. It has no spec, so it cannot be computed again.")
    return parse_spec(run.spec)


def to_job_id(kind: str, of_run: str) -> str:
    """Return the id of a job about another run, which is used only within the server."""
    return hashlib.sha256(f"{kind} of {of_run}".encode()).hexdigest()[:ID_LENGTH]
