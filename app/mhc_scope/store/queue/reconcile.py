"""Renew leases and find lost ones, so that no run stays running without a process that computes it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, true, update

from mhc_scope.store.queue.dialect import notify
from mhc_scope.store.queue.ends import FREE, end_run, release_run
from mhc_scope.store.queue.lease_watch import LeaseWatch
from mhc_scope.store.queue.leases import MAX_SERVER_LOSSES
from mhc_scope.store.tables import live_traces, runs

RENEW_AT = 2 / 3  # of a lease remains when it is renewed
Leases = LeaseWatch[tuple[str, int]]
LOST = "the server that computed it was lost {} times"


@dataclass(frozen=True)
class HeartbeatReport:
    """Report what a heartbeat has found.

    Attributes
    ----------
    gone: runs of this server whose lease another server has now.
    to_cancel: runs of this server with a stop that was requested at another server.
    freed: runs that no server computed, which are queued again or have ended.
    """

    gone: list[str]
    to_cancel: list[str]
    freed: list[str]


def heartbeat(
    connection: Connection,
    server: str,
    leased: Collection[tuple[str, int]],
    now: float,
    duration_s: float,
    watch: Leases | None,
) -> HeartbeatReport:
    """Renew the leases of `leased`, run and fence, and free the runs that no server computes. The queue is locked.

    `watch` is what was observed of other servers' leases; without it no other server is alive.
    """
    mine = {row.id: row for row in connection.execute(_select_leased(server))}
    kept = [run_id for run_id, fence in leased if run_id in mine and mine[run_id].fence == fence]
    # A lease that ends later than possible was given before the clock was set back.
    old = [run_id for run_id in kept if not RENEW_AT * duration_s <= mine[run_id].leased_until - now <= duration_s]
    if old:
        connection.execute(update(runs).where(runs.c.id.in_(old)).values(leased_until=now + duration_s))
    silent = None if watch is None else watch.find(_read_others(connection, server), now)
    freed = _free(connection, _is_lost(server, kept, silent), now)
    gone = [run_id for run_id, _ in leased if run_id not in kept]
    return HeartbeatReport(gone, [run_id for run_id in kept if mine[run_id].is_cancel_asked], freed)


def _select_leased(server: str) -> Any:
    columns = (runs.c.id, runs.c.fence, runs.c.leased_until, runs.c.is_cancel_asked)
    return select(*columns).where(runs.c.status == "running", runs.c.server == server)


def _read_others(connection: Connection, server: str) -> dict[tuple[str, int], float]:
    """Return when other servers' leases end, by run and fence."""
    is_theirs = and_(runs.c.status == "running", runs.c.server != server, runs.c.leased_until.is_not(None))
    query = select(runs.c.id, runs.c.fence, runs.c.leased_until).where(is_theirs)
    return {(row.id, row.fence): row.leased_until for row in connection.execute(query)}


def _is_lost(server: str, kept: Collection[str], silent: Collection[tuple[str, int]] | None) -> ColumnElement[bool]:
    """Select running runs without a job."""
    of_owners = select(live_traces.c.run_id)
    forgotten = and_(runs.c.server == server, runs.c.id.not_in(kept))
    is_silent = true() if silent is None else runs.c.id.in_([run_id for run_id, _ in silent])
    others = and_(runs.c.server != server, is_silent)
    lost = or_(runs.c.server.is_(None), forgotten, others)
    return and_(runs.c.status == "running", runs.c.id.not_in(of_owners), lost)


def _free(connection: Connection, is_lost: ColumnElement[bool], now: float) -> list[str]:
    columns = (runs.c.id, runs.c.frames, runs.c.server_losses, runs.c.is_cancel_asked)
    lost: list[Row[Any]] = list(connection.execute(select(*columns).where(is_lost).with_for_update()))
    for row in lost:
        _free_one(connection, row, now)
    if lost:
        notify(connection, "queue")
    return [row.id for row in lost]


def _free_one(connection: Connection, row: Row[Any], now: float) -> None:
    losses = row.server_losses + 1
    if losses >= MAX_SERVER_LOSSES and not row.is_cancel_asked:
        connection.execute(update(runs).where(runs.c.id == row.id).values({**FREE, "server_losses": losses}))
        end_run(connection, row.id, row.frames, "failed", LOST.format(losses), now)
    else:
        release_run(connection, row.id, now, "server lost")
