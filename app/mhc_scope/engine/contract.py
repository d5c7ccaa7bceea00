"""Define the interface of every engine: it accepts jobs and reports frames, and knows nothing of HTTP or the database.

`tests/contract/engine` contains the cases that each engine must pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mhc_core.cost.rates import Rates
from mhc_core.spec import RunSpec

EndStatus = Literal["done", "failed", "cancelled"]
RUN = "run"  # all frames of a spec
VERIFICATION = "verification"  # the one frame `recomputation` of a spec
ATLAS = "atlas"  # frames `progress`, then the one frame `atlas` of a spec
LENS = "lens"  # frames `progress`, then the one frame `lens` of a spec


@dataclass(frozen=True)
class Job:
    """A computation to execute: a spec, and the kind of computation. Its frames have `id` as their run.

    `is_spare`: whether it is a short job for the spare worker.
    """

    id: str
    kind: str
    spec: dict[str, Any]
    is_spare: bool = False


class SinkError(RuntimeError):
    """A sink cannot continue with a job; the text says why, and becomes the job's reason."""


class Crash(str):
    """The reason of a job that failed because its process died, so that a retry may succeed."""

    __slots__ = ()


class Sink(Protocol):
    """Receives the reports of an engine. Calls for one job are sequential."""

    async def on_start(self, job_id: str) -> None:
        """Record that a worker begins the job."""

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Store encoded frames. `first` is the index of the first one."""

    async def on_end(
        self, job_id: str, index: int, status: EndStatus, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None:
        """Record that the job has ended. This is called once, as the last report of a job.

        index: how many frames were reported before. The encoded frames `lines` follow them.
        reason: a `Crash` if the process failed, and not the job.
        """

    def on_free(self) -> None:
        """Record that a worker waits for a job. An engine that does not report this is polled, which is slower."""


class Engine(ABC):
    """Executes jobs, one on each worker. Jobs wait in the caller's queue, not here."""

    @abstractmethod
    async def start(self, sink: Sink) -> None:
        """Start the workers. They can execute jobs when `free` is above 0."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the workers immediately. Jobs are discarded, and their end is not reported."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a job with a new id, while `free` is above 0 or, for a spare job, `has_spare` is true.

        A job whose worker dies before it begins waits for the next worker that is ready.
        """

    @abstractmethod
    async def cancel(self, job_id: str) -> None:
        """Stop a job, and return after its end has been reported. Ignore an unknown id."""

    @abstractmethod
    async def settle(self, job_id: str) -> None:
        """If a job is being stopped, wait until it has ended."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Return the number of jobs that were submitted and have not ended."""

    @property
    def free(self) -> int:
        """Return the number of jobs that can be submitted now: that of idle workers."""
        return max(0, self.ready_workers - self.running)

    @property
    def has_spare(self) -> bool:
        """Return whether a short job can be submitted now, in addition to those of the workers."""
        return False

    def has_trained(self, spec: RunSpec) -> bool:
        """Return whether workers have stored the trained stack of a spec, and need not train; False if unknown."""
        return False

    def has_base(self, spec: RunSpec) -> bool:
        """Return whether a worker has probably kept the pass of a spec without edits; False if unknown."""
        return False

    def prepare(self, specs: Sequence[RunSpec]) -> None:
        """Let idle workers compute the passes of specs without edits soon, because runs with edits may follow.

        A new call replaces the previous one. An engine whose workers cannot do this does nothing.
        """
        return

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """Return the workers' measured speeds; until one has reported, those of a typical core."""

    @property
    @abstractmethod
    def ready_workers(self) -> int:
        """Return the number of workers that can take a job or are computing one."""

    @property
    def worker_deaths(self) -> int:
        """Return the number of workers that ended unexpectedly; 0 if the engine does not manage workers itself."""
        return 0
