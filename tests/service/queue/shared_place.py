"""Where tests of several servers have their store: a database of PostgreSQL."""

from mhc_scope.store.database import Database
from mhc_scope.store.notifications import Hub
from mhc_scope.store.store import Store
from mhc_service.queue.shared import SharedQueue
from mhc_service.queue.store import build_store, open_database
from mhc_service.settings import ServiceSettings

LEASE_S = 2.0


class SharedPlace:
    """A database of PostgreSQL; its servers have leases of `lease_s`."""

    def __init__(self, url: str, lease_s: float = LEASE_S) -> None:
        self.url, self._settings = url, ServiceSettings(lease_s=lease_s)

    def open(self) -> Database:
        """Open it, as a server that starts does."""
        return open_database(self.url)

    def build_store(self, database: Database, hub: Hub) -> Store:
        """Return what a server stores in."""
        return build_store(self._settings, database, hub)

    async def disconnect(self, store: Store) -> None:
        """Cut a server off from others: it has died."""
        assert isinstance(store.queue, SharedQueue)
        await store.queue.disconnect()
