"""Lines on their way to a place that may be slow, full or away. The training that makes them never waits for it."""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

MAX_WAITING = 64 * 2**20  # bytes
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 30.0
KEEP_ALIVE_S = 600.0  # after which a place is told that there is still someone
PATIENCE_S = 10.0  # at the end of training, for what is still on its way

logger = logging.getLogger("mhc_core.monitor")


class UnavailableError(Exception):
    """A place cannot take lines now; it may later, after `wait_s` where it said so."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class DestinationRefusedError(Exception):
    """A place will not take these lines, now or later."""


class DeliveryTarget(Protocol):
    """Where lines go."""

    @property
    def name(self) -> str:
        """As a warning calls it."""

    def deliver(self, lines: list[bytes]) -> None:
        """Take the lines that follow those taken before. All of them, or none where it raises.

        Raises
        ------
        UnavailableError
            Where it is worth to try again.
        RefusedError
            Where it is not.
        """

    def keep_alive(self) -> None:
        """There has been nothing to take for a while; raises as `deliver` does."""

    def finish(self) -> None:
        """All lines have been taken, and no more will come."""


@dataclass(frozen=True)
class LineBatch:
    """The lines of one observation."""

    lines: list[bytes]
    size: int


KEEP_ALIVE = LineBatch([], 0)


class DeliveryQueue:
    """A thread that brings parcels to a place in their order, and tries again where that is away."""

    def __init__(self, target: DeliveryTarget, max_waiting: int = MAX_WAITING) -> None:
        self.target, self.max_waiting = target, max_waiting
        self._batches: deque[LineBatch] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._has_ended, self._has_refused, self._has_warned = False, False, False
        self._has_tried = threading.Event()  # the first batch has arrived, or did not at once
        self._thread = threading.Thread(target=self._work, name=f"monitor {target.name}", daemon=True)
        self._thread.start()

    @property
    def has_capacity(self) -> bool:
        """Whether one more batch may wait."""
        with self._changed:
            return not self._has_refused and self._waiting < self.max_waiting

    def send(self, lines: list[bytes]) -> None:
        """Hand lines over, at once."""
        batch = LineBatch(lines, sum(map(len, lines)))
        with self._changed:
            if self._has_refused:
                return
            self._batches.append(batch)
            self._waiting += batch.size
            self._changed.notify_all()

    def wait_for_first(self, timeout_s: float) -> None:
        """Wait for the answer to the first batch, whatever it is; later calls do not wait."""
        self._has_tried.wait(timeout_s)
        self._has_tried.set()  # one wait is enough

    def close(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait that long for what is on its way; whether all has arrived."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        self._thread.join(patience_s)
        with self._changed:
            left, was_refused = len(self._batches), self._has_refused
            self._has_refused = True  # a thread that comes back late brings nothing more
            self._changed.notify_all()
        if left:
            logger.warning("%s: the last %d observations of the trace have not arrived", self.target.name, left)
        return not left and not was_refused

    def _work(self) -> None:
        wait_s = FIRST_WAIT_S
        while (batch := self._find_next()) is not None:
            try:
                if batch is KEEP_ALIVE:
                    self.target.keep_alive()
                    continue
                self.target.deliver(batch.lines)
            except UnavailableError as error:
                self._has_tried.set()
                self._warn(f"{self.target.name} is away, training goes on and the trace waits: {error}")
                self._rest(wait_s if error.wait_s is None else error.wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            except DestinationRefusedError as error:
                self._has_tried.set()
                self._refuse(f"{self.target.name} takes no more of the trace, training goes on: {error}")
                return
            self._has_tried.set()
            wait_s = FIRST_WAIT_S
            with self._changed:
                self._batches.popleft()
                self._waiting -= batch.size

    def _find_next(self) -> LineBatch | None:
        """The batch that is due, once there is one; none for long is `KEEP_ALIVE`, and none at the end None."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._batches or self._has_ended, KEEP_ALIVE_S):
                return KEEP_ALIVE
            return self._batches[0] if self._batches and not self._has_refused else None

    def _rest(self, seconds: float) -> None:
        """Wait, but no longer than until the end of training, which asks at once and then often."""
        with self._changed:
            if self._has_ended:
                self._changed.wait_for(lambda: self._has_refused, min(seconds, FIRST_WAIT_S))
            else:
                self._changed.wait_for(lambda: self._has_ended, seconds)

    def _refuse(self, text: str) -> None:
        with self._changed:
            self._has_refused = True
            self._batches.clear()
            self._waiting = 0
        logger.warning(text)

    def _warn(self, text: str) -> None:
        """Once until the end: a place that is away for hours is not told of every second."""
        if not self._has_warned:
            logger.warning(text)
        self._has_warned = True
