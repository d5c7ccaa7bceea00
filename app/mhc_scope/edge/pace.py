"""Whether bytes move: a window of time in which enough of them must have."""

from dataclasses import dataclass

from mhc_scope.edge.limits import MIN_RATE


@dataclass
class Pace:
    """Bytes moved since the window began.

    Attributes
    ----------
    window_s: length of a window.
    began: when the window began, on the clock of the event loop.
    count: what the counter of bytes said then.
    """

    window_s: float
    began: float
    count: int

    def is_too_slow(self, now: float, count: int) -> bool:
        """Whether a whole window has passed with too few bytes; a window that had enough is followed by the next."""
        if now - self.began < self.window_s:
            return False
        moved = count - self.count
        self.began, self.count = now, count
        return moved < MIN_RATE * self.window_s
