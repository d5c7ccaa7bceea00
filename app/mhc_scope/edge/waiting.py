"""Track connections without a whole request, and choose one to close if descriptors run out: no answer is lost."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mhc_scope.edge.protocol import EdgeProtocol


class WaitingConnections:
    """Keep waiting connections by address, the longest waiting first.

    Each connection of a proxy is its own group, as it may carry another client.
    """

    def __init__(self) -> None:
        self._since: dict[EdgeProtocol, float] = {}
        self._together: dict[object, dict[EdgeProtocol, None]] = {}

    def __contains__(self, protocol: "EdgeProtocol") -> bool:
        """Return whether a connection waits for a whole request."""
        return protocol in self._since

    def begin(self, protocol: "EdgeProtocol", now: float) -> None:
        """Add a connection that waits for a whole request; one that waited before keeps its place."""
        self._since[protocol] = now
        self._together.setdefault(_to_group(protocol), {})[protocol] = None

    def end(self, protocol: "EdgeProtocol") -> None:
        """Remove a connection from those that wait for a whole request."""
        if self._since.pop(protocol, None) is None:
            return
        group = _to_group(protocol)
        del self._together[group][protocol]
        if not self._together[group]:
            del self._together[group]

    def since(self, protocol: "EdgeProtocol") -> float | None:
        """Return since when a connection waits; None if it does not wait."""
        return self._since.get(protocol)

    def choose(self, newcomer: "EdgeProtocol") -> "EdgeProtocol | None":
        """Return the connection to close for a new one: the longest waiting of the address that has most, or None.

        A client that opens many thus closes its own, and other clients' connections are safe between two requests.
        """
        for group in sorted(self._together.values(), key=len, reverse=True):
            for protocol in group:
                if protocol is not newcomer and not protocol.is_sending:
                    return protocol
        return None


def _to_group(protocol: "EdgeProtocol") -> object:
    return protocol if protocol.block is None else protocol.block
