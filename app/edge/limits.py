"""What one connection may take of time, and all of them of descriptors."""

import os
import resource
from dataclasses import dataclass

from app.settings import Settings

# Bytes a second, below which a body or an answer counts as standing still. A phone at the edge of a network has more.
MIN_RATE = 500
# Kept for files, pipes of workers and the database: no connection stays on a descriptor above.
KEPT = 64
# Below those: connections that may only ask whether the server is alive.
PROBES = 64


@dataclass(frozen=True)
class Limits:
    """Limits of all connections.

    Attributes
    ----------
    header_s: time until the head of a request is whole.
    body_s: time in which a body must bring `MIN_RATE` bytes a second.
    unread_s: time in which a client must take `MIN_RATE` bytes a second of what waits for it.
    per_address: connections of one address that is no proxy.
    busy_from: a connection whose descriptor is this or higher comes where descriptors are scarce.
    full_from: one that is this or higher is closed at once.
    """

    header_s: float
    body_s: float
    unread_s: float
    per_address: int
    busy_from: int
    full_from: int

    @classmethod
    def build(cls, settings: Settings) -> "Limits":
        """By the settings, and the descriptors that this process may open."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            descriptors = os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") > 0 else 2**20
        full_from = descriptors - min(KEPT, descriptors // 8)
        busy_from = full_from - min(PROBES, descriptors // 8)
        times = (settings.header_s, settings.body_s, settings.unread_s)
        return cls(*times, settings.connections_per_address, busy_from, full_from)

    @property
    def tick_s(self) -> float:
        """Time between two looks at all connections."""
        return min(1.0, self.header_s / 4, self.body_s / 4, self.unread_s / 4)
