"""Processes that encode beside the server process: few, started when there is work, ended when there is none."""

import asyncio
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mhc_scope.engine.forks import CONTEXT
from mhc_scope.services.errors import EncodersBusyError

log = logging.getLogger("mhc.encoding")

NICENESS = 5  # Below the server itself and above the workers: someone waits for a download.
IDLE_S = 60.0


class EncodingPool:
    """At most `processes` jobs at a time, and `waiting` more that wait.

    A job is a function of a module and what it takes, all of which can be pickled. What it makes are files.
    """

    def __init__(self, processes: int, waiting: int) -> None:
        self._processes, self._limit = processes, processes + waiting
        self._executor: ProcessPoolExecutor | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.jobs = 0  # under way or waiting

    def require_room(self) -> None:
        """Refuse one more job where too many wait."""
        if self.jobs >= self._limit:
            raise EncodersBusyError(f"The server is writing {self.jobs} large files, its limit. Try again shortly.")

    async def run(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do the work in another process.

        Raises
        ------
        EncodersBusyError
            Where too many jobs wait.
        BrokenProcessPool
            Where the process died.
        """
        self.require_room()
        self.jobs += 1
        if self._ending is not None:
            self._ending.cancel()
        try:
            await asyncio.wrap_future(self._open().submit(work, *arguments))
        except BrokenProcessPool:
            log.error("a process that encodes has died; the next job starts others")
            self._close()
            raise
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._ending = asyncio.get_running_loop().call_later(IDLE_S, self._close)

    def stop(self) -> None:
        """End the processes; what they still do is of no use any more."""
        if self._ending is not None:
            self._ending.cancel()
        self._close()

    def _open(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self._processes, CONTEXT, _begin, (os.getpid(),))
        return self._executor

    def _close(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _begin(server_pid: int) -> None:
    """Be polite, bear the server's number as a name, and end with it."""
    os.setsid()  # Ctrl-C does not reach it: stopping is the server's decision
    os.nice(NICENESS)
    if sys.platform == "linux":
        Path("/proc/self/comm").write_text(f"enc of {server_pid}"[:15])
    threading.Thread(target=_end_with_server, daemon=True).start()


def _end_with_server() -> None:
    """A killed server closes no queue that a process of the pool could hear of: they hold both ends."""
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)
