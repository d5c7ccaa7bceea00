"""Find leases that were not renewed in time, measured by the monotonic clock of this process.

The time of day may jump, here and at the database. A lease therefore counts as lost when this process has seen it
unchanged for the duration of a lease, and not when its end time has passed.
"""

import time
from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")

# Bounds of the time for which a lease must be seen unchanged, as multiples of its duration. If the database's clock was
# set back, leases seem to last longer than they can. If it was set ahead, they seem to be over until they are renewed,
# which happens within the lower bound.
MIN_DURATIONS, MAX_DURATIONS = 0.5, 2


class LeaseWatch(Generic[K]):
    """Tracks the leases of other servers.

    Parameters
    ----------
    duration_s: duration of a lease, which all servers should have in their settings.
    """

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._seen: dict[K, tuple[float, float]] = {}  # lease -> its end in the database, local time when it is lost

    def find(self, ends: Mapping[K, float], now: float) -> list[K]:
        """Return the keys of lost leases. `ends` and `now` are times of the database's clock."""
        present = time.monotonic()
        self._seen = {key: self._find_loss_time(key, end, end - now, present) for key, end in ends.items()}
        return [key for key, (_, lost_at) in self._seen.items() if present >= lost_at]

    def _find_loss_time(self, key: K, end: float, left_s: float, present: float) -> tuple[float, float]:
        """Return the end of a lease in the database, and the local time at which it is lost unless it is renewed."""
        known = self._seen.get(key)
        if known is not None and known[0] == end:
            return known
        return end, present + min(max(left_s, MIN_DURATIONS * self._duration_s), MAX_DURATIONS * self._duration_s)
