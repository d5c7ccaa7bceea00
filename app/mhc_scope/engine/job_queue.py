"""Queue the jobs of the local engine until a worker takes them."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from mhc_scope.engine.contract import EndStatus, Job
from mhc_scope.engine.worker import Worker


@dataclass(eq=False)
class JobQueue:
    """Jobs that wait for the same workers; a worker without a job for `idle_s` since its last ends, None for never."""

    idle_s: float | None = None
    jobs: deque["QueuedJob"] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, entry: "QueuedJob") -> None:
        """Append a job."""
        self.jobs.append(entry)
        self.arrived.set()

    def put_first(self, entry: "QueuedJob") -> None:
        """Put a job before all others: it was next."""
        self.jobs.appendleft(entry)
        self.arrived.set()

    async def wait(self) -> None:
        """Wait until a job is in the queue."""
        while not self.jobs:
            self.arrived.clear()
            await self.arrived.wait()


@dataclass(eq=False)
class QueuedJob:
    """A job that was submitted and has not ended."""

    job: Job
    queue: JobQueue
    frames: int = 0  # Sent to the sink so far.
    is_second_try: bool = False  # Its first worker had died before it began.
    worker: Worker | None = None
    verdict: tuple[EndStatus, str | None] | None = None  # Its end, if it is stopped from outside.
    # Set when its worker has not answered a stop in time.
    given_up: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    settled: asyncio.Event = field(default_factory=asyncio.Event)
