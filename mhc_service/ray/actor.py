"""Define the Ray actor of a worker, which computes jobs like a worker process of the local engine."""

import os
import queue
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from mhc_scope.engine.heap import keep_freed_memory
from mhc_scope.engine.pipe import AnswerWriter
from mhc_scope.engine.worker_process import execute, limit_memory, open_bases, warm_up


@dataclass(frozen=True)
class Introduction:
    """Where an actor runs, its versions and its measured speed, known after its warm-up."""

    place: str
    versions: dict[str, str]
    rates: bytes  # JSON of `mhc_core.cost.rates.Rates`


def read_versions() -> dict[str, str]:
    """Return the versions that determine computed numbers. CPU and CUDA builds of one version of torch are equal."""
    import torch

    from mhc_core import __version__

    return {"mhc_core": __version__, "torch": torch.__version__.partition("+")[0]}


class _Batches:
    """A file-like queue from the computing thread to the thread that yields. Each write is one batch."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.write = self.queue.put

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


class Actor:
    """Computes one job at a time. `cancel` and `stay` run in other threads (concurrency group `control`)."""

    def __init__(self, threads: int, memory_bytes: int, trained: str = "") -> None:
        self._threads, self._memory_bytes = threads, memory_bytes
        self._trained = Path(trained) if trained else None
        self._batches = _Batches()
        self._lock = threading.Lock()
        self._cancelled, self._number, self._stopped_number = threading.Event(), 0, 0

    def introduce(self) -> Introduction:
        """Prepare the worker: limit its memory and warm it up. Return where it runs, its speed and its versions."""
        limit_memory(self._memory_bytes)
        keep_freed_memory()
        rates, self._bases = warm_up(), open_bases()
        self._answers = AnswerWriter(cast(BinaryIO, self._batches))
        return Introduction(f"process {os.getpid()} on {socket.gethostname()}", read_versions(), rates)

    def compute(self, number: int, job: dict[str, Any]) -> Iterator[bytes]:
        """Yield the frames of a job as lines in batches; the last line is `#end {"status", "reason"}`."""
        with self._lock:
            self._number, self._cancelled = number, threading.Event()
            if self._stopped_number == number:
                self._cancelled.set()
        threading.Thread(target=self._execute_job, args=(job, self._cancelled), daemon=True).start()
        is_over = False
        while not is_over:
            batch = self._batches.queue.get()
            is_over = batch.rstrip(b"\n").rpartition(b"\n")[2].startswith(b"#end ")
            yield batch

    def cancel(self, number: int) -> None:
        """Stop the job of this number between two frames, even if the job has not begun yet."""
        with self._lock:
            self._stopped_number = number
            if self._number == number:
                self._cancelled.set()

    def stay(self) -> None:
        """Never return, so that the caller gets an error when the actor dies."""
        threading.Event().wait()

    def _execute_job(self, job: dict[str, Any], cancelled: threading.Event) -> None:
        """Compute a job, and end its lines with `#end` and its status."""
        status, reason = execute(
            job, cancelled, self._answers, self._threads, self._memory_bytes, self._trained, self._bases
        )
        end = b"#end " + orjson.dumps({"status": status, "reason": reason}) + b"\n"
        self._answers.send(end, is_last=True)
