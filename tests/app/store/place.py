"""Where tests have their store: on SQLite for one process. Tests of the service run the same cases elsewhere."""

from pathlib import Path
from typing import Protocol

from mhc_scope.store.database import Database
from mhc_scope.store.notifications import Hub
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.store import Store, build_local


class Place(Protocol):
    """An empty database of a test's own."""

    url: str

    def open(self) -> Database:
        """Open it, as a server that starts does."""

    def build_store(self, database: Database, hub: Hub) -> Store:
        """Return what a server stores in."""

    async def disconnect(self, store: Store) -> None:
        """Cut a server off from others: it has died."""


class LocalPlace:
    """A file of SQLite."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'test.db'}"

    def open(self) -> Database:
        """Open it, as a server that starts does."""
        return SqliteDatabase(self.url)

    def build_store(self, database: Database, hub: Hub) -> Store:
        """Return what a server stores in."""
        return build_local(database, hub)

    async def disconnect(self, store: Store) -> None:
        """Do nothing: there are no others."""


class QuietMember:
    """A server of which a queue may require what it likes."""

    def wake(self) -> None: ...

    def check_soon(self) -> None: ...

    def computes(self, run_id: str) -> bool:
        """Compute nothing."""
        return False
