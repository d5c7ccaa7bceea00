"""Test whether the database can be written."""

from sqlalchemy import Connection, delete, insert, or_

from mhc_scope.store.database import Database
from mhc_scope.store.tables import probes

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
