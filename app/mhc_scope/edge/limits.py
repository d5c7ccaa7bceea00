"""Find the largest numbers of connections, by free file descriptors, and the time between two checks of them."""

import os
import resource
from dataclasses import dataclass

from mhc_scope import limits
from mhc_scope.settings import Settings

# Bytes per second below which a body or a response counts as stopped. A phone with poor reception is faster.
MIN_RATE = 500
# Number of descriptors if the system sets no limit.
UNLIMITED = 2**20
# Descriptors reserved for files, pipes of workers and the database, in addition to those that are open already.
KEPT = 64
# Number of connections over the limit, on which only probes of health are answered.
PROBES = 64


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on the number of connections.

    Attributes
    ----------
    per_address: largest number of connections of one address, except for proxies.
    capacity: number of connections that the descriptors allow.
    probes: number of connections over `capacity`, for probes.
    """

    per_address: int
    capacity: int
    probes: int

    @classmethod
    def build(cls, settings: Settings) -> "ConnectionLimits":
        """Return the limits for these settings and the free descriptors. Call this after all others are open."""
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        left = (UNLIMITED if allowed == resource.RLIM_INFINITY else allowed) - len(os.listdir("/dev/fd"))
        probes = min(PROBES, left // 8)
        capacity = left - probes - min(KEPT, left // 8)
        return cls(settings.connections_per_address, capacity, probes)


def choose_tick_s() -> float:
    """Return the time between two checks of all connections."""
    return min(1.0, limits.HEADER_S / 4, limits.BODY_S / 4, limits.UNREAD_S / 4)
