"""What every engine offers: it takes specs and reports frames, and knows nothing of HTTP or of the database.

The local engine runs worker processes on this machine; an engine on a cluster would stand beside it, with the
same calls.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from mhc_core.cost.rates import Rates

EndStatus = Literal["done", "failed", "cancelled"]

# A job whose id ends so does not run its spec but recomputes it, to verify the run that the rest of the id names.
VERIFICATION = "-verify"


class SinkError(RuntimeError):
    """A sink cannot go on with a run; the text says why, and becomes the run's reason."""


class Sink(Protocol):
    """Who is told what becomes of a run. Calls for one run come one after the other."""

    async def on_start(self, run_id: str) -> None:
        """The run has left the queue."""

    async def on_lines(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Encoded frames; the index of the first is `first`."""

    async def on_end(self, run_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """The run is over after `index` frames."""

    def on_moved(self, run_ids: Sequence[str]) -> None:
        """The places of these waiting runs have changed."""


class Engine(ABC):
    """Executes specs, a bounded number at a time, the rest waiting in order."""

    @abstractmethod
    async def start(self, sink: Sink) -> None:
        """Bring up what executes."""

    @abstractmethod
    async def stop(self) -> None:
        """Take it down at once; runs under way are left without an end."""

    @abstractmethod
    def submit(self, run_id: str, spec: dict[str, Any]) -> None:
        """Put a run at the end of the queue."""

    @abstractmethod
    async def cancel(self, run_id: str) -> None:
        """Stop a run, and return when its end has been reported; a run unknown here is left alone."""

    @abstractmethod
    async def settle(self, run_id: str) -> None:
        """Where the run is being stopped, wait until it has ended."""

    @abstractmethod
    def position(self, run_id: str) -> int | None:
        """Place in the queue, 1 for the next; 0 for a run being computed; None for one unknown here."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Runs in the queue."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Runs being computed."""

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """How fast the workers are, by their own measurement; until one has reported, a usual core's."""

    @property
    @abstractmethod
    def ready_workers(self) -> int:
        """Workers that can take a run or are computing one."""
