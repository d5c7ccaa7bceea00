"""Records as rows: what was asked or brought, what became of it, and its frames."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.store.database import Database
from app.store.frames import append_lines, read_lines
from app.store.tables import frames, live_traces, runs
from mhc_core.record import codec
from mhc_core.record.source import Source, SpecSource, TraceSource, parse_source
from mhc_core.record.summary import EndStatus

RunStatus = Literal["queued", "running", "done", "failed", "cancelled"]
LIVE: tuple[RunStatus, ...] = ("queued", "running")
DROPPED = "dropped"  # Its frames are being deleted: for everyone else it is not there any more.
Cost = dict[str, int | float]  # fields of `mhc_core.cost.estimates.Estimate`: counts stay whole

# A read costs no write more often than this.
TOUCH_EVERY_S = 600.0
BATCH = 64  # lines that are inserted together
IS_KNOWN = runs.c.status != DROPPED


@dataclass(frozen=True)
class NewJob:
    """A job to be queued; `of_run` is the run that it is about, where its kind is about another run."""

    kind: str
    source: Source
    cost: Cost
    of_run: str | None = None
    client: str = ""
    address: str = ""


@dataclass(frozen=True)
class LiveCost:
    """A run that waits or runs: who asked for it, and the seconds that it was predicted to take."""

    client: str
    address: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """One row: a record, and the job that makes it."""

    id: str
    kind: str
    of_run: str | None
    source: Source
    status: RunStatus
    reason: str | None
    cost: Cost
    device: dict[str, Any] | None
    versions: dict[str, Any] | None
    summary: dict[str, Any] | None
    frames: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    used_at: float
    pinned: bool
    client: str  # key of the client that asked for it; empty for the server's own
    address: str
    server: str | None  # the server that computes it, until `leased_until`
    leased_until: float | None
    fence: int  # grows with every lease, so that a server that lost its lease can write nothing
    attempts: int  # times that a worker has begun it
    is_cancel_asked: bool
    bytes: int  # stored, of its frames

    @property
    def is_live(self) -> bool:
        """Waiting or being computed."""
        return self.status in LIVE

    @property
    def is_whole(self) -> bool:
        """Whether it has a whole result; a trace whose training failed has what was seen of it until then."""
        is_told = self.status == "failed" and isinstance(self.source, TraceSource) and self.summary is not None
        return self.status == "done" or is_told

    @property
    def spec(self) -> dict[str, Any]:
        """What was computed. For code that computes; a record whose source is a trace has none."""
        assert isinstance(self.source, SpecSource), f"record {self.id} has no spec"
        return self.source.spec


class RunStore:
    """Reads and writes of runs and frames."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, run_id: str) -> Run | None:
        """The run, if it is known."""

        def work(connection: Connection) -> Run | None:
            row = connection.execute(select(runs).where(runs.c.id == run_id, IS_KNOWN)).one_or_none()
            return None if row is None else to_run(row)

        return await self._database.call(work)

    async def find_job(self, kind: str, of_run: str) -> Run | None:
        """The job of this kind about a run, if there is one."""
        query = select(runs).where(runs.c.of_run == of_run, runs.c.kind == kind)

        def work(connection: Connection) -> Run | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else to_run(row)

        return await self._database.call(work)

    async def put_queued(self, fresh: Mapping[str, NewJob]) -> None:
        """Jobs by id, new or starting again: without frames, waiting."""
        now = time.time()
        common = {"status": "queued", "frames": 0, "created_at": now, "used_at": now}

        def work(connection: Connection) -> None:
            pinned = set(connection.execute(select(runs.c.id).where(runs.c.id.in_(fresh), runs.c.pinned)).scalars())
            connection.execute(delete(frames).where(frames.c.run_id.in_(fresh)))
            connection.execute(delete(runs).where(runs.c.id.in_(fresh)))
            rows = [
                {"id": run_id, "pinned": run_id in pinned, **asdict(job), **common} for run_id, job in fresh.items()
            ]
            connection.execute(insert(runs), rows)

        await self._database.call(work)

    async def add_record(
        self,
        record_id: str,
        source: Source,
        lines: Iterable[bytes],
        status: EndStatus = "done",
        reason: str | None = None,
        client: str = "",
        address: str = "",
    ) -> bool:
        """Store a record that is complete, such as a trace, and close its log; False where the id is known.

        `lines` are its frames from index 0, encoded under this id, without `end`. They are read once, in the
        transaction, and not held in memory together.
        """
        now = time.time()
        times = {"created_at": now, "finished_at": now, "used_at": now}
        values: dict[str, Any] = {
            "id": record_id,
            "kind": "run",
            "source": codec.to_plain(source),
            "status": status,
            "reason": reason,
            "cost": {},
            "client": client,
            "address": address,
            **times,
        }

        def work(connection: Connection) -> bool:
            if connection.execute(select(runs.c.id).where(runs.c.id == record_id, IS_KNOWN)).one_or_none() is not None:
                return False
            connection.execute(delete(frames).where(frames.c.run_id == record_id))  # of one that is being dropped
            connection.execute(delete(runs).where(runs.c.id == record_id))
            connection.execute(insert(runs).values(values))
            remaining, count = iter(lines), 0
            while batch := list(islice(remaining, BATCH)):
                append_lines(connection, record_id, count, batch)
                count += len(batch)
            append_lines(connection, record_id, count, [codec.encode_end(record_id, count, status, reason)])
            return True

        return await self._database.call(work)

    async def set_running(self, run_id: str) -> None:
        """A worker has taken the run."""
        values = {"status": "running", "started_at": time.time()}
        await self._database.call(lambda c: c.execute(update(runs).where(runs.c.id == run_id).values(values)))

    async def append(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Add frames; the index of the first says where, and an index can be stored once."""
        await self._database.call(lambda connection: append_lines(connection, run_id, first, lines))

    async def finish(self, run_id: str, index: int, status: EndStatus, reason: str | None) -> bytes:
        """Close the log with an `end` frame, which is returned."""
        line = codec.encode_end(run_id, index, status, reason)
        values = {"status": status, "reason": reason, "finished_at": time.time()}

        def work(connection: Connection) -> None:
            append_lines(connection, run_id, index, [line])
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))

        await self._database.call(work)
        return line

    async def read(self, run_id: str, after: int, limit: int) -> list[bytes]:
        """Lines behind index `after`, in order."""
        return await self._database.call(lambda connection: read_lines(connection, run_id, after, limit))

    async def unfinished(self) -> list[Run]:
        """Runs that an earlier server process left behind, oldest first; not traces, which others write."""
        of_others = select(live_traces.c.run_id)
        query = select(runs).where(runs.c.status.in_(LIVE), runs.c.id.not_in(of_others)).order_by(runs.c.created_at)

        def work(connection: Connection) -> list[Run]:
            return [to_run(row) for row in connection.execute(query)]

        return await self._database.call(work)

    async def list_live_costs(self) -> list[LiveCost]:
        """Runs that wait or run; not traces, which cost no time here."""
        seconds = runs.c.cost["seconds"].as_float()
        query = select(runs.c.client, runs.c.address, seconds).where(runs.c.status.in_(LIVE), seconds.is_not(None))
        return await self._database.call(lambda connection: [LiveCost(*row) for row in connection.execute(query)])

    async def touch(self, run: Run) -> None:
        """Note that the run is used, so that the sweep spares it."""
        now = time.time()
        if now - run.used_at > TOUCH_EVERY_S:
            query = update(runs).where(runs.c.id == run.id).values(used_at=now)
            await self._database.call(lambda connection: connection.execute(query))

    async def count_by_status(self) -> dict[str, int]:
        """How many runs are stored, by status."""
        query = select(runs.c.status, func.count()).where(IS_KNOWN).group_by(runs.c.status)
        rows = await self._database.call(lambda connection: connection.execute(query).all())
        return {status: count for status, count in rows}  # noqa: C416


def to_run(row: Row[Any]) -> Run:
    """A row of `runs`."""
    return Run(**{**row._mapping, "source": parse_source(row.source)})
