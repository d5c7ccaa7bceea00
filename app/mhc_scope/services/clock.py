"""Provide the clock by which old data is deleted."""

import time


class RateLimitedClock:
    """A clock of the time of day that advances at most twice as fast as time passes.

    Otherwise a system clock that is set a year ahead by mistake, even for a minute, would delete all recordings and
    snapshots. After a long sleep of the machine, this clock catches up at double speed. It follows a system clock that
    is set back.
    """

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._offset = time.time() - self._seen

    def now(self) -> float:
        """Return seconds since 1970. After the system's clock has jumped ahead, they advance at most twice as fast."""
        seen = time.monotonic()
        self._offset = min(time.time() - seen, self._offset + seen - self._seen)
        self._seen = seen
        return seen + self._offset
