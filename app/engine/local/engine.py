"""The engine of one machine: a queue and a fixed number of warm worker processes."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.engine.base import EndStatus, Engine, Sink, SinkError
from app.engine.local.process import WorkerProcess, explain_exit
from app.settings import Settings
from mhc_core.cost.rates import DEFAULT_RATES, Rates, combine

log = logging.getLogger("mhc.engine")

READY, END = b"#ready ", b"#end "
# A worker looks for a cancel between two frames. If it has not answered by then, the run ends without its answer ...
CANCEL_GRACE_S = 0.15
# ... and the worker has this much longer, about what a new one takes to warm up, before it is killed.
KILL_GRACE_S = 3.0
# A worker that dies before it is ready is tried again after this, doubled each time.
RETRY_S, RETRY_MAX_S = 0.5, 30.0


@dataclass(eq=False)
class _Job:
    run_id: str
    spec: dict[str, Any]
    frames: int = 0  # Passed on so far.
    worker: WorkerProcess | None = None
    verdict: tuple[EndStatus, str | None] | None = None  # How it ends if it is stopped from outside.
    # Set where its worker, asked to stop, has not answered in time.
    given_up: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class LocalEngine(Engine):
    """Worker processes on this machine, one task each in the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: deque[_Job] = deque()
        self._jobs: dict[str, _Job] = {}
        self._arrived = asyncio.Event()
        self._workers: dict[WorkerProcess, Rates] = {}
        self._rates = DEFAULT_RATES
        self._slots: list[asyncio.Task[None]] = []
        self._sink: Sink

    async def start(self, sink: Sink) -> None:
        """Start one slot a worker; workers warm up meanwhile."""
        self._sink = sink
        self._slots = [asyncio.create_task(self._keep_slot()) for _ in range(self._settings.worker_count)]

    async def stop(self) -> None:
        """Cancel the slots, each of which kills its worker."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    def submit(self, run_id: str, spec: dict[str, Any]) -> None:
        """Put a run at the end of the queue."""
        assert run_id not in self._jobs, f"run {run_id} is already here"
        job = _Job(run_id, spec)
        self._jobs[run_id] = job
        self._queue.append(job)
        self._arrived.set()

    async def cancel(self, run_id: str) -> None:
        """Take the run out of the queue, or stop its worker."""
        job = self._jobs.get(run_id)
        if job is None:
            return
        if job in self._queue:
            self._queue.remove(job)
            job.verdict = ("cancelled", None)
            self._notify_moved()
            await self._end(job, "cancelled", None)
        elif job.verdict is None:
            self._stop_job(job, "cancelled", None)
        await job.settled.wait()

    async def settle(self, run_id: str) -> None:
        """Wait out a stop that is under way."""
        job = self._jobs.get(run_id)
        if job is not None and job.verdict is not None:
            await job.settled.wait()

    def position(self, run_id: str) -> int | None:
        """Place in the queue; 0 when it has left the queue."""
        job = self._jobs.get(run_id)
        if job is None:
            return None
        return self._queue.index(job) + 1 if job in self._queue else 0

    @property
    def waiting(self) -> int:
        """Runs in the queue."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Runs being computed."""
        return len(self._jobs) - len(self._queue)

    @property
    def rates(self) -> Rates:
        """The median of what the workers have measured."""
        return self._rates

    @property
    def ready_workers(self) -> int:
        """Workers that have warmed up."""
        return len(self._workers)

    # One slot: a worker, replaced whenever it dies.

    async def _keep_slot(self) -> None:
        retry_s = RETRY_S
        while True:
            try:
                was_ready = await self._serve_worker()
            except Exception:
                log.exception("a worker could not be started, or its slot failed")
                was_ready = False
            retry_s = RETRY_S if was_ready else min(2 * retry_s, RETRY_MAX_S)
            if not was_ready:
                log.error("a worker died before it was ready; the next try is in %.1f s", retry_s)
                await asyncio.sleep(retry_s)

    async def _serve_worker(self) -> bool:
        """Give runs to one worker until it dies; says whether it ever became ready."""
        settings = self._settings
        worker = await WorkerProcess.spawn(settings.threads_per_worker, settings.worker_memory_bytes)
        try:
            first = await worker.next_lines()
            if not first or not first[0].startswith(READY):
                return False
            self._workers[worker] = Rates.model_validate_json(first[0].removeprefix(READY))
            self._rates = combine(list(self._workers.values()))
            while (job := await self._take_job(worker)) is not None:
                if not await self._execute(worker, job):
                    break
            return True
        finally:
            self._workers.pop(worker, None)
            worker.kill()
            code = await worker.wait()
            if not worker.was_killed:
                log.warning("worker %d is gone: %s", worker.pid, explain_exit(code))

    async def _take_job(self, worker: WorkerProcess) -> _Job | None:
        """The next run, or None when the worker dies while it waits."""
        arrival, death = asyncio.create_task(self._next_job()), asyncio.create_task(worker.wait())
        try:
            await asyncio.wait({arrival, death}, return_when=asyncio.FIRST_COMPLETED)
            if not death.done():
                return arrival.result()
            if arrival.done():
                self._queue.appendleft(arrival.result())
            return None
        finally:
            arrival.cancel()
            death.cancel()

    async def _next_job(self) -> _Job:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        job = self._queue.popleft()
        self._notify_moved()
        return job

    def _notify_moved(self) -> None:
        self._sink.on_moved([job.run_id for job in self._queue])

    # One run.

    async def _execute(self, worker: WorkerProcess, job: _Job) -> bool:
        """Run a job to its end and report it; says whether the worker can take another."""
        job.worker = worker
        deadline_s = self._settings.run_deadline_s
        reason = f"it took longer than {deadline_s:g} s, the deadline of this server"
        deadline = asyncio.get_running_loop().call_later(deadline_s, self._stop_job, job, "failed", reason)
        try:
            if job.verdict is not None:  # Stopped on its way from the queue to the worker.
                await self._end(job, *job.verdict)
                return True
            worker.send({"run": job.run_id, "spec": job.spec})
            await self._sink.on_start(job.run_id)  # While the worker begins.
            report = await self._pass_on(worker, job)
            if report is not None:
                await self._end(job, *self._judge(job, report))
                return True
            if job.given_up.done() and job.verdict is not None:
                await self._end(job, *job.verdict)
                return await self._wait_for_answer(worker)
            await self._end(job, *(job.verdict or ("failed", explain_exit(await worker.wait()))))
        except SinkError as error:
            await self._end(job, "failed", str(error))
        except Exception as error:
            log.exception("run %s could not be stored", job.run_id)
            await self._end(job, "failed", f"the server could not store it: {type(error).__name__}")
        finally:
            deadline.cancel()
            job.worker = None
        return False

    async def _pass_on(self, worker: WorkerProcess, job: _Job) -> dict[str, Any] | None:
        """Give frames to the sink until the worker reports the end; None where it dies or is given up before."""
        while batch := await worker.next_lines(job.given_up):
            report = batch.pop() if batch[-1].startswith(END) else None
            if batch:
                await self._sink.on_lines(job.run_id, job.frames, batch)
                job.frames += len(batch)
            if report is not None:
                ended: dict[str, Any] = orjson.loads(report.removeprefix(END))
                return ended
        return None

    async def _wait_for_answer(self, worker: WorkerProcess) -> bool:
        """Whether a worker that was asked to stop does so before its time is up; what it still says is dropped."""
        try:
            async with asyncio.timeout(KILL_GRACE_S):
                while batch := await worker.next_lines():
                    if batch[-1].startswith(END):
                        return True
        except TimeoutError:
            worker.kill()
        return False

    def _stop_job(self, job: _Job, status: EndStatus, reason: str | None) -> None:
        """Ask the worker to stop, and do not wait for it long."""
        job.verdict = job.verdict or (status, reason)
        if job.worker is not None:
            job.worker.send({"cancel": job.run_id})
            asyncio.get_running_loop().call_later(CANCEL_GRACE_S, self._give_up, job)

    @staticmethod
    def _give_up(job: _Job) -> None:
        if job.worker is not None and not job.given_up.done():
            job.given_up.set_result(None)

    @staticmethod
    def _judge(job: _Job, report: dict[str, Any]) -> tuple[EndStatus, str | None]:
        """A stop from outside explains a run that its worker broke off, but undoes none that was done."""
        if report["status"] == "cancelled" and job.verdict is not None:
            return job.verdict
        return report["status"], report["reason"]

    async def _end(self, job: _Job, status: EndStatus, reason: str | None) -> None:
        try:
            await self._sink.on_end(job.run_id, job.frames, status, reason)
        except Exception:
            # The row stays live without a job here; the next POST of the spec, or a restart, starts it anew.
            log.exception("the end of run %s could not be stored", job.run_id)
        del self._jobs[job.run_id]
        job.settled.set()
