"""End runs, or requeue those whose worker or server was lost. Callers notify other servers."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from mhc_core.record import codec
from mhc_core.record.summary import EndStatus
from mhc_scope.store.claims import MAX_SERVER_LOSSES
from mhc_scope.store.frames import append_lines
from mhc_scope.store.tables import runs

LOST = "the server that computed it was lost {} times"
FREE = {"server": None, "leased_until": None, "fence": runs.c.fence + 1}


def end_run(
    connection: Connection, run_id: str, index: int, status: EndStatus, reason: str | None, now: float
) -> bytes:
    """Close the log of a run after `index` frames with an `end` frame; return that frame, encoded."""
    plain = None if reason is None else reason.replace("\0", "\\0")  # PostgreSQL text cannot contain it
    line = codec.encode_end(run_id, index, status, plain)
    append_lines(connection, run_id, index, [line])
    values = {"status": status, "reason": plain, "finished_at": now, "leased_until": None}
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))
    return line


# Causes for which a run is requeued, and the columns that count them. A stopped server is not counted.
Cause = Literal["worker lost", "server lost", "server stopped"]
COUNTS: Mapping[Cause, dict[str, Any]] = {
    "worker lost": {},  # the attempt was counted when it began
    "server lost": {"attempts": runs.c.attempts - 1, "server_losses": runs.c.server_losses + 1},
    "server stopped": {"attempts": runs.c.attempts - 1},
}


def requeue(connection: Connection, run_id: str, cause: Cause) -> None:
    """Put a run back into the queue; its stored frames remain."""
    values = {"status": "queued", "started_at": None, **COUNTS[cause], **FREE}
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))


def release_run(connection: Connection, run_id: str, now: float, cause: Cause) -> bool:
    """Requeue a run without a worker, or cancel it if a stop was requested; return whether it was requeued."""
    query = select(runs.c.frames, runs.c.is_cancel_asked).where(runs.c.id == run_id)
    row = connection.execute(query.with_for_update()).one()
    if not row.is_cancel_asked:
        requeue(connection, run_id, cause)
        return True
    connection.execute(update(runs).where(runs.c.id == run_id).values(FREE))
    end_run(connection, run_id, row.frames, "cancelled", None, now)
    return False


def release_lost(connection: Connection, run_ids: Collection[str], now: float) -> None:
    """Requeue runs whose server was lost; fail those that have lost too many servers."""
    columns = (runs.c.id, runs.c.frames, runs.c.server_losses, runs.c.is_cancel_asked)
    for row in connection.execute(select(*columns).where(runs.c.id.in_(run_ids)).with_for_update()).all():
        losses = row.server_losses + 1
        if losses >= MAX_SERVER_LOSSES and not row.is_cancel_asked:
            connection.execute(update(runs).where(runs.c.id == row.id).values({**FREE, "server_losses": losses}))
            end_run(connection, row.id, row.frames, "failed", LOST.format(losses), now)
        else:
            release_run(connection, row.id, now, "server lost")
