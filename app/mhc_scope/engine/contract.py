"""Define the contract of every engine: it accepts jobs and reports frames, and knows nothing of HTTP or the database.

`tests/contract/engine` contains the cases that each engine must pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mhc_core.cost.rates import Rates

EndStatus = Literal["done", "failed", "cancelled"]
RUN = "run"  # all frames of a spec
VERIFICATION = "verification"  # the one frame `recomputation` of a spec


@dataclass(frozen=True)
class Job:
    """A spec, and which computation of it is wanted, `kind`. The frames carry `id` as their run.

    `is_spare`: a short job for the spare worker, where the engine has one.
    """

    id: str
    kind: str
    spec: dict[str, Any]
    is_spare: bool = False


class SinkError(RuntimeError):
    """A sink cannot continue with a job; the text says why, and becomes the job's reason."""


class Crash(str):
    """The reason of a job that failed because its process was lost: a retry may succeed."""

    __slots__ = ()


class Sink(Protocol):
    """Receive the reports of an engine. Calls for one job are sequential."""

    async def on_start(self, job_id: str) -> None:
        """Record that the job has left the queue."""

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Store encoded frames; the index of the first is `first`."""

    async def on_end(self, job_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """Record that the job is over after `index` frames. The last report of a job, and the only one of its kind.

        The reason is a `Crash` where the process is at fault and not the job.
        """

    def on_moved(self, job_ids: Sequence[str]) -> None:
        """Record that the places of these waiting jobs have changed."""

    def on_free(self) -> None:
        """Record that a worker waits for a job. An engine that does not report it is polled, which is slower."""


class Engine(ABC):
    """Execute jobs, a limited number at a time, while the others wait in order."""

    @abstractmethod
    async def start(self, sink: Sink) -> None:
        """Start the workers. Jobs are accepted from now on; they wait until a worker can execute them."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the workers immediately. Waiting and running jobs are discarded, and their end is not reported."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue. Its id must not be that of a waiting or running job."""

    @abstractmethod
    async def cancel(self, job_id: str) -> None:
        """Stop a job, and return when its end has been reported; ignore an unknown id."""

    @abstractmethod
    async def settle(self, job_id: str) -> None:
        """Wait until the job has ended, if it is being stopped."""

    @abstractmethod
    def position(self, job_id: str) -> int | None:
        """Return the place in the queue, 1 for the next; 0 for a running job; None for an unknown one."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Return how many jobs wait."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Return how many jobs run."""

    @property
    def free(self) -> int:
        """Return how many jobs would begin immediately. A caller with a shared queue of its own submits no more."""
        return max(0, self.ready_workers - self.running - self.waiting)

    @property
    def has_spare(self) -> bool:
        """Return whether a short job would begin immediately, in addition to those of the busy workers."""
        return False

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """Return the workers' measured rates; until one has reported, those of a typical core."""

    @property
    @abstractmethod
    def ready_workers(self) -> int:
        """Return how many workers can take a job or are computing one."""

    @property
    def worker_deaths(self) -> int:
        """Return how many workers ended unexpectedly; 0 where the engine does not keep workers itself."""
        return 0
