"""What the cases need of an engine beyond the contract, one class an engine."""

import contextlib
import itertools
import os
import resource
import signal
from abc import ABC, abstractmethod
from typing import Any

from app.engine.contract import Engine
from app.engine.registry import build_engine
from app.settings import GIB, Settings
from tests.forked import find_workers, start_fork_server


class Harness(ABC):
    """Builds an engine, and finds the processes in which it computes."""

    name: str

    def build(self, **settings: Any) -> Engine:
        """An engine with these settings, not started."""
        return build_engine(Settings(engine=self.name, **settings))

    @abstractmethod
    def list_workers(self) -> list[int]:
        """Process ids of the workers of engines that this harness has built, ready or not."""


class LocalHarness(Harness):
    """Worker processes bear the number of this one; those of one harness have a memory limit of their own."""

    name = "local"
    _marks = itertools.count(1)

    def __init__(self) -> None:
        self._mark = next(self._marks)
        self._memory_bytes = 0

    def build(self, **settings: Any) -> Engine:
        """With a limit that no other has."""
        start_fork_server()
        self._memory_bytes = int(settings.pop("worker_memory_bytes", 8 * GIB)) + self._mark
        return super().build(worker_memory_bytes=self._memory_bytes, **settings)

    def list_workers(self) -> list[int]:
        """By /proc."""
        found = []
        for pid in find_workers(os.getpid()):
            with contextlib.suppress(ProcessLookupError):  # It has ended since.
                if self._memory_bytes in resource.prlimit(pid, resource.RLIMIT_DATA):
                    found.append(pid)
        return found


def kill(pid: int) -> None:
    """End a process as the system does where it wants memory."""
    os.kill(pid, signal.SIGKILL)


# One line an engine.
HARNESSES: dict[str, type[Harness]] = {"local": LocalHarness}
