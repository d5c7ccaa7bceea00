"""All connections of the server: who is let in, who gives way, and whose time is over."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from app.api.http.middleware.proxies import TrustedProxies
from app.edge.limits import Limits
from app.services.identity import to_block

if TYPE_CHECKING:
    from app.edge.protocol import EdgeProtocol

# Connections over the limit of an address that are still told so; more are cut off.
TOLD = 16


class Gate:
    """Counts connections, closes those that wait too long, and finds room where descriptors are scarce.

    `waiting` holds the connections without a whole request, the longest waiting first: no answer is lost with them.
    """

    def __init__(self, app: Any, limits: Limits, proxies: str, root_path: str) -> None:
        self.limits, self.root_path = limits, root_path
        self.waiting: dict[EdgeProtocol, float] = {}
        self._proxies = TrustedProxies(app, proxies).trusted_hosts
        self._all: set[EdgeProtocol] = set()
        self._by_address: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at all connections now and then."""
        self._timer = loop.call_later(self.limits.tick_s, self._look, loop)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def admit(self, protocol: "EdgeProtocol", now: float) -> None:
        """A new connection: count it, and refuse it where its address has too many or no descriptor is left."""
        self._all.add(protocol)
        self.waiting[protocol] = now
        if protocol.address not in self._proxies:
            self._count(protocol)
        over = len(self._all) - self.limits.room
        if over <= 0 or self._free_one(protocol):
            return
        if over > self.limits.probes:
            protocol.drop()
        else:
            protocol.answer_probes("the server has as many connections as it may have", 503)

    def _count(self, protocol: "EdgeProtocol") -> None:
        protocol.block = block = to_block(protocol.address)
        self._by_address[block] += 1
        over = self._by_address[block] - self.limits.per_address
        if over > TOLD:
            protocol.drop()
        elif over > 0:
            protocol.answer_probes(f"{block} has {self.limits.per_address} connections, as many as it may have", 429)

    def forget(self, protocol: "EdgeProtocol") -> None:
        """A connection has ended."""
        self._all.discard(protocol)
        self.waiting.pop(protocol, None)
        if protocol.block is not None:
            self._by_address[protocol.block] -= 1
            if self._by_address[protocol.block] <= 0:
                del self._by_address[protocol.block]
            protocol.block = None

    def _free_one(self, newcomer: "EdgeProtocol") -> bool:
        """Close the connection that has waited longest without a whole request; False where there is none."""
        for protocol in self.waiting:
            if protocol is not newcomer and not protocol.is_sending:
                protocol.drop()
                return True
        return False

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for protocol in list(self._all):
                protocol.keep_time(loop.time())
        finally:
            self.start(loop)
