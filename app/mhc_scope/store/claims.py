"""Claim a run: only its last claim may write it, until it ends or is queued again."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from mhc_scope.store.tables import runs

MAX_ATTEMPTS = 2  # a run whose worker is lost is retried once
# A lost server loses all its runs, although at most one of them killed it. These losses are therefore counted apart
# from attempts, and limited too, because a run that kills servers must not be retried forever.
MAX_SERVER_LOSSES = 10


@dataclass(frozen=True)
class RunClaim:
    """The right to write a run, sent with every frame. `fence` grows with each claim, which identifies an old one."""

    run_id: str
    fence: int


class ClaimLost(Exception):
    """The run was claimed again or queued again, or is no longer running: nothing of it may be written here."""


class TornLog(Exception):
    """A restarted run produced other frames than those that are stored."""


def require_claim(connection: Connection, claim: RunClaim, *, is_live: bool = False) -> Row[Any, Any, Any]:
    """Lock the row of a run until the transaction ends; return its frames and status; raise if the claim is lost.

    Raises
    ------
    ClaimLost
        If a later claim exists, or with `is_live`, if the run has ended.
    """
    query = select(runs.c.frames, runs.c.status, runs.c.fence).where(runs.c.id == claim.run_id)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or row.fence != claim.fence or (is_live and row.status != "running"):
        raise ClaimLost(f"run {claim.run_id} is no longer computed by this claim")
    return row
