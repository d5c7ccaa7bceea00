"""Find leases that have not been renewed for as long as they last, by the clock of this process alone.

The time of day may jump, here and at the database. So a lease is over when this process has seen it unchanged for that
long, and not when its end time has passed.
"""

import time
from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")

# A clock that was set back makes a lease look longer than any that was given. One that was set ahead makes it look
# over, until its server renews it, which it does before this.
MIN_DURATIONS, MAX_DURATIONS = 0.5, 2


class LeaseWatch(Generic[K]):
    """Track the leases of other servers.

    Parameters
    ----------
    duration_s: how long a lease lasts that a server with the same settings gives.
    """

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._seen: dict[K, tuple[float, float]] = {}  # lease -> its end as written, when it counts as lost

    def find(self, ends: Mapping[K, float], now: float) -> list[K]:
        """Return the keys of leases that are lost; `ends` and `now` are by the clock of the database."""
        present = time.monotonic()
        self._seen = {key: self._find_loss_time(key, end, end - now, present) for key, end in ends.items()}
        return [key for key, (_, lost_at) in self._seen.items() if present >= lost_at]

    def _find_loss_time(self, key: K, end: float, left_s: float, present: float) -> tuple[float, float]:
        """Return the end of a lease as written, and the local time at which the lease is lost unless it is renewed."""
        known = self._seen.get(key)
        if known is not None and known[0] == end:
            return known
        return end, present + min(max(left_s, MIN_DURATIONS * self._duration_s), MAX_DURATIONS * self._duration_s)
