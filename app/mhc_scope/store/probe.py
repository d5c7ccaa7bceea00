"""Test whether the database is writable."""

from sqlalchemy import Connection, delete, insert, or_

from mhc_scope.store.database import Database
from mhc_scope.store.tables import probes

KEPT_S = 86_400.0  # time after which rows of stopped servers are deleted


async def write_probe(database: Database, row: str, last: str, now: float) -> None:
    """Write a row into the database to test it, and delete the row of the previous probe.

    Each probe has its own row, because the database may still be busy with a previous probe that has timed out.

    Raises
    ------
    StoreUnavailable
        If the database is not writable; the message states why.
    """

    def replace_row(connection: Connection) -> None:
        """Delete the previous row and old ones, and insert the new one."""
        connection.execute(delete(probes).where(or_(probes.c.server == last, probes.c.at < now - KEPT_S)))
        connection.execute(insert(probes).values(server=row, at=now))

    await database.call(replace_row)
