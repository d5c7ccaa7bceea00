"""Run a few processes that encode results, which are started when there is work and ended when there is none."""

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

NICENESS = 5  # lower priority than the server and higher than workers, because someone waits for a download
IDLE_S = 60.0


class EncodingPool:
    """Runs at most `processes` jobs at the same time, while at most `waiting` others wait.

    A job is a top-level function with its arguments, which must be picklable. It writes its results to files.
    """

    def __init__(self, processes: int, waiting: int) -> None:
        self._processes, self._limit = processes, processes + waiting
        self._executor: ProcessPoolExecutor | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.jobs = 0  # number of running and waiting jobs

    def require_capacity(self) -> None:
        """Refuse a new encoding job if too many wait."""
        if self.jobs >= self._limit:
            raise EncodersBusyError(f"The server is writing {self.jobs} large files, its limit. Try again shortly.")

    async def run(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run `work`, which writes a large result to a file, in another process, and wait for its end.

        Raises
        ------
        EncodersBusyError
            If too many jobs wait.
        BrokenProcessPool
            If the process died.
        """
        self.require_capacity()
        self.jobs += 1
        if self._ending is not None:
            self._ending.cancel()
        try:
            await asyncio.wrap_future(self._get_executor().submit(work, *arguments))
        except BrokenProcessPool:
            log.error("a process that encodes has died; the next job starts new ones")
            self._discard_executor()
            raise
        finally:
            self.jobs -= 1
            if not self.jobs:
                self._ending = asyncio.get_running_loop().call_later(IDLE_S, self._discard_executor)

    def stop(self) -> None:
        """Stop the processes. Results that they are writing are discarded."""
        if self._ending is not None:
            self._ending.cancel()
        self._discard_executor()

    def _get_executor(self) -> ProcessPoolExecutor:
        """Return the pool of processes; create it at first use."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self._processes, CONTEXT, _begin, (os.getpid(),))
        return self._executor

    def _discard_executor(self) -> None:
        """Shut the pool of processes down without waiting; the next use creates another."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _begin(server_pid: int) -> None:
    """Prepare an encoding process: lower its priority, name it, and let it end with the server."""
    os.setsid()  # so that Ctrl-C does not reach it, because the server stops it
    os.nice(NICENESS)
    if sys.platform == "linux":
        Path("/proc/self/comm").write_text(f"enc of {server_pid}"[:15])
    threading.Thread(target=_end_with_server, daemon=True).start()


def _end_with_server() -> None:
    """End this process when the server is killed. The queue does not show that, as all processes keep its ends open."""
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)
