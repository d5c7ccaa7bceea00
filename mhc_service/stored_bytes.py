"""Count what clients keep in the store, in bytes."""

from sqlalchemy import Connection, func, or_, select

from mhc_scope.store.database import Database, reading
from mhc_scope.store.runs import IS_TRACE
from mhc_scope.store.tables import runs, snapshots


class StoredBytes:
    """Sum the bytes of rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def sum_stored(self, connection: Connection, client: str, address: str) -> tuple[int, int]:
        """Return the bytes that a client keeps, and all clients of an address: traces, runs of views, and the views.

        Other runs are deleted when no one uses them, and belong to no one.
        """
        is_kept = or_(runs.c.pinned, IS_TRACE)
        sums = []
        for name, value in (("client", client), ("address", address)):
            of_runs = select(func.sum(runs.c.bytes)).where(runs.c[name] == value, is_kept)
            of_views = select(func.sum(snapshots.c.bytes)).where(snapshots.c[name] == value)
            sums.append(sum(int(connection.execute(query).scalar() or 0) for query in (of_runs, of_views)))
        return sums[0], sums[1]
