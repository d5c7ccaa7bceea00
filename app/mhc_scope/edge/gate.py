"""Manage all connections of the server: admit them, close waiting ones to make room, and enforce time limits."""

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from mhc_scope.api.proxies import TrustedProxies
from mhc_scope.edge.files import FileAnswers
from mhc_scope.edge.limits import ConnectionLimits, choose_tick_s
from mhc_scope.edge.memory import ConnectionPeak, release_memory
from mhc_scope.edge.waiting import WaitingConnections
from mhc_scope.services.identity import to_block

if TYPE_CHECKING:
    from mhc_scope.edge.protocol import EdgeProtocol

# Number of connections over an address's limit that may still send a request, because it may be a health probe. If
# there are more, the oldest is refused without a request.
MAX_EXCESS = 16
SETTLE_S = 5.0  # time until memory and descriptors of closed connections are released


class Gate:
    """Counts connections, closes those that wait too long, and closes some if file descriptors run out."""

    def __init__(
        self, app: Any, limits: ConnectionLimits, proxies: str, root_path: str, files: FileAnswers | None = None
    ) -> None:
        self.limits, self.root_path, self.files = limits, root_path, files
        self.waiting = WaitingConnections()
        self._proxies = TrustedProxies(app, proxies).trusted_hosts
        self._all: set[EdgeProtocol] = set()
        self._by_address: Counter[str] = Counter()
        self._excess: defaultdict[str, dict[EdgeProtocol, None]] = defaultdict(dict)  # the oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._peak = ConnectionPeak()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start checking the limits of all connections at intervals."""
        self._timer = loop.call_later(choose_tick_s(), self._look, loop)

    def stop(self) -> None:
        """Stop checking the limits of connections."""
        if self._timer is not None:
            self._timer.cancel()

    def admit(self, protocol: "EdgeProtocol", now: float) -> None:
        """Count a new connection. If its address has too many, or no descriptor is left, answer only probes on it."""
        self._all.add(protocol)
        if protocol.address not in self._proxies:
            protocol.block = to_block(protocol.address)
        self.waiting.begin(protocol, now)
        if protocol.block is not None:
            self._count_by_ip(protocol, protocol.block)
        over = len(self._all) - self.limits.capacity
        if over <= 0 or self._free_one(protocol):
            return
        protocol.answer_probes("the server has as many connections as it may have", 503)
        if over > self.limits.probes:
            protocol.close_waiting()

    def _count_by_ip(self, protocol: "EdgeProtocol", block: str) -> None:
        """Count a connection of a block of IP addresses. If the block exceeds its limit, answer only probes on it."""
        self._by_address[block] += 1
        if self._by_address[block] <= self.limits.per_address:
            return
        protocol.answer_probes(f"{block} has {self.limits.per_address} connections, as many as it may have", 429)
        excess = self._excess[block]
        excess[protocol] = None
        if len(excess) > MAX_EXCESS:
            next(one for one in excess if one in self.waiting).close_waiting()  # the new connection if no other waits

    def forget(self, protocol: "EdgeProtocol") -> None:
        """Remove a connection that has ended from the counts."""
        self._all.discard(protocol)
        self.waiting.end(protocol)
        if protocol.block is not None:
            self._excess[protocol.block].pop(protocol, None)
            self._by_address[protocol.block] -= 1
            if self._by_address[protocol.block] <= 0:
                del self._by_address[protocol.block], self._excess[protocol.block]
            protocol.block = None

    def _free_one(self, newcomer: "EdgeProtocol") -> bool:
        """Close a connection without a complete request, to free its descriptor. Return False if there is none."""
        found = self.waiting.choose(newcomer)
        if found is not None:
            found.close_waiting()
        return found is not None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check every connection once, and close those that take too long."""
        try:
            for protocol in list(self._all):
                protocol.keep_time(loop.time())
            if self._peak.has_halved(len(self._all)):
                loop.call_later(SETTLE_S, loop.run_in_executor, None, release_memory)
        finally:
            self.start(loop)
