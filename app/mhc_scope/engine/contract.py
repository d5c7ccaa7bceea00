"""The contract of every engine: it takes jobs and reports frames, and knows nothing of HTTP or of the database.

`tests/contract/engine` holds the cases that each engine must pass.
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
    """A spec, and what is to be computed of it, `kind`. The frames carry `id` as their run.

    `is_spare`: a short job for the spare worker, where the engine has one.
    """

    id: str
    kind: str
    spec: dict[str, Any]
    is_spare: bool = False


class SinkError(RuntimeError):
    """A sink cannot go on with a job; the text says why, and becomes the job's reason."""


class Crash(str):
    """The reason of a job that failed because the process that computed it was lost: tried again, it may succeed."""

    __slots__ = ()


class Sink(Protocol):
    """Receives the reports of an engine. Calls for one job come one after the other."""

    async def on_start(self, job_id: str) -> None:
        """The job has left the queue."""

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Encoded frames; the index of the first is `first`."""

    async def on_end(self, job_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """The job is over after `index` frames. The last report of a job, and the only one of its kind.

        The reason is a `Crash` where not the job is at fault but what computed it.
        """

    def on_moved(self, job_ids: Sequence[str]) -> None:
        """The places of these waiting jobs have changed."""

    def on_free(self) -> None:
        """A worker waits for a job. An engine that does not say so is asked again and again, which is slower."""


class Engine(ABC):
    """Executes jobs, a bounded number at a time, the rest waiting in order."""

    @abstractmethod
    async def start(self, sink: Sink) -> None:
        """Bring up what executes. Jobs are taken from here on; they wait until something can execute them."""

    @abstractmethod
    async def stop(self) -> None:
        """Take it down at once. Jobs waiting or under way are forgotten, and no end of them is reported."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue. Its id must not be that of a job waiting or under way."""

    @abstractmethod
    async def cancel(self, job_id: str) -> None:
        """Stop a job, and return when its end has been reported; an id unknown here is left alone."""

    @abstractmethod
    async def settle(self, job_id: str) -> None:
        """Where the job is being stopped, wait until it has ended."""

    @abstractmethod
    def position(self, job_id: str) -> int | None:
        """Place in the queue, 1 for the next; 0 for a job under way; None for one unknown here."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Jobs in the queue."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Jobs under way."""

    @property
    def free(self) -> int:
        """Jobs that would begin at once. A caller with a queue of its own, which others share, submits no more."""
        return max(0, self.ready_workers - self.running - self.waiting)

    @property
    def has_spare(self) -> bool:
        """Whether a short job would begin at once, beside workers that are all busy with long ones."""
        return False

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """How fast the workers are, by their own measurement; until one has reported, a usual core's."""

    @property
    @abstractmethod
    def ready_workers(self) -> int:
        """Workers that can take a job or are computing one."""

    @property
    def worker_deaths(self) -> int:
        """Workers that ended without being asked to; 0 where the engine does not keep workers itself."""
        return 0
