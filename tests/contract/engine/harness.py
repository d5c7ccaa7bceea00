"""What the cases need of an engine beyond the contract, one class an engine."""

import itertools
import os
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from app.engine.contract import Engine
from app.engine.registry import build_engine
from app.settings import GIB, Settings


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
    """Worker processes are children of this one; those of one harness have a memory limit of their own."""

    name = "local"
    _marks = itertools.count(1)

    def __init__(self) -> None:
        self._mark = next(self._marks)
        self._memory_bytes = ""

    def build(self, **settings: Any) -> Engine:
        """With a limit that no other has."""
        memory_bytes = int(settings.pop("worker_memory_bytes", 8 * GIB)) + self._mark
        self._memory_bytes = str(memory_bytes)
        return super().build(worker_memory_bytes=memory_bytes, **settings)

    def list_workers(self) -> list[int]:
        """By /proc."""
        tasks = Path("/proc/self/task").glob("*/children")
        children = sorted(int(pid) for path in tasks for pid in path.read_text().split())
        return [pid for pid in children if self._memory_bytes in _read_command(pid)]


def kill(pid: int) -> None:
    """End a process as the system does where it wants memory."""
    os.kill(pid, signal.SIGKILL)


def _read_command(pid: int) -> list[str]:
    # Of a process that has ended and has not been waited for it is empty.
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


# One line an engine.
HARNESSES: dict[str, type[Harness]] = {"local": LocalHarness}
