"""The life of a run: admitted, queued, computed, stored, watched, dropped. Joins the engine to the store."""

import asyncio
import hashlib
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.contract import RUN, VERIFICATION, EndStatus, Engine, Job, Sink, SinkError
from app.presets import OPENING
from app.services.admission import require_admissible
from app.services.errors import NoSpecError
from app.services.identity import SERVER, Client
from app.services.predictions import Predictions
from app.services.shares import require_queue_share
from app.services.upkeep.storage import Storage
from app.settings import Settings
from app.store.frame_log import FrameLog
from app.store.notifications import Hub
from app.store.runs import Cost, NewJob, Run, RunStore
from mhc_core.record.source import SpecSource
from mhc_core.spec import RunSpec, parse_spec

log = logging.getLogger("mhc.runs")

ID_LENGTH = 20
# Status of a run that was not started, because it would take longer than the caller wants to wait.
UNSTARTED = "unstarted"


STALE_NUMERICS = "the server was updated meanwhile and computes other numbers now: post the spec again"


@dataclass(frozen=True)
class Asked:
    """A job that someone asks for; `of_run` is the run that it is about, where its kind is about another run."""

    kind: str
    spec: RunSpec
    of_run: str | None = None


@dataclass(frozen=True)
class Submitted:
    """Result of submitting a run; `cost` is what it is predicted to take, as when it was accepted first."""

    run_id: str
    status: str
    position: int | None
    is_new: bool
    cost: Cost


@dataclass(frozen=True)
class Cancelled:
    """Result of cancelling a run; `watchers` is how many others watch a run that was therefore left alone."""

    run: Run
    watchers: int


