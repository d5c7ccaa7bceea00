"""Store records as rows: their source, their status and their frames."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, Row, Text, cast, delete, func, insert, null, select, update
from sqlalchemy.exc import IntegrityError

from mhc_core.record import codec
from mhc_core.record.source import TRACE, Source, SpecSource, TraceSource, parse_source
from mhc_core.record.summary import EndStatus
from mhc_scope.store.claims import RunClaim, TornLog, require_claim
from mhc_scope.store.database import Database, reading, transaction
from mhc_scope.store.frames import append_lines, read_lines
from mhc_scope.store.run_ends import end_run
from mhc_scope.store.tables import frames, runs
from mhc_scope.store.usage import charge

RunStatus = Literal["queued", "running", "done", "failed", "cancelled"]
LIVE: tuple[RunStatus, ...] = ("queued", "running")
DROPPED = "dropped"  # the run is being deleted, and is invisible except to retention
Cost = dict[str, int | float]  # fields of `mhc_core.cost.estimates.Estimate`; counts are integers

# Shortest time between two updates of the time of last use.
TOUCH_EVERY_S = 600.0
BATCH = 64  # lines per insert
IS_KNOWN = runs.c.status != DROPPED
# Compared as text, because PostgreSQL cannot read keys of a JSON object that contains U+0000, as a spec may. A spec
# cannot match by accident, because quotes in its strings are escaped.
IS_TRACE = cast(runs.c.source, Text).like(f'%"kind": "{TRACE}"%')
# Columns of an earlier attempt, which are cleared when a run restarts.
ATTEMPT = ("reason", "device", "versions", "summary", "started_at", "finished_at", "server", "leased_until")
EMPTY: dict[str, Any] = {**dict.fromkeys(ATTEMPT, null()), "fence": runs.c.fence + 1}


@dataclass(frozen=True)
class NewJob:
    """A job for the queue. `of_run` is the run that it is about, if it is about another run."""

    kind: str
    source: Source
    cost: Cost
    of_run: str | None = None
    client: str = ""
    address: str = ""


@dataclass(frozen=True)
class LiveCost:
    """The client and address that requested a live run, and its predicted seconds."""

    client: str
    address: str
    seconds: float


@dataclass(frozen=True)
class StoredRun:
    """One row of `runs`: a record and the job that computes it."""

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
    client: str  # key of the client that requested it; empty for runs of the server itself
    address: str
    server: str | None  # the server that computes it until `leased_until`, if several servers share the queue
    leased_until: float | None
    fence: int  # grows with every claim, so that earlier claims cannot write
    attempts: int  # number of times a worker has begun it, without attempts that a lost or stopped server ended
    server_losses: int  # number of times its server was lost while a worker computed it
    is_cancel_asked: bool
    wanted_at: float | None  # last time at which another client requested it while it was live
    bytes: int  # size of its stored frames

    @property
    def is_live(self) -> bool:
        """Return whether the run is queued or running."""
        return self.status in LIVE

    @property
    def is_whole(self) -> bool:
        """Return whether the run has a complete result. A recording of a failed training counts if it has a summary."""
        is_partial_trace = self.status == "failed" and isinstance(self.source, TraceSource) and self.summary is not None
        return self.status == "done" or is_partial_trace

    @property
    def spec(self) -> dict[str, Any]:
        """Return the spec of the run. A recording has none."""
        assert isinstance(self.source, SpecSource), f"record {self.id} has no spec"
        return self.source.spec


class RunStore:
    """Read and write runs and frames."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def get(self, connection: Connection, run_id: str) -> StoredRun | None:
        """Return the stored run with this id; None if it is unknown."""
        if "\0" in run_id:  # PostgreSQL rejects such text
            return None
        row = connection.execute(select(runs).where(runs.c.id == run_id, IS_KNOWN)).one_or_none()
        return None if row is None else to_run(row)

    @reading
    def find_job(self, connection: Connection, kind: str, of_run: str) -> StoredRun | None:
        """Return the job of this kind about a run; None if there is none."""
        query = select(runs).where(runs.c.of_run == of_run, runs.c.kind == kind)
        row = connection.execute(query).one_or_none()
        return None if row is None else to_run(row)

    async def put_queued(self, fresh: Mapping[str, NewJob]) -> None:
        """Enqueue new or restarted jobs, by id, without frames."""
        database = self._database
        await database.call(lambda connection: put_jobs(connection, fresh, database.read_clock(connection)))

    async def add_record(
        self,
        record_id: str,
        source: Source,
        lines: Iterable[bytes],
        status: EndStatus = "done",
        reason: str | None = None,
        client: str = "",
        address: str = "",
        cost: Cost | None = None,
    ) -> bool:
        """Store a complete record, such as a recording, and close its log; return False if the id is known.

        `lines` are its encoded frames with this id, from index 0, without `end`. They are read once, in the
        transaction, and are never in memory all together.
        """
        ended = {"reason": reason, "cost": cost or {}, "finished_at": time.time()}
        values = to_record_row(record_id, source, status, client, address) | ended

        def insert_record(connection: Connection) -> bool:
            """Insert the record with its frames; return False if its id is known."""
            if connection.execute(select(runs.c.id).where(runs.c.id == record_id, IS_KNOWN)).one_or_none() is not None:
                return False
            connection.execute(delete(frames).where(frames.c.run_id == record_id))  # of a run that is being deleted
            connection.execute(delete(runs).where(runs.c.id == record_id))
            connection.execute(insert(runs).values(values))
            remaining, count = iter(lines), 0
            while batch := list(islice(remaining, BATCH)):
                append_lines(connection, record_id, count, batch)
                count += len(batch)
            append_lines(connection, record_id, count, [codec.encode_end(record_id, count, status, reason)])
            return True

        try:
            return await self._database.call(insert_record)
        except IntegrityError:
            if await self.get(record_id) is None:
                raise
            return False  # another server has just stored it

    @transaction
    def append(
        self, connection: Connection, run_id: str, first: int, lines: Sequence[bytes], claim: RunClaim | None = None
    ) -> None:
        """Append frames to the log of a run. `first` is the index of the first frame. Each index is stored once.

        With a claim, frames may be appended again, for example by a restarted run: they must equal the stored ones.
        Without a claim, the run is a recording that a client writes, and its time of last use is updated.

        Raises
        ------
        ClaimLost
            If the claim is over. Nothing is stored.
        TornLog
            If frames are appended again and differ from the stored ones.
        """
        if claim is None:
            append_lines(connection, run_id, first, lines)
            connection.execute(update(runs).where(runs.c.id == run_id).values(used_at=time.time()))
        else:
            _append_new(connection, run_id, first, lines, require_claim(connection, claim, is_live=True).frames)
        self._database.notify(connection, "log", run_id)

    @transaction
    def finish(
        self,
        connection: Connection,
        run_id: str,
        index: int,
        status: EndStatus,
        reason: str | None,
        claim: RunClaim | None = None,
        seconds: float = 0.0,
        lines: Sequence[bytes] = (),
    ) -> bytes:
        """Close a run's log with its last frames `lines`, from `index`, and an `end` frame, and return the `end` frame;
        charge `seconds` of computing to the client.

        With a claim, it may be called again, for example if it is unknown whether the transaction was committed. Only
        with a claim there may be lines; `append` says what they raise.

        Raises
        ------
        ClaimLost
            If the claim is over. Nothing is stored.
        """
        database = self._database
        now, frames_stored = database.read_clock(connection), index
        if claim is not None:
            database.lock_queue(connection)
            row = require_claim(connection, claim)
            if row.status not in LIVE:
                (line,) = read_lines(connection, run_id, row.frames - 2, 1)
                return line
            frames_stored = _append_new(connection, run_id, index, lines, row.frames)
            client = connection.execute(select(runs.c.client).where(runs.c.id == run_id)).scalar_one()
            charge(connection, client, seconds, now)
            database.notify(connection, "queue")
        database.notify(connection, "log", run_id)
        return end_run(connection, run_id, frames_stored, status, reason, now)

    async def read(self, run_id: str, after: int, limit: int, limit_bytes: float = math.inf) -> list[bytes]:
        """Return frames of a run after index `after`, in order, limited as in `read_lines`."""
        return await self._database.read(lambda connection: read_lines(connection, run_id, after, limit, limit_bytes))

    async def list_live_costs(self) -> list[LiveCost]:
        """Return the costs of queued and running runs, without recordings, which need no computing time."""
        seconds = runs.c.cost["seconds"].as_float()
        query = select(runs.c.client, runs.c.address, seconds).where(runs.c.status.in_(LIVE), seconds.is_not(None))
        return await self._database.read(lambda connection: [LiveCost(*row) for row in connection.execute(query)])

    async def touch(self, run: StoredRun) -> None:
        """Record that the run is used now, so that retention does not delete it."""
        now = time.time()
        if now - run.used_at > TOUCH_EVERY_S:
            query = update(runs).where(runs.c.id == run.id).values(used_at=now)
            await self._database.call(lambda connection: connection.execute(query))

    async def count_by_status(self) -> dict[str, int]:
        """Return the number of stored runs by status."""
        query = select(runs.c.status, func.count()).where(IS_KNOWN).group_by(runs.c.status)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {status: count for status, count in rows}  # noqa: C416


