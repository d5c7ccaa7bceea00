"""Limit the number of open event streams."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mhc_scope.services.errors import ServerStreamLimitError
from mhc_scope.services.identity import ClientIdentity


class StreamLimit:
    """Counts and limits the open event streams of the server."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0

    def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse one more event stream of a client if a limit is reached.

        Raises
        ------
        ServerStreamLimitError
            If the limit of the server is reached.
        """
        if self.open >= self.most:
            raise ServerStreamLimitError(f"{self.open} event streams are open; {self.most} are allowed.")

    @contextmanager
    def take(self, client: ClientIdentity) -> Iterator[None]:
        """Count one more event stream of a client until the context ends."""
        self.require_capacity(client)
        self._count(client, 1)
        try:
            yield
        finally:
            self._count(client, -1)

    def _count(self, client: ClientIdentity, change: int) -> None:
        """Change the number of open event streams of a client."""
        self.open += change


class StreamPlace:
    """Counts and limits event streams of one client, for a route."""

    def __init__(self, streams: StreamLimit, client: ClientIdentity) -> None:
        self._streams, self._client = streams, client

    def require_capacity(self) -> None:
        """Refuse one more event stream of the client: see `StreamLimit.require_capacity`."""
        self._streams.require_capacity(self._client)

    def take(self) -> AbstractContextManager[None]:
        """Count one more event stream of the client: see `StreamLimit.take`."""
        return self._streams.take(self._client)
