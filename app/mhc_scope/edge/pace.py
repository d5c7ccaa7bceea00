"""Check that bytes move: enough of them in each window of time."""

from dataclasses import dataclass

from mhc_scope.edge.limits import MIN_RATE


@dataclass
class Pace:
    """Count the bytes that moved since the window began.

    Attributes
    ----------
    window_s: length of a window.
    began: when the window began, on the clock of the event loop.
    count: value of the byte counter at that time.
    """

    window_s: float
    began: float
    count: int

    def is_too_slow(self, now: float, count: int) -> bool:
        """Return whether a whole window has passed with fewer bytes than `MIN_RATE` allows; after a whole window
        start the next one.
        """
        if now - self.began < self.window_s:
            return False
        moved = count - self.count
        self.began, self.count = now, count
        return moved < MIN_RATE * self.window_s
