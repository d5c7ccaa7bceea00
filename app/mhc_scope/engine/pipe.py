"""Write lines to the pipe from a worker to its parent, and send lines in quick succession together."""

import os
import threading
import time
from typing import BinaryIO

# Lines sent together are stored in one transaction, which takes 2.5 ms of processor time for any number of lines.
# The page shows updates ten times a second, but a person waits for the first frames while a slider is dragged.
BATCH_S = 0.1
FIRST_BATCH_S = 0.004
GROWTH = 2.0  # the time between two batches, relative to the time that the run has taken so far


class AnswerWriter:
    """Sends a line immediately if none was sent shortly before, else together with the following lines.

    Between two batches it waits `GROWTH` times as long as the run has taken so far, at most `BATCH_S`.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._due = 0.0
        self._begun: float | None = None
        self._has_line = threading.Event()
        # A thread, because the next line of a large network may be minutes away.
        threading.Thread(target=self._flush_in_time, daemon=True).start()

    def send(self, line: bytes, *, is_last: bool = False) -> None:
        """Write a line to the pipe, perhaps later with others. The last line of a run is written immediately."""
        with self._lock:
            self._waiting.append(line)
            if self._begun is None:
                self._begun = time.monotonic()
            if is_last or time.monotonic() >= self._due:
                self._flush_lines()
            else:
                self._has_line.set()
            if is_last:
                self._begun = None

    def _flush_lines(self) -> None:
        """Write the waiting lines, and set the time of the next batch, which is later the longer the run has taken."""
        try:
            self._pipe.write(b"".join(self._waiting))
            self._pipe.flush()
        except BrokenPipeError:
            os._exit(0)  # The parent has ended; no one reads the results.
        self._waiting.clear()
        now = time.monotonic()
        taken_s = 0.0 if self._begun is None else now - self._begun
        self._due = now + min(max(GROWTH * taken_s, FIRST_BATCH_S), BATCH_S)

    def _flush_in_time(self) -> None:
        """Write waiting lines when they are due, in a thread that never ends."""
        while self._has_line.wait():
            self._has_line.clear()
            time.sleep(max(0.0, self._due - time.monotonic()))
            with self._lock:
                if self._waiting:
                    self._flush_lines()
