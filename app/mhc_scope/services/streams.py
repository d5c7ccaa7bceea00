"""Limit the number of open event streams."""

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

    def take(self, client: ClientIdentity) -> "StreamTicket":
        """Count one more event stream of a client. Return a ticket, which must be closed at its end."""
        self.require_capacity(client)
        self._count(client, 1)
        return StreamTicket(self, client)

    def release(self, client: ClientIdentity) -> None:
        """Count one event stream of a client less."""
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

    def take(self) -> "StreamTicket":
        """Count one more event stream of the client: see `StreamLimit.take`."""
        return self._streams.take(self._client)


class StreamTicket:
    """One counted event stream."""

    def __init__(self, streams: StreamLimit, client: ClientIdentity) -> None:
        self._streams, self._client, self._is_taken = streams, client, True

    def close(self) -> None:
        """Stop counting the event stream, because it has ended. A second call has no effect."""
        if self._is_taken:
            self._is_taken = False
            self._streams.release(self._client)
