"""Pass jobs to idle workers: a run with edits to the worker that has computed the same run without them.

That worker may have kept the pass without edits (`mhc_core.measure.bases`), which others would compute again. If it is
busy, an idle one takes the job.
"""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import orjson

from mhc_scope.engine.contract import RUN, Job
from mhc_scope.engine.worker import Worker, without_edits

# Number of latest passes without edits that are assumed to be kept by a worker. A wrong assumption only costs time.
KNOWN_BASES = 4


class HasJob(Protocol):
    """An object with a job, which is passed to a worker."""

    @property
    def job(self) -> Job:
        """Return the job."""


Entry = TypeVar("Entry", bound=HasJob)


class Handover(Generic[Entry]):
    """Idle workers that wait for jobs. A job waits only if its worker died before it began and no other is idle."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._idle: dict[Worker, asyncio.Future[Entry]] = {}  # the worker that waits longest comes first
        self._bases: WeakKeyDictionary[Worker, deque[bytes]] = WeakKeyDictionary()
        self._used: WeakSet[Worker] = WeakSet()  # workers that have computed anything

    def put(self, entry: Entry) -> None:
        """Pass a job to an idle worker, or let it wait for one."""
        if not self._idle:
            self._entries.append(entry)
            return
        worker = self._find_worker(entry.job) or next(iter(self._idle))
        self._pass_on(entry, worker, self._idle.pop(worker))

    def knows(self, job: Job) -> bool:
        """Return whether an idle worker has computed the job's run without edits."""
        return self._find_worker(job) is not None

    def has_base(self, job: Job) -> bool:
        """Return whether a worker, idle or not, has computed the job's run without edits."""
        return any(name_base(job) in known for known in self._bases.values())

    @property
    def idle(self) -> list[Worker]:
        """Return the workers that wait for jobs; the one that waits longest comes first."""
        return [*self._idle]

    def is_used(self, worker: Worker) -> bool:
        """Return whether a worker has computed anything."""
        return worker in self._used

    def note(self, worker: Worker, job: Job) -> None:
        """Record that a worker computes a job, or the pass of its run without edits."""
        self._used.add(worker)
        base = name_base(job)
        if base is not None:
            self._bases.setdefault(worker, deque(maxlen=KNOWN_BASES)).append(base)

    def wait(self, worker: Worker) -> asyncio.Future[Entry]:
        """Return a future with the worker's next job."""
        arrival: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        if self._entries:
            self._pass_on(self._entries.popleft(), worker, arrival)
        else:
            self._idle[worker] = arrival
        return arrival

    def leave(self, worker: Worker) -> None:
        """Pass no job to this worker until it waits again."""
        self._idle.pop(worker, None)

    def _find_worker(self, job: Job) -> Worker | None:
        """Return the idle worker that has computed the job's run without edits, if there is one."""
        base = name_base(job)
        return next((worker for worker in self._idle if base in self._bases.get(worker, ())), None)

    def _pass_on(self, entry: Entry, worker: Worker, arrival: asyncio.Future[Entry]) -> None:
        """Give a job to a waiting worker, and note the run without edits that the worker then has in memory."""
        self.note(worker, entry.job)
        arrival.set_result(entry)


def name_base(job: Job) -> bytes | None:
    """Return a text that identifies the job's run without its edits; None for another kind of job."""
    if job.kind != RUN:
        return None
    return orjson.dumps(without_edits(job.spec), option=orjson.OPT_SORT_KEYS)
