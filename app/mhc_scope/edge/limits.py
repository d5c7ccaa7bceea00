"""Limit the time of one connection, and the descriptors of all."""

import os
import resource
from dataclasses import dataclass

from mhc_scope import limits
from mhc_scope.settings import Settings

# Bytes per second, below which a body or an answer counts as stopped. A phone at the edge of a network has more.
MIN_RATE = 500
# Descriptors, where the system sets no limit.
UNLIMITED = 2**20
# Descriptors reserved for files, pipes of workers and the database, in addition to those that are open at the start.
KEPT = 64
# Connections over the limit, which may only ask whether the server is alive.
PROBES = 64


@dataclass(frozen=True)
class ConnectionLimits:
    """Limit the time and the number of connections.

    Attributes
    ----------
    header_s: time until the head of a request is whole.
    body_s: time in which a body must bring `MIN_RATE` bytes a second.
    unread_s: time in which a client must take `MIN_RATE` bytes a second of what waits for it.
    per_address: connections of one address that is no proxy.
    capacity: connections that the descriptors allow.
    probes: connections over that limit, for probes.
    """

    header_s: float
    body_s: float
    unread_s: float
    per_address: int
    capacity: int
    probes: int

    @classmethod
    def build(cls, settings: Settings) -> "ConnectionLimits":
        """Return the limits of connections, for these settings and this process's free descriptors; call it last."""
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        left = (UNLIMITED if allowed == resource.RLIM_INFINITY else allowed) - len(os.listdir("/dev/fd"))
        probes = min(PROBES, left // 8)
        capacity = left - probes - min(KEPT, left // 8)
        times = (limits.HEADER_S, limits.BODY_S, limits.UNREAD_S)
        return cls(*times, settings.connections_per_address, capacity, probes)

    @property
    def tick_s(self) -> float:
        """Return the time between two checks of all connections."""
        return min(1.0, self.header_s / 4, self.body_s / 4, self.unread_s / 4)
