"""The queue of several servers. Each server leases the runs that it computes, and takes over runs of lost servers."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from mhc_scope.store.claims import RunClaim
from mhc_scope.store.database import reading, transaction
from mhc_scope.store.local_queue import IS_COMPUTED, STOP_S, STUCK_S, LocalQueue
from mhc_scope.store.notifications import Hub
from mhc_scope.store.queue_contract import CheckReport, Member
from mhc_scope.store.run_ends import release_lost
from mhc_scope.store.tables import runs
from mhc_scope.store.usage import forget_old
from mhc_service.queue import servers
from mhc_service.queue.lease_watch import LeaseWatch
from mhc_service.queue.leases import RENEW_AT, to_heartbeat_s, to_lease_duration_s
from mhc_service.queue.peers import Peers
from mhc_service.queue.postgresql import PostgreSQLDatabase
from mhc_service.queue.servers import Watched


class SharedQueue(LocalQueue):
    """The queue as seen by one of several servers.

    Parameters
    ----------
    lease_s: time within which other servers take over the runs of a lost server.
    hub: the viewers on this server, which are reported to other servers.
    """

    def __init__(self, database: PostgreSQLDatabase, lease_s: float, hub: Hub) -> None:
        super().__init__(database)
        self._shared, self._hub = database, hub
        self._duration_s = to_lease_duration_s(lease_s)
        # Longest time until a run has stopped: its server stops it on request, or its lease ends.
        self.check_s, self.stop_s = to_heartbeat_s(lease_s), lease_s + STOP_S
        self._leases: LeaseWatch[tuple[str, int]] = LeaseWatch(self._duration_s)
        self._servers: LeaseWatch[str] = LeaseWatch(self._duration_s)
        self._peers: Peers | None = None

    async def join(self, member: Member) -> None:
        """Register this server, and start to exchange notifications with others."""
        await self._register()
        self._peers = Peers(self._shared, member, self._hub, self.read_progress, self.put_watchers)
        self._peers.start()

    async def leave(self) -> None:
        """Put the runs that this server computes back into the queue, and remove the server's row."""
        await self.disconnect()
        await self._remove()

    async def disconnect(self) -> None:
        """Stop exchanging notifications with other servers."""
        if self._peers is not None:
            await self._peers.stop()

    async def read_progress(self, run_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Return status and number of frames of runs, to wake viewers here of runs that other servers compute."""
        query = select(runs.c.id, runs.c.status, runs.c.frames).where(runs.c.id.in_(list(run_ids)))
        rows = await self._shared.read(lambda connection: connection.execute(query).all())
        return {row.id: (row.status, row.frames) for row in rows}

    @transaction
    def put_watchers(self, connection: Connection, watched: Watched) -> None:
        """Store for other servers which viewers watch which run on this server."""
        self._shared.lock_queue(connection)
        self._note_alive(connection, self._shared.read_clock(connection))
        servers.put_watchers(connection, self._shared.server, watched)

    @reading
    def count_watchers(self, connection: Connection, run_id: str, excluded_viewer: str) -> int:
        """Return the number of event streams of other viewers that are open for a run on other servers."""
        return servers.count_watchers(connection, run_id, self._shared.server, excluded_viewer)

    @reading
    def count_stuck(self, connection: Connection, max_run_s: float) -> int:
        """Return the number of running runs whose lease ended long ago, or that have no lease and run too long."""
        lapsed_at = self._shared.read_clock(connection) - STUCK_S
        is_bare = and_(runs.c.leased_until.is_(None), runs.c.started_at < lapsed_at - max_run_s)
        query = select(func.count()).select_from(runs).where(IS_COMPUTED)
        return int(connection.execute(query.where(or_(runs.c.leased_until < lapsed_at, is_bare))).scalar_one())

    # ---- helpers

    @transaction
    def _register(self, connection: Connection) -> None:
        """Insert this server's row, and delete old records of clients' use."""
        self._shared.lock_queue(connection)
        now = self._shared.read_clock(connection)
        forget_old(connection, now)
        self._note_alive(connection, now)

    @transaction
    def _remove(self, connection: Connection) -> None:
        """Put this server's runs back into the queue, and remove its row."""
        self._shared.lock_queue(connection)
        self._release_claimed(connection, self._shared.read_clock(connection))
        servers.remove(connection, self._shared.server)

    def _check(self, connection: Connection, claims: Collection[RunClaim], now: float) -> CheckReport:
        """Renew this server's row and the leases of its claims, and put runs of lost servers back into the queue."""
        self._note_alive(connection, now)
        found = super()._check(connection, claims, now)
        self._renew_leases(connection, {claim.run_id for claim in claims} - set(found.gone), now)
        lost = self._find_lost(connection, now)
        if lost:
            release_lost(connection, lost, now)
            self._notify_released(connection, lost)
        return CheckReport(found.gone, found.to_cancel, [*found.freed, *lost])

    def _renew_leases(self, connection: Connection, run_ids: Collection[str], now: float) -> None:
        """Extend the leases of these runs if they are due, and shorten those that end later than a new lease would."""
        rows = [row for row in self._read_claimed(connection) if row.id in run_ids]
        # A lease that ends later than a new one was written before the clock was set back.
        least, most = now + RENEW_AT * self._duration_s, now + self._duration_s
        if old := [row.id for row in rows if not least <= row.leased_until <= most]:
            connection.execute(update(runs).where(runs.c.id.in_(old)).values(leased_until=most))

    def _find_lost(self, connection: Connection, now: float) -> list[str]:
        """Return the running runs that have no server, and those of other servers whose lease was not renewed."""
        is_theirs = or_(runs.c.server.is_(None), runs.c.server != self._shared.server)
        columns = (runs.c.id, runs.c.fence, runs.c.leased_until, runs.c.server)
        rows = connection.execute(select(*columns).where(IS_COMPUTED, is_theirs)).all()
        leased = {(row.id, row.fence): row.leased_until for row in rows if row.leased_until is not None}
        bare = [row.id for row in rows if row.server is None]
        return bare + [run_id for run_id, _ in self._leases.find(leased, now) if run_id not in bare]

    def _read_claimed(self, connection: Connection) -> list[Row[Any]]:
        """Return the rows of the runs that this server computes."""
        columns = (runs.c.id, runs.c.fence, runs.c.leased_until, runs.c.is_cancel_asked)
        return list(connection.execute(select(*columns).where(IS_COMPUTED, runs.c.server == self._shared.server)))

    def _to_claimed(self, now: float) -> dict[str, Any]:
        """Return the columns of a run that this server claims now, with its lease."""
        lease = {"server": self._shared.server, "leased_until": now + self._duration_s}
        return super()._to_claimed(now) | lease

    def _note_alive(self, connection: Connection, now: float) -> None:
        servers.note_alive(connection, self._shared.server, now, self._duration_s, self._servers)
