"""A lease: the right of one server to write one run, until it runs out or another server takes the run over."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from mhc_scope.store.tables import runs

MAX_ATTEMPTS = 2  # a run whose worker is lost is tried once more
# A lost server takes all its runs with it, most of which did nothing wrong, so that losses of servers are counted apart
# from attempts. Still one of these runs may be what kills the server, and must not do so for ever.
MAX_SERVER_LOSSES = 10
MAX_BEAT_S, BEATS = 1.0, 8  # at least so many heartbeats in `lease_s`
SPARE_BEATS = 2  # the others look once a heartbeat, and one of them claims the run within another


def to_beat_s(lease_s: float) -> float:
    """Seconds between two heartbeats of a server, which renews its leases and looks at those of others."""
    return min(MAX_BEAT_S, lease_s / BEATS)


def to_hold_s(lease_s: float) -> float:
    """Seconds that a lease holds once given or renewed, so that another server has the run within `lease_s`."""
    return lease_s - SPARE_BEATS * to_beat_s(lease_s)


@dataclass(frozen=True)
class Lease:
    """Written with every frame. `fence` grows with each lease of a run, so that an old one is told from a new one."""

    run_id: str
    server: str
    fence: int


class LeaseLost(Exception):
    """The run is another server's now, or no longer under way: nothing of it may be written here."""


class TornLog(Exception):
    """A run that was begun again gave other frames than those that are stored."""


def require_lease(connection: Connection, lease: Lease, *, is_live: bool = False) -> Row[Any, Any, Any, Any]:
    """Frames and status of the run, which no other server changes until the transaction ends.

    Raises
    ------
    LeaseLost
        Where its lease is another's, or with `is_live`, where it has ended.
    """
    query = select(runs.c.frames, runs.c.status, runs.c.server, runs.c.fence).where(runs.c.id == lease.run_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    is_mine = row is not None and (row.server, row.fence) == (lease.server, lease.fence)
    if row is None or not is_mine or (is_live and row.status != "running"):
        raise LeaseLost(f"run {lease.run_id} is no longer leased to this server")
    return row