def to_run(row: Row[Any]) -> StoredRun:
    """Convert a row of the table `runs` to a stored run."""
    return StoredRun(**{**row._mapping, "source": parse_source(row.source)})


def to_record_row(record_id: str, source: Source, status: RunStatus, client: str, address: str) -> dict[str, Any]:
    """Return the columns of a new record that no worker computes, such as a recording."""
    now = time.time()
    own = {"id": record_id, "kind": "run", "source": codec.to_plain(source), "status": status, "cost": {}}
    return own | {"client": client, "address": address, "created_at": now, "used_at": now}


def put_jobs(connection: Connection, fresh: Mapping[str, NewJob], now: float) -> frozenset[str]:
    """Enqueue new or restarted jobs, except those that are already live or done; return the ids of those enqueued."""
    # Locked, because a run that is being deleted could disappear before it is requeued.
    query = select(runs.c.id, runs.c.status).where(runs.c.id.in_(fresh)).with_for_update()
    status = {row.id: row.status for row in connection.execute(query)} if fresh else {}
    put = {run_id: job for run_id, job in fresh.items() if status.get(run_id) not in (*LIVE, "done")}
    rows = [{"id": run_id, **_to_values(job, now)} for run_id, job in put.items()]
    if again := put.keys() & status.keys():
        connection.execute(delete(frames).where(frames.c.run_id.in_(again)))
    for row in rows:
        if row["id"] in again:  # updated, not replaced: snapshots and viewers refer to it, and its fence must grow
            connection.execute(update(runs).where(runs.c.id == row["id"]).values(EMPTY | row))
    if new := [row for row in rows if row["id"] not in again]:
        connection.execute(insert(runs), new)
    return frozenset(put)


def _to_values(job: NewJob, now: float) -> dict[str, Any]:
    """Return the database columns of a queued run."""
    return {
        **asdict(job),
        "status": "queued",
        "frames": 0,
        "bytes": 0,
        "attempts": 0,
        "server_losses": 0,
        "is_cancel_asked": False,
        "wanted_at": None,
        "created_at": now,
        "used_at": now,
    }


def _append_new(connection: Connection, run_id: str, first: int, lines: Sequence[bytes], stored: int) -> int:
    """Append those of a run's frames that are not among its `stored` ones, to which the others must be equal.

    Return how many frames are stored then.
    """
    if lines and stored > first:
        _require_same(lines, read_lines(connection, run_id, first - 1, min(len(lines), stored - first)))
    if new := lines[max(0, stored - first) :]:
        append_lines(connection, run_id, max(first, stored), new)
    return max(stored, first + len(lines)) if lines else stored


def _require_same(lines: Sequence[bytes], stored: Sequence[bytes]) -> None:
    """Raise TornLog if repeated frames differ from the stored ones."""
    if list(lines[: len(stored)]) != list(stored):
        raise TornLog("the second computation gave other frames than those stored")
