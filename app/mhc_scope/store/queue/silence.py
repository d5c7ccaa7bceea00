"""Which leases have not been renewed for as long as they hold, by the clock of this process alone.

The time of day may jump, here and at the database. So a lease is over where it has stood unchanged for so long before
the eyes of this process, and not where its time has come.
"""

import time
from collections.abc import Mapping
from typing import Generic, TypeVar

K = TypeVar("K")

# A clock that was set back makes a lease look longer than any that was given. One that was set ahead makes it look
# over, until the server that has it renews it, which it does before this.
MIN_HOLDS, MAX_HOLDS = 0.5, 2


class Silence(Generic[K]):
    """What this process has seen of others' leases.

    Parameters
    ----------
    hold_s: how long a lease holds that a server with the same settings gives.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._seen: dict[K, tuple[float, float]] = {}  # lease -> its end as written, when it is taken for lost

    def find(self, ends: Mapping[K, float], now: float) -> list[K]:
        """Those of all leases that are lost; `ends` and `now` are by the clock of the database."""
        present = time.monotonic()
        self._seen = {key: self._see(key, end, end - now, present) for key, end in ends.items()}
        return [key for key, (_, lost_at) in self._seen.items() if present >= lost_at]

    def _see(self, key: K, end: float, left_s: float, present: float) -> tuple[float, float]:
        known = self._seen.get(key)
        if known is not None and known[0] == end:
            return known
        return end, present + min(max(left_s, MIN_HOLDS * self._hold_s), MAX_HOLDS * self._hold_s)
