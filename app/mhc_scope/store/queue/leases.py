"""Lease a run: one server may write it, until the lease ends or another server takes over."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from mhc_scope.store.tables import runs

MAX_ATTEMPTS = 2  # a run whose worker is lost is retried once
# A lost server loses all its runs, most of which are not the cause, so these losses are counted separately from
# attempts. One of these runs may still be what kills the server, and must not do so forever.
MAX_SERVER_LOSSES = 10
MAX_HEARTBEAT_S, HEARTBEATS = 1.0, 8  # at least so many heartbeats in `lease_s`
SPARE_HEARTBEATS = 2  # the others check once a heartbeat, and one of them claims the run within another


def to_heartbeat_s(lease_s: float) -> float:
    """Return the seconds between two heartbeats of a server, which renews its leases and checks those of others."""
    return min(MAX_HEARTBEAT_S, lease_s / HEARTBEATS)


def to_lease_duration_s(lease_s: float) -> float:
    """Return how long a lease lasts, so that another server takes over the run within `lease_s`."""
    return lease_s - SPARE_HEARTBEATS * to_heartbeat_s(lease_s)


@dataclass(frozen=True)
class Lease:
    """The right to write a run, sent with every frame. `fence` grows with each lease, which identifies an old one."""

    run_id: str
    server: str
    fence: int


class LeaseLost(Exception):
    """The run is leased to another server, or no longer running: nothing of it may be written here."""


class TornLog(Exception):
    """A restarted run produced other frames than those that are stored."""


def require_lease(connection: Connection, lease: Lease, *, is_live: bool = False) -> Row[Any, Any, Any, Any]:
    """Lock the row of a run until the transaction ends; return its frames and status.

    Raises
    ------
    LeaseLost
        Where another server has the lease, or with `is_live`, where the run has ended.
    """
    query = select(runs.c.frames, runs.c.status, runs.c.server, runs.c.fence).where(runs.c.id == lease.run_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    is_mine = row is not None and (row.server, row.fence) == (lease.server, lease.fence)
    if row is None or not is_mine or (is_live and row.status != "running"):
        raise LeaseLost(f"run {lease.run_id} is no longer leased to this server")
    return row
