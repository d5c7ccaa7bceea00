"""Drops what nothing holds and no one uses."""

from collections.abc import Collection

from sqlalchemy import Connection, case, delete, select

from app.store.database import Database
from app.store.runs import LIVE
from app.store.tables import frames, live_traces, runs
from mhc_core.record.source import TRACE


async def sweep(database: Database, unused_since: float, traces_since: float, spare: Collection[str]) -> int:
    """Drop finished runs that nothing holds and no one has used; returns how many.

    Traces, which no one can compute again, have a time of their own.
    """
    is_trace = runs.c.source["kind"].as_string() == TRACE
    old = runs.c.used_at < case((is_trace, traces_since), else_=unused_since)
    free = ~runs.c.pinned & runs.c.status.not_in(LIVE) & runs.c.id.not_in(spare)

    def work(connection: Connection) -> int:
        doomed = list(connection.execute(select(runs.c.id).where(old, free)).scalars())
        connection.execute(delete(frames).where(frames.c.run_id.in_(doomed)))
        connection.execute(delete(live_traces).where(live_traces.c.run_id.in_(doomed)))
        connection.execute(delete(runs).where(runs.c.id.in_(doomed)))
        return len(doomed)

    return await database.call(work)
