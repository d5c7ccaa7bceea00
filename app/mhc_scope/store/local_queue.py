"""Operate the queue of one process. A running run that this process has not claimed is lost: nothing computes it."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from mhc_scope.store.board import LIVE, read_board
from mhc_scope.store.claims import RunClaim, require_claim
from mhc_scope.store.database import Database, reading, transaction
from mhc_scope.store.queue_contract import Answer, CheckReport, Member, Turn
from mhc_scope.store.run_ends import end_run, release_lost, release_run
from mhc_scope.store.runs import NewJob, StoredRun, put_jobs, to_run
from mhc_scope.store.tables import live_traces, runs
from mhc_scope.store.usage import charge, forget_old

# Time within which a client that requested a run opens an event stream on it. An open stream also prevents a cancel.
WANTED_S = 30.0
CHECK_S, STOP_S = 1.0, 5.0
STUCK_S = 15.0  # time after the deadline of a run until it counts as stuck

# Running runs, without live recordings, which their clients write.
IS_COMPUTED = (runs.c.status == "running") & runs.c.id.not_in(select(live_traces.c.run_id))


class LocalQueue:
    """Operate the queue of one process, as `mhc_scope.store.queue_contract` defines."""

    check_s, stop_s = CHECK_S, STOP_S

    def __init__(self, database: Database) -> None:
        self._database = database

    @transaction
    def join(self, connection: Connection, member: Member) -> None:
        """Start to use the queue; delete old usage of clients. The first check requeues runs of an earlier process."""
        self._database.lock_queue(connection)
        forget_old(connection, self._database.read_clock(connection))

    @transaction
    def leave(self, connection: Connection) -> None:
        """Requeue the running runs, because the server stops."""
        self._database.lock_queue(connection)
        self._release_claimed(connection, self._database.read_clock(connection))

    @transaction
    def take_turn(
        self, connection: Connection, fresh: Mapping[str, NewJob], free: int, short_s: float | None = None
    ) -> Turn:
        """Enqueue `fresh` jobs by run id; claim a run per free worker, and one more that takes at most `short_s` s."""
        now = self._database.read_clock(connection)
        if fresh or free or short_s is not None:
            self._database.lock_queue(connection)
        put = put_jobs(connection, fresh, now)
        board = read_board(connection, now)
        chosen = board.waiting[:free]
        if short_s is not None:
            chosen += board.find_short(short_s, behind=free)
        claimed = self._claim_runs(connection, chosen, now) if chosen else []
        if put or claimed:
            self._database.notify(connection, "queue")
        return Turn(read_board(connection, now) if claimed else board, put, claimed)

    @transaction
    def requeue(self, connection: Connection, claim: RunClaim, client: str, seconds: float) -> bool:
        """Requeue a run whose worker was lost, or end it if a stop was requested."""
        self._database.lock_queue(connection)
        require_claim(connection, claim)
        now = self._database.read_clock(connection)
        charge(connection, client, seconds, now)
        waits = release_run(connection, claim.run_id, now, "worker lost")
        self._notify_released(connection, [claim.run_id])
        return waits

    @transaction
    def want(self, connection: Connection, run_id: str) -> bool:
        """Record a request of a client that does not own the run."""
        values = {"wanted_at": self._database.read_clock(connection)}
        mine = (runs.c.id == run_id, runs.c.status.in_(LIVE), runs.c.is_cancel_asked.is_(False))
        return connection.execute(update(runs).where(*mine).values(values)).rowcount > 0

    @transaction
    def request_cancel(self, connection: Connection, run_id: str, is_forced: bool = False) -> Answer:
        """Cancel a waiting run; request the stop of a running one.

        A run that another client has requested recently is left unchanged, unless the cancel is forced. The same
        transaction checks this, so that a run is not cancelled just after it was promised to another client.
        """
        of_owner = select(live_traces.c.run_id).where(live_traces.c.run_id == run_id)
        self._database.lock_queue(connection)
        columns = (runs.c.status, runs.c.frames, runs.c.wanted_at)
        query = select(*columns).where(runs.c.id == run_id, runs.c.id.not_in(of_owner))
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None or row.status not in LIVE:
            return "over"
        now = self._database.read_clock(connection)
        if not is_forced and row.wanted_at is not None and now - row.wanted_at < WANTED_S:
            return "wanted"
        if row.status == "queued":
            end_run(connection, run_id, row.frames, "cancelled", None, now)
            self._notify_released(connection, [run_id])
        else:
            connection.execute(update(runs).where(runs.c.id == run_id).values(is_cancel_asked=True))
            self._database.notify(connection, "cancel", run_id)
        return "stops"

    @transaction
    def check(self, connection: Connection, claims: Collection[RunClaim]) -> CheckReport:
        """Requeue running runs that have no valid claim; write nothing if there are none."""
        self._database.lock_queue(connection)
        return self._check(connection, claims, self._database.read_clock(connection))

    async def count_watchers(self, run_id: str, excluded_viewer: str) -> int:
        """Return the number of event streams on a run at other servers: 0, because there are none."""
        return 0

    @reading
    def count_stuck(self, connection: Connection, max_run_s: float) -> int:
        """Return the number of runs that have been running for longer than the deadline."""
        begun_at = self._database.read_clock(connection) - max_run_s - STUCK_S
        query = select(func.count()).select_from(runs).where(IS_COMPUTED, runs.c.started_at < begun_at)
        return int(connection.execute(query).scalar_one())

    # ---- helpers

    def _check(self, connection: Connection, claims: Collection[RunClaim], now: float) -> CheckReport:
        """Release runs without a valid claim; return lost claims, runs with a requested stop, and released runs."""
        rows = {row.id: row for row in self._read_claimed(connection)}
        current = {claim.run_id for claim in claims if claim.run_id in rows and rows[claim.run_id].fence == claim.fence}
        freed = [run_id for run_id in rows if run_id not in current]
        if freed:
            release_lost(connection, freed, now)
            self._notify_released(connection, freed)
        gone = [claim.run_id for claim in claims if claim.run_id not in current]
        return CheckReport(gone, [run_id for run_id in current if rows[run_id].is_cancel_asked], freed)

    def _release_claimed(self, connection: Connection, now: float) -> None:
        """Requeue all running runs."""
        released = [row.id for row in self._read_claimed(connection)]
        for run_id in released:
            release_run(connection, run_id, now, "server stopped")
        self._notify_released(connection, released)

    def _read_claimed(self, connection: Connection) -> list[Row[Any]]:
        """Return the rows of all running runs that workers compute."""
        columns = (runs.c.id, runs.c.fence, runs.c.leased_until, runs.c.is_cancel_asked)
        return list(connection.execute(select(*columns).where(IS_COMPUTED)))

    def _claim_runs(self, connection: Connection, run_ids: Collection[str], now: float) -> list[StoredRun]:
        """Mark these runs as running in this process, and return them."""
        connection.execute(update(runs).where(runs.c.id.in_(run_ids)).values(self._to_claimed(now)))
        found = {row.id: to_run(row) for row in connection.execute(select(runs).where(runs.c.id.in_(run_ids)))}
        return [found[run_id] for run_id in run_ids]

    def _to_claimed(self, now: float) -> dict[str, Any]:
        """Return the columns of a run that is claimed now."""
        counts = {"fence": runs.c.fence + 1, "attempts": runs.c.attempts + 1}
        return {"status": "running", "started_at": now, "is_cancel_asked": False, **counts}

    def _notify_released(self, connection: Connection, run_ids: Collection[str]) -> None:
        """Notify the viewers of released runs, and notify servers that the queue has changed."""
        for run_id in run_ids:
            self._database.notify(connection, "log", run_id)
        self._database.notify(connection, "queue")
