"""Servers without HTTP and without workers: from the queue to the stream all is real, what computes is led by hand.

Several servers may live in one event loop, each with a database connection of its own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.api.stream import Feed
from mhc_scope.engine.contract import Crash, EndStatus, Engine, Job, Sink, SinkError
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.policy import OpenPolicy
from mhc_scope.services.runs import Runs
from mhc_scope.services.storage import Storage
from mhc_scope.settings import Settings
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import StoredRun
from tests.apart import run_loop
from tests.app.store.place import LocalPlace, Place

WAIT_S = 30.0


class Puppet(Engine):
    """An engine whose jobs do what a test says, and nothing else."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.frames: dict[str, int] = {}  # job -> frames that it has given
        self.begun: list[str] = []
        self.prepared: list[list[str]] = []
        self._sink: Sink

    async def start(self, sink: Sink) -> None:
        """Workers are warm at once."""
        self._sink = sink

    async def stop(self) -> None:
        """Forget everything."""
        self.frames.clear()

    def submit(self, job: Job) -> None:
        """Begin it."""
        assert job.id not in self.frames
        assert len(self.frames) < self.workers, "a server takes no more runs than it has workers"
        self.frames[job.id] = 0
        self.begun.append(job.id)

    def prepare(self, specs: Sequence[RunSpec]) -> None:
        """Record their ids."""
        self.prepared.append([spec.id for spec in specs])

    async def cancel(self, job_id: str) -> None:
        """End it as cancelled."""
        if job_id in self.frames:
            await self.end(job_id, "cancelled")

    async def settle(self, job_id: str) -> None:
        """Nothing is ever on its way."""

    @property
    def running(self) -> int:
        """All that are here."""
        return len(self.frames)

    @property
    def rates(self) -> Rates:
        """Those of a usual core."""
        return DEFAULT_RATES

    @property
    def ready_workers(self) -> int:
        """All of them."""
        return self.workers

    async def step(self, job_id: str, count: int = 1) -> None:
        """Let a job give frames; a sink that cannot go on ends it."""
        first = self.frames[job_id]
        if first == 0:
            await self._sink.on_start(job_id)
        try:
            await self._sink.on_lines(job_id, first, [to_line(job_id, first + k) for k in range(count)])
        except SinkError as error:
            await self.end(job_id, "failed", str(error))
            return
        self.frames[job_id] = first + count

    async def end(self, job_id: str, status: EndStatus, reason: str | None = None) -> None:
        """Let a job end."""
        await self._sink.on_end(job_id, self.frames[job_id], status, reason)
        self.frames.pop(job_id, None)
        self._sink.on_free()

    async def crash(self, job_id: str) -> None:
        """Kill the worker of a job."""
        await self.end(job_id, "failed", Crash("the worker process was killed"))


class Server:
    """One server on a database."""

    def __init__(self, place: Place, workers: int = 1, **settings: Any) -> None:
        self.place, self.settings = place, Settings(precompute=False, workers=workers, **settings)
        self.database, self.hub, self.engine = place.open(), Hub(), Puppet(workers)
        self.store = place.build_store(self.database, self.hub)
        storage = Storage(self.settings, self.database)
        self.runs = Runs(self.settings, OpenPolicy(self.settings), self.store, self.engine, self.hub, storage)

    async def start(self) -> "Server":
        """Start it."""
        await self.runs.start()
        return self

    async def stop(self) -> None:
        """Stop it as a signal would."""
        self.hub.close()
        await self.runs.stop()
        await self.database.close()

    async def kill(self) -> None:
        """End it as a power cut would: nothing more is written."""
        dispatcher = self.runs._dispatcher
        await self.place.disconnect(self.store)
        for loop in dispatcher._loops:
            loop.cancel()
        await asyncio.gather(*dispatcher._loops, return_exceptions=True)
        self.hub.close()
        await self.database.close()

    async def submit(self, spec: RunSpec, client: str = "me") -> str:
        """Post a spec; its id."""
        (submitted,) = await self.runs.submit([spec], ClientIdentity(client, client))
        return submitted.run_id

    async def get(self, run_id: str) -> StoredRun:
        """The run as it is stored."""
        run = await self.runs.store.get(run_id)
        assert run is not None
        return run

    async def cancel(self, run_id: str, viewer: str = "nobody") -> str:
        """DELETE it; its status then."""
        return (await self.runs.cancel(await self.get(run_id), viewer)).run.status

    async def follow(self, run_id: str, viewer: str = "viewer") -> list[dict[str, Any]]:
        """All frames of a run, as a viewer gets them, to the end of the stream."""
        feed = Feed(self.runs, 0.5, {run_id: -1}, "ndjson")
        with self.runs.hub.subscribe([run_id], viewer) as subscription:
            text = b"".join([chunk async for chunk in feed.follow(subscription)])
        return [json.loads(line) for line in text.splitlines()]

    async def compute(self, run_id: str, frames: int = 3) -> None:
        """Give a job's frames, and its end, unless it is stopped meanwhile."""
        await self.engine.step(run_id, frames - self.engine.frames[run_id])
        if run_id in self.engine.frames:
            await self.engine.end(run_id, "done")


def make_spec(seed: int) -> RunSpec:
    """Small specs by seed."""
    return parse_spec({"depth": 2, "width": 8, "seed": seed})


def to_line(run_id: str, index: int) -> bytes:
    """The frame of a job at an index: always the same."""
    return b'{"run":"%s","index":%d,"type":"forward"}\n' % (run_id.encode(), index)


def check_log(frames: Sequence[dict[str, Any]], status: str) -> None:
    """Frames follow each other without a gap, and one end closes them."""
    assert [frame["index"] for frame in frames] == list(range(len(frames)))
    assert [frame["type"] for frame in frames].count("end") == 1
    assert frames[-1]["type"] == "end"
    assert frames[-1]["status"] == status


async def wait_until(is_so: Callable[[], Awaitable[bool]] | Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Look again and again."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = is_so()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


def play(act: Awaitable[None]) -> None:
    """Run a scene to its end."""

    async def inside() -> None:
        async with asyncio.timeout(4 * WAIT_S):
            await act

    run_loop(inside())


def start_local(folder: Path, **settings: Any) -> Awaitable[Server]:
    """Start a server on a file in a folder."""
    return Server(LocalPlace(folder), **settings).start()
