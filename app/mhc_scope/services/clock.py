"""The time that sweeps go by."""

import time


class PatientClock:
    """The time of day, which never goes more than twice as fast as time passes.

    A clock that is set a year ahead, by mistake or for a minute, would otherwise end all traces and views at once.
    After a long sleep of the machine it catches up as fast as that. A clock that is set back is followed.
    """

    def __init__(self) -> None:
        self._seen = time.monotonic()
        self._offset = time.time() - self._seen

    def now(self) -> float:
        """Seconds since 1970."""
        seen = time.monotonic()
        self._offset = min(time.time() - seen, self._offset + seen - self._seen)
        self._seen = seen
        return seen + self._offset
