"""Connections without a whole request, which no answer is lost with: who of them gives way where there is no room."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mhc_scope.edge.protocol import EdgeProtocol


class WaitingConnections:
    """By address, the longest waiting first.

    Each connection of a proxy stands for itself, as others are behind it.
    """

    def __init__(self) -> None:
        self._since: dict[EdgeProtocol, float] = {}
        self._together: dict[object, dict[EdgeProtocol, None]] = {}

    def __contains__(self, protocol: "EdgeProtocol") -> bool:
        """Whether it waits."""
        return protocol in self._since

    def begin(self, protocol: "EdgeProtocol", now: float) -> None:
        """It waits from now on; its place is the one it had, if it waited before."""
        self._since[protocol] = now
        self._together.setdefault(_to_group(protocol), {})[protocol] = None

    def end(self, protocol: "EdgeProtocol") -> None:
        """It waits no more; it may not have waited."""
        if self._since.pop(protocol, None) is None:
            return
        group = _to_group(protocol)
        del self._together[group][protocol]
        if not self._together[group]:
            del self._together[group]

    def since(self, protocol: "EdgeProtocol") -> float | None:
        """When it began; None where it does not wait."""
        return self._since.get(protocol)

    def choose(self, newcomer: "EdgeProtocol") -> "EdgeProtocol | None":
        """Who gives way to a newcomer: the longest waiting of the address that has most. None where there is none.

        So one who opens many gives way to itself, and another's connection is safe between two requests.
        """
        for group in sorted(self._together.values(), key=len, reverse=True):
            for protocol in group:
                if protocol is not newcomer and not protocol.is_sending:
                    return protocol
        return None


def _to_group(protocol: "EdgeProtocol") -> object:
    return protocol if protocol.block is None else protocol.block
