"""What the cases need of an engine beyond the contract, one class an engine."""

import contextlib
import itertools
import os
import resource
import signal
from abc import ABC, abstractmethod
from typing import Any

from mhc_scope.engine.contract import Engine
from mhc_scope.engine.registry import build_engine
from mhc_scope.settings import GIB
from mhc_service.settings import ServiceSettings
from tests.contract.engine.ray_cluster import find_actors, start_cluster
from tests.forked import find_workers, start_fork_server


class Harness(ABC):
    """Builds an engine, and finds the processes in which it computes."""

    name: str

    def build(self, **settings: Any) -> Engine:
        """An engine with these settings, not started."""
        return build_engine(ServiceSettings(engine=self.name, **settings))

    @abstractmethod
    def list_workers(self) -> list[int]:
        """Process ids of the workers of engines that this harness has built, ready or not."""


class MarkedHarness(Harness):
    """The workers of one harness have a memory limit of their own."""

    _marks = itertools.count(1)

    def __init__(self) -> None:
        self._mark = next(self._marks)
        self._memory_bytes = 0

    def build(self, **settings: Any) -> Engine:
        """With a limit that no other has."""
        self._memory_bytes = int(settings.pop("worker_memory_bytes", 8 * GIB)) + self._mark
        return super().build(worker_memory_bytes=self._memory_bytes, **settings)

    def list_workers(self) -> list[int]:
        """By /proc."""
        found = []
        for pid in self.list_candidates():
            with contextlib.suppress(ProcessLookupError):  # It has ended since.
                if self._memory_bytes in resource.prlimit(pid, resource.RLIMIT_DATA):
                    found.append(pid)
        return found

    @abstractmethod
    def list_candidates(self) -> list[int]:
        """Process ids among which those of the workers are."""


class LocalHarness(MarkedHarness):
    """Worker processes bear the number of this one."""

    name = "local"

    def build(self, **settings: Any) -> Engine:
        """Forked from what has imported torch already."""
        start_fork_server()
        return super().build(**settings)

    def list_candidates(self) -> list[int]:
        """By their name."""
        return find_workers(os.getpid())


class RayHarness(MarkedHarness):
    """Workers are processes of a cluster on this machine, all harnesses' of one."""

    name = "ray"
    address = ""  # of the cluster that all share

    def build(self, **settings: Any) -> Engine:
        """In the cluster, which is started with the first."""
        return super().build(ray_address=self.address or start_cluster().address, **settings)

    def list_candidates(self) -> list[int]:
        """On the nodes of this process."""
        return find_actors()


def kill(pid: int) -> None:
    """End a process as the system does where it wants memory."""
    os.kill(pid, signal.SIGKILL)


# One line an engine.
HARNESSES: dict[str, type[Harness]] = {"local": LocalHarness, "ray": RayHarness}
