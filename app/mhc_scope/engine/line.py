"""Jobs of the local engine, and the lines in which they wait for a worker."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from mhc_scope.engine.contract import EndStatus, Job
from mhc_scope.engine.worker import Worker


@dataclass(eq=False)
class JobQueue:
    """Jobs that wait for the same workers; one that has had no job for `idle_s` since its last ends, None for never."""

    idle_s: float | None = None
    jobs: deque["QueuedJob"] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, entry: "QueuedJob") -> None:
        """At its end."""
        self.jobs.append(entry)
        self.arrived.set()

    def put_first(self, entry: "QueuedJob") -> None:
        """Before all others: it was its turn."""
        self.jobs.appendleft(entry)
        self.arrived.set()

    async def wait(self) -> None:
        """Until a job waits."""
        while not self.jobs:
            self.arrived.clear()
            await self.arrived.wait()


@dataclass(eq=False)
class QueuedJob:
    """A job that has been submitted and has not ended."""

    job: Job
    line: JobQueue
    frames: int = 0  # Passed on so far.
    is_second_try: bool = False  # The worker that it was first given to was dead already.
    worker: Worker | None = None
    verdict: tuple[EndStatus, str | None] | None = None  # How it ends if it is stopped from outside.
    # Set where its worker, asked to stop, has not answered in time.
    given_up: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    settled: asyncio.Event = field(default_factory=asyncio.Event)
