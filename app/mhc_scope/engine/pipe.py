"""Write lines to the pipe from a worker to its parent, and send lines in quick succession together."""

import os
import threading
import time
from typing import BinaryIO

# Lines sent together are stored in one transaction, which takes 2.5 ms of processor time for any number of lines.
# After the first layers, the page needs updates only a few times a second.
BATCH_S = 0.2
# A person waits for the first layers while a slider is dragged. About ten layers of the default width take this long.
FIRST_BATCH_S = 0.01


class AnswerWriter:
    """Sends awaited lines immediately, and others together: the first batch of a run soon, later ones less often."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._waiting: list[bytes] = []
        self._due, self._pause_s = 0.0, FIRST_BATCH_S  # of the next batch, and from that one to the one after it
        self._changed = threading.Condition()
        # A thread, because the next line of a large network may be minutes away.
        threading.Thread(target=self._flush_in_time, daemon=True).start()

    def send(self, line: bytes, *, is_awaited: bool = False, is_last: bool = False) -> None:
        """Write a line to the pipe, perhaps later with others.

        A line that a viewer awaits is written immediately, and so is the last line of a run; both default to False.
        """
        with self._changed:
            if not self._waiting:
                self._due = max(self._due, time.monotonic() + FIRST_BATCH_S)
                self._changed.notify()
            self._waiting.append(line)
            if is_awaited or is_last:
                self._flush_lines()
            if is_last:
                self._due, self._pause_s = 0.0, FIRST_BATCH_S

    def _flush_lines(self) -> None:
        """Write the waiting lines, and set the earliest time of the next batch."""
        try:
            self._pipe.write(b"".join(self._waiting))
            self._pipe.flush()
        except BrokenPipeError:
            os._exit(0)  # The parent has ended; no one reads the results.
        self._waiting.clear()
        self._due, self._pause_s = time.monotonic() + self._pause_s, BATCH_S

    def _flush_in_time(self) -> None:
        """Write waiting lines when they are due, in a thread that never ends."""
        with self._changed:
            while True:
                rest_s = self._due - time.monotonic() if self._waiting else None
                if rest_s is not None and rest_s <= 0:
                    self._flush_lines()
                else:
                    self._changed.wait(rest_s)
