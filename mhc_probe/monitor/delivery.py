"""Deliver lines to a target that may be slow, full or unavailable, without blocking the training."""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

MAX_WAITING = 64 * 2**20  # bytes
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 30.0
KEEP_ALIVE_S = 600.0  # idle time after which the target is contacted, so that it does not end the recording
PATIENCE_S = 10.0  # longest wait at the end of training for lines in the queue

logger = logging.getLogger("mhc_core.monitor")


class UnavailableError(Exception):
    """A target cannot take lines now. It may later, after `wait_s` if it gave a time."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class DestinationRefusedError(Exception):
    """A target refuses these lines, now and later."""


class DeliveryTarget(Protocol):
    """A file or server that receives lines."""

    @property
    def name(self) -> str:
        """Return the name that warnings show."""

    def deliver(self, lines: list[bytes]) -> None:
        """Store the next lines of a record: all of them, or none if it raises.

        Raises
        ------
        UnavailableError
            If a retry may succeed.
        DestinationRefusedError
            If a retry cannot succeed.
        """

    def keep_alive(self) -> None:
        """Report that the training still runs although there are no lines. Raises the errors of `deliver`."""

    def finish(self) -> None:
        """Complete the recording, after all lines have been delivered."""


@dataclass(frozen=True)
class LineBatch:
    """The lines of one observation."""

    lines: list[bytes]
    size: int


KEEP_ALIVE = LineBatch([], 0)


class DeliveryQueue:
    """Delivers batches to a target in order, in a separate thread, and retries while the target is unavailable."""

    def __init__(self, target: DeliveryTarget, max_waiting: int = MAX_WAITING) -> None:
        self.target, self.max_waiting = target, max_waiting
        self._batches: deque[LineBatch] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._has_ended, self._has_refused, self._has_warned = False, False, False
        self._has_tried = threading.Event()  # the first delivery was tried, with or without success
        self._thread = threading.Thread(target=self._deliver_batches, name=f"monitor {target.name}", daemon=True)
        self._thread.start()

    @property
    def has_capacity(self) -> bool:
        """Return whether the queue accepts one more batch of lines."""
        with self._changed:
            return not self._has_refused and self._waiting < self.max_waiting

    def send(self, lines: list[bytes]) -> None:
        """Add lines of a record to the queue and return immediately."""
        batch = LineBatch(lines, sum(map(len, lines)))
        with self._changed:
            if self._has_refused:
                return
            self._batches.append(batch)
            self._waiting += batch.size
            self._changed.notify_all()

    def wait_for_first(self, timeout_s: float) -> None:
        """Wait until the first delivery has succeeded or failed. Later calls return immediately."""
        self._has_tried.wait(timeout_s)
        self._has_tried.set()  # only the first call waits

    def close(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait up to `patience_s` seconds for the queue to empty. Return whether everything was delivered."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        self._thread.join(patience_s)
        with self._changed:
            left, was_refused = len(self._batches), self._has_refused
            self._has_refused = True  # the thread must not deliver anything after this
            self._changed.notify_all()
        if left:
            logger.warning("%s: the last %d observations of the trace were not delivered", self.target.name, left)
        return not left and not was_refused

    def _deliver_batches(self) -> None:
        """Deliver batches until the queue is closed or the target refuses; wait longer after each failed attempt."""
        wait_s = FIRST_WAIT_S
        while (batch := self._find_next()) is not None:
            try:
                if batch is KEEP_ALIVE:
                    self.target.keep_alive()
                    continue
                self.target.deliver(batch.lines)
            except UnavailableError as error:
                self._has_tried.set()
                self._warn(f"{self.target.name} is unavailable; training continues and the trace waits: {error}")
                self._wait_for_retry(wait_s if error.wait_s is None else error.wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            except DestinationRefusedError as error:
                self._has_tried.set()
                self._stop_delivery(f"{self.target.name} refuses the trace; training continues: {error}")
                return
            self._has_tried.set()
            wait_s = FIRST_WAIT_S
            with self._changed:
                self._batches.popleft()
                self._waiting -= batch.size

    def _find_next(self) -> LineBatch | None:
        """Wait for the next batch; return it, `KEEP_ALIVE` after a long time without one, or None at the end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._batches or self._has_ended, KEEP_ALIVE_S):
                return KEEP_ALIVE
            return self._batches[0] if self._batches and not self._has_refused else None

    def _wait_for_retry(self, seconds: float) -> None:
        """Wait before a retry. At the end of training the wait is cut short, and retries are frequent."""
        with self._changed:
            if self._has_ended:
                self._changed.wait_for(lambda: self._has_refused, min(seconds, FIRST_WAIT_S))
            else:
                self._changed.wait_for(lambda: self._has_ended, seconds)

    def _stop_delivery(self, text: str) -> None:
        """Drop all batches, accept no more, and log the reason."""
        with self._changed:
            self._has_refused = True
            self._batches.clear()
            self._waiting = 0
        logger.warning(text)

    def _warn(self, text: str) -> None:
        """Log a warning, once per training, because a target can be unavailable for hours."""
        if not self._has_warned:
            logger.warning(text)
        self._has_warned = True
