"""Provide the time that retention uses."""

import time


class RateLimitedClock:
    """Return the time of day, which never advances more than twice as fast as time passes.

    Otherwise a clock that is set a year ahead, by mistake or for a minute, would expire all traces and views. After a
    long sleep of the machine it catches up at that rate. A clock that is set back is followed.
    """

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._offset = time.time() - self._seen

    def now(self) -> float:
        """Return seconds since 1970; after the system's clock jumps ahead, this one runs at double speed at most."""
        seen = time.monotonic()
        self._offset = min(time.time() - seen, self._offset + seen - self._seen)
        self._seen = seen
        return seen + self._offset
