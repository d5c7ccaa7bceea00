"""Track connections without a complete request, and choose one to close if descriptors run out.

Closing such a connection loses no response.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mhc_scope.edge.protocol import EdgeProtocol


class WaitingConnections:
    """Waiting connections, grouped by address, those that wait longest first.

    Each connection of a proxy is a separate group, because it may serve another client.
    """

    def __init__(self) -> None:
        self._since: dict[EdgeProtocol, float] = {}
        self._together: dict[object, dict[EdgeProtocol, None]] = {}

    def __contains__(self, protocol: "EdgeProtocol") -> bool:
        """Return whether a connection waits for a complete request."""
        return protocol in self._since

    def begin(self, protocol: "EdgeProtocol", now: float) -> None:
        """Add a connection that waits for a complete request. If it waited already, it keeps its position."""
        self._since[protocol] = now
        self._together.setdefault(_to_group(protocol), {})[protocol] = None

    def end(self, protocol: "EdgeProtocol") -> None:
        """Remove a connection, because its request is complete or it is closed."""
        if self._since.pop(protocol, None) is None:
            return
        group = _to_group(protocol)
        del self._together[group][protocol]
        if not self._together[group]:
            del self._together[group]

    def since(self, protocol: "EdgeProtocol") -> float | None:
        """Return the time since which a connection waits; None if it does not wait."""
        return self._since.get(protocol)

    def choose(self, newcomer: "EdgeProtocol") -> "EdgeProtocol | None":
        """Return the connection to close for a new one: the one that waits longest, of the address with most of them.

        A client that opens many connections thus closes its own, and not those of others. None if there is none.
        """
        for group in sorted(self._together.values(), key=len, reverse=True):
            for protocol in group:
                if protocol is not newcomer and not protocol.is_sending:
                    return protocol
        return None


def _to_group(protocol: "EdgeProtocol") -> object:
    return protocol if protocol.block is None else protocol.block
