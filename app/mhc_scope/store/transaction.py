"""Open the database for one transaction in another process than the server, which may be running."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from mhc_scope.store.database import Database
from mhc_scope.store.errors import DataInUse, UnusableDatabase
from mhc_scope.store.schema import is_current, use
from mhc_scope.store.sqlite_database import SqliteDatabase

WAIT_S = 20  # longest wait for a transaction of the server


@contextmanager
def open_transaction(url: str, open_database: Callable[[str], Database] = SqliteDatabase) -> Iterator[Connection]:
    """Open one transaction. If the tables are not current, `open_database` first creates or migrates them.

    The lock of the folder is not needed for a short transaction, because SQLite has its own locks.

    Raises
    ------
    UnusableDatabase
        If a server of another version uses it, it belongs to another program, or the transaction fails.
    """
    _prepare(url, open_database)
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT_S} if is_sqlite else {})
    if is_sqlite:
        event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA foreign_keys=ON"))
    with use(engine, "refused"), engine.begin() as connection:
        yield connection


def _prepare(url: str, open_database: Callable[[str], Database]) -> None:
    """Create or migrate the tables if they are not current; raise UnusableDatabase if a server uses them."""
    if is_current(url):
        return
    try:
        asyncio.run(open_database(url).close())
    except DataInUse as error:
        folder = Path(make_url(url).database or "").parent
        detail = f"a server of another version uses the data folder {folder}: stop it, or use its own version"
        raise UnusableDatabase(detail) from error