class Runs(Sink):
    """Everything that happens to runs; the engine reports to it."""

    def __init__(
        self, settings: Settings, store: RunStore, log: FrameLog, engine: Engine, hub: Hub, storage: Storage
    ) -> None:
        self._settings, self.store, self.log, self.engine, self.hub = settings, store, log, engine, hub
        self.storage = storage
        self.predictions = Predictions(engine, settings.worker_count)
        self._submitting = asyncio.Lock()
        # Frames that an earlier server process stored of a run now computed anew.
        self._stored: dict[str, list[bytes]] = {}
        self.fed: set[str] = set()  # traces that grow from outside, for which no job runs here
        self.ended: Counter[str] = Counter()
        self.frames_stored = 0

    async def start(self) -> None:
        """Bring up the engine, take over what an earlier process left, and see to the opening comparison."""
        await self.engine.start(self)
        for run in await self.store.unfinished():
            if has_outdated_numerics(run):
                await self.log.finish(run.id, run.frames, "failed", STALE_NUMERICS)
                continue
            self._stored[run.id] = await self.store.read(run.id, -1, run.frames)
            self.predictions.expect(run.id, run.kind, parse_spec(run.spec))
            self.engine.submit(Job(run.id, run.kind, run.spec))
        if self._settings.precompute:
            await self.submit(OPENING.specs, SERVER)

    async def stop(self) -> None:
        """Stop computing; runs under way are queued again by the next process."""
        await self.engine.stop()

    async def submit(self, specs: Sequence[RunSpec], client: Client, limit_s: float = math.inf) -> list[Submitted]:
        """Queue the specs that are not known, all of them or none. A failed or cancelled run starts again.

        Nothing is queued where what is not known is predicted to take more than `limit_s` in all.

        Raises
        ------
        RefusedError
            Where a spec would cost too much, or there is no room.
        """
        found = await self._submit({spec.id: Asked(RUN, spec) for spec in specs}, client, limit_s)
        return [found[spec.id] for spec in specs]

    async def submit_verification(self, run: Run, client: Client) -> Submitted:
        """Queue the recomputation of a run, a job like any other under an id of its own, unless it is known.

        Raises
        ------
        RefusedError
            Where the run has no spec, it would cost too much, or there is no room.
        """
        asked = Asked(VERIFICATION, read_spec(run), run.id)
        known = await self.store.find_job(VERIFICATION, run.id)
        job_id = to_job_id(VERIFICATION, run.id) if known is None else known.id
        return (await self._submit({job_id: asked}, client))[job_id]

    async def _submit(self, by_id: dict[str, Asked], client: Client, limit_s: float = math.inf) -> dict[str, Submitted]:
        """What became of each."""
        for run_id in by_id:
            await self.engine.settle(run_id)
        async with self._submitting:
            usable = await asyncio.gather(*map(self._usable, by_id))
            known = dict(zip(by_id, usable, strict=True))
            fresh = {run_id: asked for run_id, asked in by_id.items() if known[run_id] is None}
            predicted = {
                run_id: self.predictions.predict(asked.kind, asked.spec, len(fresh)) for run_id, asked in fresh.items()
            }
            if client != SERVER and fresh:
                await self.storage.require_space()
                for run_id, asked in fresh.items():
                    require_admissible(asked.spec, predicted[run_id], self._settings)
                seconds = [cost.seconds for cost in predicted.values()]
                require_queue_share(client, seconds, await self.store.list_live_costs(), self._settings)
            is_started = sum(cost.seconds for cost in predicted.values()) <= limit_s
            costs = {run_id: cost.model_dump() for run_id, cost in predicted.items()}
            if fresh and is_started:
                await self._enqueue(fresh, costs, client)
        return {
            run_id: self._to_submitted(run_id, run, run.cost if run else costs[run_id], is_started)
            for run_id, run in known.items()
        }

    async def cancel(self, run: Run, viewer: str | None) -> Cancelled:
        """Stop a run that no one but the viewer watches, for an operator (None) any; a finished run stays as it is."""
        is_asked = run.is_live and viewer is not None
        watchers = self.hub.count_watchers(run.id, exclude=viewer or "") if is_asked else 0
        if run.is_live and not watchers:
            await self.engine.cancel(run.id)
            run = await self.store.get(run.id) or run
        return Cancelled(run, watchers)

    def position(self, run_id: str) -> int | None:
        """Place in the queue, 1 for the next; 0 for a run under way or a trace that grows; None where it is over."""
        return 0 if run_id in self.fed else self.engine.position(run_id)

    # The engine's reports.

    async def on_start(self, run_id: str) -> None:
        """A worker has the run."""
        self.predictions.begin(run_id)
        await self.store.set_running(run_id)
        self.hub.publish(run_id)

    async def on_lines(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Store what is not stored yet. What is must have come out the same, or the log would be torn."""
        stored = self._stored.get(run_id, [])
        repeated = list(lines[: max(0, len(stored) - first)])
        if repeated != stored[first : first + len(repeated)]:
            raise SinkError("computed again after a restart, it gave other frames than those stored")
        if len(repeated) < len(lines):
            await self.log.append(run_id, first + len(repeated), lines[len(repeated) :])
            self.frames_stored += len(lines) - len(repeated)

    async def on_end(self, run_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """Close the log."""
        self.predictions.end(run_id, is_done=status == "done")
        index = max(index, len(self._stored.pop(run_id, ())))
        self.ended[status] += 1
        await self.log.finish(run_id, index, status, reason)

    def on_moved(self, run_ids: Sequence[str]) -> None:
        """Let those who wait see their place."""
        for run_id in run_ids:
            self.hub.publish(run_id)

    # Below: helpers.

    async def _usable(self, run_id: str) -> Run | None:
        """The stored run, unless it has to be computed anew."""
        run = await self.store.get(run_id)
        if run is None or run.status in ("failed", "cancelled"):
            return None
        if run.is_live and self.engine.position(run_id) is None:
            # It may have ended between the two looks; if not, its end could not be stored.
            run = await self.store.get(run_id)
            return run if run is not None and run.status == "done" else None
        await self.store.touch(run)
        return run

    async def _enqueue(self, fresh: dict[str, Asked], costs: dict[str, Cost], client: Client) -> None:
        for run_id in fresh:
            self.log.begin(run_id)
        jobs = {run_id: Job(run_id, asked.kind, asked.spec.canonical()) for run_id, asked in fresh.items()}
        await self.store.put_queued(
            {
                run_id: NewJob(
                    job.kind, SpecSource(spec=job.spec), costs[run_id], fresh[run_id].of_run, client.key, client.address
                )
                for run_id, job in jobs.items()
            }
        )
        for run_id, job in jobs.items():
            self.predictions.expect(run_id, job.kind, fresh[run_id].spec)
            self.engine.submit(job)

    def _to_submitted(self, run_id: str, known: Run | None, cost: Cost, is_started: bool) -> Submitted:
        if known is None and not is_started:
            return Submitted(run_id, UNSTARTED, None, False, cost)
        if known is not None and not known.is_live:
            return Submitted(run_id, known.status, None, False, cost)
        position = self.engine.position(run_id)
        status = "queued" if position else "running"
        return Submitted(run_id, status, position or None, known is None, cost)


def has_outdated_numerics(run: Run) -> bool:
    """Whether its id was given out by earlier numerics: what would be computed now would not be what the id names."""
    return run.kind == RUN and parse_spec(run.spec).id != run.id


def read_spec(run: Run) -> RunSpec:
    """What the run was computed from.

    Raises
    ------
    NoSpecError
        Where its source is a trace.
    """
    if not isinstance(run.source, SpecSource):
        raise NoSpecError(f"record {run.id} is a trace: it has no spec, so it cannot be computed again")
    return parse_spec(run.spec)


def to_job_id(kind: str, of_run: str) -> str:
    """The id of a job about another run; no one but the server sees it."""
    return hashlib.sha256(f"{kind} of {of_run}".encode()).hexdigest()[:ID_LENGTH]
