"""Test whether the database can be written, and count runs that no server seems to compute."""

from sqlalchemy import Connection, delete, func, insert, or_, select

from mhc_scope.store.database import Database
from mhc_scope.store.queue.dialect import read_clock
from mhc_scope.store.tables import live_traces, probes, runs

KEPT_S = 86_400.0  # rows of servers that have stopped


async def write_probe(database: Database, server: str, now: float) -> None:
    """Write a row, as any request may have to.

    Raises
    ------
    StoreUnavailable
        Where it cannot be written; the text says why.
    """

    def work(connection: Connection) -> None:
        connection.execute(delete(probes).where(or_(probes.c.server == server, probes.c.at < now - KEPT_S)))
        connection.execute(insert(probes).values(server=server, at=now))

    await database.call(work)


async def count_stuck(database: Database, lapsed_s: float, begun_s: float) -> int:
    """Count running runs whose lease ended `lapsed_s` ago, or that have none and began `begun_s` ago.

    Live traces, which a client writes, have no lease.
    """
    is_live_trace = runs.c.id.in_(select(live_traces.c.run_id))
    running = select(func.count()).select_from(runs).where(runs.c.status == "running", ~is_live_trace)

    def work(connection: Connection) -> int:
        now = read_clock(connection)
        is_bare = runs.c.leased_until.is_(None) & (runs.c.started_at < now - begun_s)
        is_alone = or_(runs.c.leased_until < now - lapsed_s, is_bare)
        return int(connection.execute(running.where(is_alone)).scalar_one())

    return await database.call(work)
