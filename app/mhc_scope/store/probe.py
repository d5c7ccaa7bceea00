"""Test whether the database can be written."""

from sqlalchemy import Connection, delete, insert, or_

from mhc_scope.store.database import Database
from mhc_scope.store.tables import probes

KEPT_S = 86_400.0  # rows of servers that have stopped


async def write_probe(database: Database, row: str, last: str, now: float) -> None:
    """Write a row into the database to test it, as any request may have to, and delete the row before.

    Each probe has a row of its own: the database may still be busy with the one before, for which nobody waits now.

    Raises
    ------
    StoreUnavailable
        If it cannot be written; the text says why.
    """

    def replace_row(connection: Connection) -> None:
        """Delete the probe's earlier row, and insert the new one."""
        connection.execute(delete(probes).where(or_(probes.c.server == last, probes.c.at < now - KEPT_S)))
        connection.execute(insert(probes).values(server=row, at=now))

    await database.call(replace_row)
