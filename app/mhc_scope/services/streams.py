"""Limit how many event streams may be open."""

from mhc_scope.services.errors import ServerStreamLimitError
from mhc_scope.services.identity import ClientIdentity


class StreamLimit:
    """Count event streams as they are taken, so that two requests never get the same place."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0

    def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse one more event stream of a client that has as many open as it may.

        Raises
        ------
        ServerStreamLimitError
            If the server has as many as it may.
        """
        if self.open >= self.most:
            raise ServerStreamLimitError(f"{self.open} event streams are open; {self.most} are allowed.")

    def take(self, client: ClientIdentity) -> "StreamTicket":
        """Count one more open event stream of a client; return a ticket to close when it has ended."""
        self.require_capacity(client)
        self._count(client, 1)
        return StreamTicket(self, client)

    def release(self, client: ClientIdentity) -> None:
        """Release the place of one event stream."""
        self._count(client, -1)

    def _count(self, client: ClientIdentity, change: int) -> None:
        """Change the number of open event streams."""
        self.open += change


class StreamPlace:
    """Open event streams for one client."""

    def __init__(self, streams: StreamLimit, client: ClientIdentity) -> None:
        self._streams, self._client = streams, client

    def require_capacity(self) -> None:
        """Refuse one more event stream of this client: see `StreamLimit.require_capacity`."""
        self._streams.require_capacity(self._client)

    def take(self) -> "StreamTicket":
        """Count one more open event stream of this client: see `StreamLimit.take`."""
        return self._streams.take(self._client)


class StreamTicket:
    """Reserve the place of one event stream."""

    def __init__(self, streams: StreamLimit, client: ClientIdentity) -> None:
        self._streams, self._client, self._is_taken = streams, client, True

    def close(self) -> None:
        """Release the place, as the event stream has ended. A second call changes nothing."""
        if self._is_taken:
            self._is_taken = False
            self._streams.release(self._client)
