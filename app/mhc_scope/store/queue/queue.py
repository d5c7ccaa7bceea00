"""Operate the queue of all servers, one transaction per call: enqueue, claim and return runs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select, update

from mhc_scope.store.database import Database
from mhc_scope.store.queue import reconcile, servers
from mhc_scope.store.queue.board import LIVE, QueueState, read_board
from mhc_scope.store.queue.dialect import lock_queue, notify, read_clock
from mhc_scope.store.queue.ends import end_run, release_run
from mhc_scope.store.queue.lease_watch import LeaseWatch
from mhc_scope.store.queue.leases import Lease, require_lease, to_lease_duration_s
from mhc_scope.store.queue.reconcile import HeartbeatReport, Leases
from mhc_scope.store.queue.servers import Watched
from mhc_scope.store.queue.usage import charge, forget_old
from mhc_scope.store.runs import NewJob, StoredRun, put_jobs, to_run
from mhc_scope.store.tables import live_traces, runs

Answer = Literal["stops", "wanted", "over"]
# A client that requested a run opens an event stream on it within this time, if ever: from then on it is watched.
WANTED_S = 30.0


@dataclass(frozen=True)
class Turn:
    """The queue after a turn: which runs were enqueued, and which this server has claimed."""

    board: QueueState
    put: frozenset[str]
    claimed: list[StoredRun]


class Queue:
    """Operate the queue for one server."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database, self._duration_s = database, to_lease_duration_s(lease_s)
        self.server, self.is_shared = database.server, database.is_shared
        self._leases: Leases = LeaseWatch(self._duration_s)
        self._servers: LeaseWatch[str] = LeaseWatch(self._duration_s)

    async def take_turn(self, fresh: Mapping[str, NewJob], free: int, short_s: float | None = None) -> Turn:
        """Enqueue jobs, unless another server just did, and claim as many runs as workers are free.

        Of the runs after them, `short_s` claims one more that is predicted to take no longer; it comes last.
        """

        def work(connection: Connection) -> Turn:
            now = read_clock(connection)
            if fresh or free or short_s is not None:
                lock_queue(connection)
            put = put_jobs(connection, fresh, now)
            board = read_board(connection, now)
            chosen = board.waiting[:free]
            if short_s is not None:
                chosen += board.find_short(short_s, behind=free)
            if not chosen:
                _notify_changed(connection, put)
                return Turn(board, put, [])
            claimed = self._claim(connection, chosen, now)
            _notify_changed(connection, put | {run.id for run in claimed})
            return Turn(read_board(connection, now), put, claimed)

        return await self._database.call(work)

    async def requeue(self, lease: Lease, client: str, seconds: float) -> bool:
        """Requeue a run whose worker was lost; return False where a stop was requested, and the run is cancelled now.

        Raises
        ------
        LeaseLost
            Where another server has the lease now.
        """

        def work(connection: Connection) -> bool:
            lock_queue(connection)
            require_lease(connection, lease)
            now = read_clock(connection)
            charge(connection, client, seconds, now)
            waits = release_run(connection, lease.run_id, now, "worker lost")
            notify(connection, "queue")
            return waits

        return await self._database.call(work)

    async def want(self, run_id: str) -> bool:
        """Record a request of a client that does not own the run; return False where it is over, or being stopped."""

        def work(connection: Connection) -> bool:
            values = {"wanted_at": read_clock(connection)}
            mine = (runs.c.id == run_id, runs.c.status.in_(LIVE), runs.c.is_cancel_asked.is_(False))
            return connection.execute(update(runs).where(*mine).values(values)).rowcount > 0

        return await self._database.call(work)

    async def request_cancel(self, run_id: str, is_forced: bool = False) -> Answer:
        """End a run that waits; for a running one, request a stop from its server.

        One transaction also checks who wants it: else a client that was just promised the run would see it cancelled. A
        wanted run is left unchanged, unless the cancel is forced.
        """
        of_owner = select(live_traces.c.run_id).where(live_traces.c.run_id == run_id)

        def work(connection: Connection) -> Answer:
            lock_queue(connection)
            columns = (runs.c.status, runs.c.frames, runs.c.wanted_at)
            query = select(*columns).where(runs.c.id == run_id, runs.c.id.not_in(of_owner))
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None or row.status not in LIVE:
                return "over"
            now = read_clock(connection)
            if not is_forced and row.wanted_at is not None and now - row.wanted_at < WANTED_S:
                return "wanted"
            if row.status == "queued":
                end_run(connection, run_id, row.frames, "cancelled", None, now)
                notify(connection, "queue")
            else:
                connection.execute(update(runs).where(runs.c.id == run_id).values(is_cancel_asked=True))
                notify(connection, "cancel", run_id)
            return "stops"

        return await self._database.call(work)

    async def heartbeat(self, leased: Collection[tuple[str, int]]) -> HeartbeatReport:
        """Renew this server's row and the leases of these runs, run and fence; free what no server computes."""

        def work(connection: Connection) -> HeartbeatReport:
            lock_queue(connection)  # two servers may each believe that the other is dead
            now = read_clock(connection)
            if self.is_shared:
                self._note_alive(connection, now)
            leases = self._leases if self.is_shared else None
            return reconcile.heartbeat(connection, self.server, leased, now, self._duration_s, leases)

        return await self._database.call(work)

    async def join(self) -> None:
        """Register this server, which has started."""

        def work(connection: Connection) -> None:
            lock_queue(connection)
            now = read_clock(connection)
            forget_old(connection, now)
            self._note_alive(connection, now)

        await self._database.call(work)

    async def leave(self) -> None:
        """Return the running runs to the queue: this server stops."""
        await self._database.call(lambda connection: servers.leave(connection, self.server))

    async def read_progress(self, run_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Return status and frames of runs: viewers have not seen what has changed since."""
        query = select(runs.c.id, runs.c.status, runs.c.frames).where(runs.c.id.in_(list(run_ids)))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {row.id: (row.status, row.frames) for row in rows}

    async def put_watchers(self, watched: Watched) -> None:
        """Publish to other servers who watches which run here."""

        def work(connection: Connection) -> None:
            lock_queue(connection)
            self._note_alive(connection, read_clock(connection))
            servers.put_watchers(connection, self.server, watched)

        await self._database.call(work)

    async def count_watchers(self, run_id: str, exclude: str) -> int:
        """Return how many event streams are open on a run at other servers."""
        return await self._database.read(
            lambda connection: servers.count_watchers(connection, run_id, self.server, exclude)
        )

    def _note_alive(self, connection: Connection, now: float) -> None:
        servers.note_alive(connection, self.server, now, self._duration_s, self._servers)

    def _claim(self, connection: Connection, run_ids: Collection[str], now: float) -> list[StoredRun]:
        values = {
            "status": "running",
            "server": self.server,
            "leased_until": now + self._duration_s,
            "fence": runs.c.fence + 1,
            "attempts": runs.c.attempts + 1,
            "started_at": now,
            "is_cancel_asked": False,
        }
        connection.execute(update(runs).where(runs.c.id.in_(run_ids)).values(values))
        found = {row.id: to_run(row) for row in connection.execute(select(runs).where(runs.c.id.in_(run_ids)))}
        return [found[run_id] for run_id in run_ids]


def _notify_changed(connection: Connection, changed: Collection[str]) -> None:
    if changed:
        notify(connection, "queue")
