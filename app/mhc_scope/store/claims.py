"""Claim a run. Only the holder of the latest claim may write the run, until the run ends or is requeued."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from mhc_scope.store.tables import runs

MAX_ATTEMPTS = 2  # a run is retried once after its worker was lost
# With a server, all its runs are lost, but at most one of them has caused it. Such losses are counted separately from
# attempts. They are limited as well, because a run that crashes servers must not be retried forever.
MAX_SERVER_LOSSES = 10


@dataclass(frozen=True)
class RunClaim:
    """The right to write a run, sent with every frame. `fence` grows with each claim, so that old ones are refused."""

    run_id: str
    fence: int


class ClaimLost(Exception):
    """The run was claimed again or requeued, or is not running any more: this claim may not write it."""


class TornLog(Exception):
    """A restarted run produced frames that differ from the stored ones."""


def require_claim(connection: Connection, claim: RunClaim, *, is_live: bool = False) -> Row[Any, Any, Any]:
    """Lock the row of a run until the transaction ends; return its frame count, status and fence.

    Raises
    ------
    ClaimLost
        If the claim is not the latest, or with `is_live`, if the run is not running.
    """
    query = select(runs.c.frames, runs.c.status, runs.c.fence).where(runs.c.id == claim.run_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or row.fence != claim.fence or (is_live and row.status != "running"):
        raise ClaimLost(f"run {claim.run_id} is no longer computed by this claim")
    return row
