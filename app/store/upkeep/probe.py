"""Whether the database can be written, and runs that no one seems to compute."""

from sqlalchemy import Connection, delete, func, insert, or_, select

from app.store.database import Database
from app.store.tables import live_traces, probes, runs

KEPT_S = 86_400.0  # rows of servers that are gone


async def write_probe(database: Database, server: str, now: float) -> None:
    """Write a row, as any request might have to.

    Raises
    ------
    StoreUnavailable
        Says why it cannot be written.
    """

    def work(connection: Connection) -> None:
        connection.execute(delete(probes).where(or_(probes.c.server == server, probes.c.at < now - KEPT_S)))
        connection.execute(insert(probes).values(server=server, at=now))

    await database.call(work)


async def count_stuck(database: Database, lapsed: float, begun: float) -> int:
    """Runs under way whose lease was over at `lapsed`, or that have none and were begun before `begun`.

    Traces that grow from outside have no lease.
    """
    is_alone = or_(runs.c.leased_until < lapsed, runs.c.leased_until.is_(None) & (runs.c.started_at < begun))
    is_fed = runs.c.id.in_(select(live_traces.c.run_id))
    query = select(func.count()).select_from(runs).where(runs.c.status == "running", is_alone, ~is_fed)
    return await database.call(lambda connection: int(connection.execute(query).scalar_one()))
