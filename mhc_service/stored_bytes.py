"""Sum the bytes that clients store, for their quotas."""

from sqlalchemy import Connection, func, or_, select

from mhc_scope.store.database import Database, reading
from mhc_scope.store.runs import IS_TRACE
from mhc_scope.store.tables import runs, snapshots


class StoredBytes:
    """Sums bytes of rows by client and by address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def sum_stored(self, connection: Connection, client: str, address: str) -> tuple[int, int]:
        """Return the bytes that a client stores, and those that all clients of an address store.

        Recordings, snapshots and their runs count. Other runs do not, because they are deleted when they are not used.
        """
        is_kept = or_(runs.c.pinned, IS_TRACE)
        sums = []
        for name, value in (("client", client), ("address", address)):
            of_runs = select(func.sum(runs.c.bytes)).where(runs.c[name] == value, is_kept)
            of_views = select(func.sum(snapshots.c.bytes)).where(snapshots.c[name] == value)
            sums.append(sum(int(connection.execute(query).scalar() or 0) for query in (of_runs, of_views)))
        return sums[0], sums[1]
