"""Define the contract of every engine: it accepts jobs and reports frames, and knows nothing of HTTP or the database.

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
    """A spec, and which computation of it is wanted, `kind`. The frames carry `id` as their run.

    `is_spare`: a short job for the spare worker, if the engine has one.
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
        """Record that a worker begins the job."""

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Store encoded frames; the index of the first is `first`."""

    async def on_end(
        self, job_id: str, index: int, status: EndStatus, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None:
        """Record that the job is over. The last report of a job, and the only one of its kind.

        index: how many frames were reported before; the encoded frames `lines` follow them.
        reason: a `Crash` if the process is at fault and not the job.
        """

    def on_free(self) -> None:
        """Record that a worker waits for a job. An engine that does not report it is polled, which is slower."""


class Engine(ABC):
    """Execute jobs, one on each worker. Jobs wait in the caller's queue, not here."""

    @abstractmethod
    async def start(self, sink: Sink) -> None:
        """Start the workers; `free` says when they can execute jobs."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the workers immediately. Jobs are discarded, and their end is not reported."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a job, while `free` is not 0 or, for a spare job, `has_spare` is true. No running job has its id.

        A job whose worker dies before it begins waits for the next worker that is ready.
        """

    @abstractmethod
    async def cancel(self, job_id: str) -> None:
        """Stop a job, and return when its end has been reported; ignore an unknown id."""

    @abstractmethod
    async def settle(self, job_id: str) -> None:
        """Wait until the job has ended, if it is being stopped."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Return how many jobs were submitted and have not ended."""

    @property
    def free(self) -> int:
        """Return how many jobs can be submitted now: the number of idle workers."""
        return max(0, self.ready_workers - self.running)

    @property
    def has_spare(self) -> bool:
        """Return whether a short job can be submitted now, in addition to those of the workers."""
        return False

    def has_trained(self, spec: RunSpec) -> bool:
        """Return whether workers would read the trained stack of a spec; False if the engine stores none."""
        return False

    def has_base(self, spec: RunSpec) -> bool:
        """Return whether a worker has probably kept the pass of a spec without edits; False if unknown."""
        return False

    def prepare(self, specs: Sequence[RunSpec]) -> None:
        """Let idle workers compute the passes of specs without edits soon, because edits may follow. The latest call
        counts. An engine whose workers cannot do it does nothing.
        """
        return

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
        """Return how many workers ended unexpectedly; 0 if the engine does not keep workers itself."""
        return 0
