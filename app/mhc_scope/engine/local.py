"""Run the jobs of one machine on a fixed number of warm worker processes.

If there are two workers or more, a spare worker takes short jobs that arrive while all others are busy.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import torch

from mhc_core.cost.rates import DEFAULT_RATES, Rates, take_medians
from mhc_core.cost.threads import choose_threads
from mhc_core.measure.bases import Bases
from mhc_core.measure.trained import TrainedStacks
from mhc_core.spec import RunSpec
from mhc_scope.engine.contract import RUN, Crash, EndStatus, Engine, Job, Sink, SinkError
from mhc_scope.engine.handover import Handover
from mhc_scope.engine.process import WorkerProcess
from mhc_scope.engine.worker import Worker
from mhc_scope.settings import Settings

log = logging.getLogger("mhc.engine")

READY, END = b"#ready ", b"#end "
# A worker notices a cancellation between two frames. If it has not reported the end after this time, the run is ended
# without its report.
CANCEL_GRACE_S = 0.15
# Further time after which the worker is killed; about twice the time that a new worker takes to start.
KILL_GRACE_S = 1.0
# A worker that dies before it is ready is restarted after this time, doubled each time.
RETRY_S, RETRY_MAX_S = 0.5, 30.0
# A spare worker that has been idle for this long is replaced by a new one, which needs a tenth of the memory.
SPARE_IDLE_S = 60.0
# Time after a request for runs until idle workers compute the passes for edits of them, while the page draws the runs.
PREPARE_AFTER_S = 2.0


@dataclass(eq=False)
class LocalJob:
    """A job that was submitted and has not ended."""

    job: Job
    frames: int = 0  # Number of frames sent to the sink.
    is_second_try: bool = False  # Whether its first worker died before it began.
    worker: Worker | None = None
    imposed_end: tuple[EndStatus, str | None] | None = None  # if it is stopped from outside
    # Done when its worker has not reported the end in time after a stop.
    given_up: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    settled: asyncio.Event = field(default_factory=asyncio.Event)


Jobs = Handover[LocalJob]


class LocalEngine(Engine):
    """Runs worker processes on this machine, each controlled by a task (a slot) in the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._handover, self._spare_handover = Jobs(), Jobs()
        self._entries: dict[str, LocalJob] = {}
        self._workers: dict[Worker, Rates] = {}
        self._rates = DEFAULT_RATES
        self._are_warm = asyncio.Event()  # set when all workers have warmed up for the first time
        self._spare: Worker | None = None  # the spare worker, when it is warm
        self._slots: list[asyncio.Task[None]] = []
        self._deaths = 0
        self._preparing: asyncio.TimerHandle | None = None
        self._sink: Sink

    async def start(self, sink: Sink) -> None:
        """Start one slot per worker process; workers warm up in parallel."""
        self._sink = sink
        handovers = [self._handover] * self._settings.worker_count + [self._spare_handover] * self._has_spare
        self._slots = [asyncio.create_task(self._keep_slot(handover)) for handover in handovers]

    async def stop(self) -> None:
        """Cancel all slots; each kills its worker process."""
        if self._preparing is not None:
            self._preparing.cancel()
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        for entry in self._entries.values():
            entry.settled.set()
        self._entries.clear()
        self._handover, self._spare_handover = Jobs(), Jobs()

    def submit(self, job: Job) -> None:
        """Pass a job to an idle worker process."""
        assert job.id not in self._entries, f"job {job.id} is already here"
        entry = self._entries[job.id] = LocalJob(replace(job, is_spare=self._goes_to_spare(job)))
        self._hand_over(entry)

    def _goes_to_spare(self, job: Job) -> bool:
        """Return whether the spare worker takes a job: a spare job, or a run whose base only this worker has."""
        if job.is_spare:
            return not self._count_spare()  # if it has taken such a run, another worker is idle
        return self.has_spare and self._spare_handover.knows(job) and not self._handover.knows(job)

    async def cancel(self, job_id: str) -> None:
        """Stop the job on its worker, or end it if no worker has it."""
        entry = self._entries.get(job_id)
        if entry is None:
            return
        if entry.imposed_end is None:
            self._stop_job(entry, "cancelled", None)
            if entry.worker is None:
                await self._end_job(entry, "cancelled", None)
        await entry.settled.wait()

    async def settle(self, job_id: str) -> None:
        """Wait until a job that was cancelled has ended."""
        entry = self._entries.get(job_id)
        if entry is not None and entry.imposed_end is not None:
            await entry.settled.wait()

    @property
    def running(self) -> int:
        """Return how many jobs of the engine have not ended."""
        return len(self._entries)

    @property
    def free(self) -> int:
        """Return how many jobs can be submitted now; jobs of the spare worker do not count."""
        return max(0, self.ready_workers - len(self._entries) + self._count_spare())

    @property
    def has_spare(self) -> bool:
        """Return whether the spare worker waits for a job."""
        return self._spare is not None and not self._count_spare()

    def has_trained(self, spec: RunSpec) -> bool:
        """Return whether the stack of a spec is in the folder of trained stacks."""
        threads = choose_threads(spec, self._settings.threads_per_worker)
        return TrainedStacks(self._trained_folder).has(spec, threads)

    def has_base(self, spec: RunSpec) -> bool:
        """Return whether a worker has computed the run of a spec without its edits, and has probably kept it."""
        job = _to_job(spec)
        return _may_keep_base(spec) and (self._handover.has_base(job) or self._spare_handover.has_base(job))

    def prepare(self, specs: Sequence[RunSpec]) -> None:
        """Let idle workers compute the passes of specs without edits in `PREPARE_AFTER_S`, one each.

        A new call replaces the previous one.
        """
        if self._preparing is not None:
            self._preparing.cancel()
        loop = asyncio.get_running_loop()
        self._preparing = loop.call_later(PREPARE_AFTER_S, self._prepare_bases, specs)

    def _prepare_bases(self, specs: Sequence[RunSpec]) -> None:
        """Let each idle worker compute a pass without edits that no worker has."""
        missing = (_to_job(spec) for spec in specs if _may_keep_base(spec) and not self.has_base(spec))
        idle = [(handover, one) for handover in (self._handover, self._spare_handover) for one in handover.idle]
        for job, (handover, worker) in zip(missing, idle, strict=False):
            handover.note(worker, job)
            worker.send({"base": job.spec})

    @property
    def _trained_folder(self) -> Path:
        return self._settings.data / "trained"

    @property
    def _has_spare(self) -> bool:
        return self._settings.spare_run_s > 0

    def _count_spare(self) -> int:
        return sum(entry.job.is_spare for entry in self._entries.values())

    def _hand_over(self, entry: LocalJob) -> None:
        (self._spare_handover if entry.job.is_spare else self._handover).put(entry)

    @property
    def rates(self) -> Rates:
        """Return the median of the computing speeds that the workers have measured."""
        return self._rates

    @property
    def ready_workers(self) -> int:
        """Return how many worker processes have warmed up."""
        return len(self._workers)

    @property
    def worker_deaths(self) -> int:
        """Return how many worker processes ended unexpectedly."""
        return self._deaths

    # ---- one slot: a worker, which is replaced when it dies

    async def _keep_slot(self, handover: Jobs) -> None:
        """Start a worker again whenever it ends, after pauses that double while workers end before they are ready."""
        retry_s = RETRY_S
        while True:
            if handover is self._spare_handover:
                await self._are_warm.wait()  # the spare worker must not delay the start of the others
            try:
                was_ready = await self._serve_worker(handover)
            except Exception:
                log.exception("a worker could not be started, or its slot failed")
                was_ready = False
            retry_s = RETRY_S if was_ready else min(2 * retry_s, RETRY_MAX_S)
            if not was_ready:
                log.error("a worker died before it was ready; the next try is in %.1f s", retry_s)
                await asyncio.sleep(retry_s)

    async def _serve_worker(self, handover: Jobs) -> bool:
        """Pass jobs to one worker until it dies or was idle for too long. Return whether it became ready."""
        worker, is_spare = await self.spawn_worker(), handover is self._spare_handover
        try:
            first = await worker.next_lines()
            if not first or not first[0].startswith(READY):
                return False
            self._note_ready(worker, first[0], is_spare=is_spare)
            while (entry := await self._take_job(worker, handover, SPARE_IDLE_S if is_spare else None)) is not None:
                if entry.imposed_end is not None:
                    continue  # it was cancelled before, and has ended
                if not await self._execute(worker, entry):
                    break
            return True
        finally:
            self._workers.pop(worker, None)
            self._spare = None if self._spare is worker else self._spare
            worker.kill()
            reason = await worker.explain_end()
            if not worker.was_killed:
                self._deaths += 1
                log.warning("worker %s has ended: %s", worker.name, reason)

    def _note_ready(self, worker: Worker, answer: bytes, *, is_spare: bool) -> None:
        """Record that a worker has warmed up, and the speed that it has measured."""
        if is_spare:  # ignore its rates, because other workers may have been busy when they were measured
            self._spare = worker
            return
        self._workers[worker] = Rates.model_validate_json(answer.removeprefix(READY))
        self._rates = take_medians(list(self._workers.values()))
        if len(self._workers) == self._settings.worker_count:
            self._are_warm.set()

    async def spawn_worker(self) -> Worker:
        """Start a worker, here as a process. Engines with workers elsewhere override it."""
        settings = self._settings
        return await WorkerProcess.spawn(
            settings.threads_per_worker, settings.worker_memory_bytes, self._trained_folder
        )

    async def _take_job(self, worker: Worker, handover: Jobs, idle_s: float | None) -> LocalJob | None:
        """Return the next job, or None if the worker dies while it waits, or waits longer than `idle_s`.

        A worker that has computed nothing may wait without a limit.
        """
        arrival, death = handover.wait(worker), asyncio.create_task(worker.wait())
        either: set[asyncio.Future[Any]] = {arrival, death}
        if not arrival.done():
            self._sink.on_free()
        try:
            while not (await asyncio.wait(either, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED))[0]:
                if handover.is_used(worker):
                    break
            handover.leave(worker)
            if arrival.done() and not death.done():
                return arrival.result()
            if arrival.done():
                handover.put(arrival.result())
            return None
        finally:
            handover.leave(worker)
            death.cancel()

    # ---- one job

    async def _execute(self, worker: Worker, entry: LocalJob) -> bool:
        """Run a job on a worker until its end, and report the end. Return whether the worker can take another job."""
        entry.worker = worker
        deadline_s = self._settings.run_deadline_s
        reason = f"it took longer than {deadline_s:g} s, the deadline of this server"
        deadline = asyncio.get_running_loop().call_later(deadline_s, self._stop_job, entry, "failed", reason)
        try:
            worker.send({"run": entry.job.id, "kind": entry.job.kind, "spec": entry.job.spec})
            if not entry.is_second_try:
                await self._sink.on_start(entry.job.id)  # In parallel to the worker's start.
            report, lines = await self._pass_on(worker, entry)
            if report is not None:
                await self._end_job(entry, *self._decide_status(entry, report), lines)
                return True
            if entry.given_up.done() and entry.imposed_end is not None:
                await self._end_job(entry, *entry.imposed_end)
                return await self._wait_for_answer(worker)
            reason = await worker.explain_end()
            if entry.frames == 0 and entry.imposed_end is None and not entry.is_second_try:
                # The first frame of a run comes before anything is computed: without it, the worker was dead before.
                # A verification has only one frame, so it may be retried although its worker has computed.
                entry.is_second_try = True
                self._hand_over(entry)
            else:
                await self._end_job(entry, *(entry.imposed_end or ("failed", Crash(reason))))
        except SinkError as error:
            await self._end_job(entry, "failed", str(error))
        except Exception as error:
            log.exception("run %s could not be stored", entry.job.id)
            await self._end_job(entry, "failed", f"the server could not store it: {type(error).__name__}")
        finally:
            deadline.cancel()
            entry.worker = None
        return False

    async def _pass_on(self, worker: Worker, entry: LocalJob) -> tuple[dict[str, Any] | None, list[bytes]]:
        """Pass frames from a worker to the sink. Return the worker's report of the end, None if it dies before, and
        the frames that came with the report.
        """
        while batch := await worker.next_lines(entry.given_up):
            if batch[-1].startswith(END):
                ended: dict[str, Any] = orjson.loads(batch.pop().removeprefix(END))
                return ended, batch
            await self._sink.on_lines(entry.job.id, entry.frames, batch)
            entry.frames += len(batch)
        return None, []

    async def _wait_for_answer(self, worker: Worker) -> bool:
        """Return whether a worker that must stop reports the end of its job in time; ignore its other lines."""
        try:
            async with asyncio.timeout(KILL_GRACE_S):
                while batch := await worker.next_lines():
                    if batch[-1].startswith(END):
                        return True
        except TimeoutError:
            worker.kill()
        return False

    def _stop_job(self, entry: LocalJob, status: EndStatus, reason: str | None) -> None:
        """Let the worker stop a job, and limit the wait for its report. status, reason: the end of the job."""
        entry.imposed_end = entry.imposed_end or (status, reason)
        if entry.worker is not None:
            entry.worker.send({"cancel": entry.job.id})
            asyncio.get_running_loop().call_later(CANCEL_GRACE_S, self._give_up, entry)

    @staticmethod
    def _give_up(entry: LocalJob) -> None:
        """Stop waiting for the worker of a job, which is then killed."""
        if entry.worker is not None and not entry.given_up.done():
            entry.given_up.set_result(None)

    @staticmethod
    def _decide_status(entry: LocalJob, report: dict[str, Any]) -> tuple[EndStatus, str | None]:
        """Return the final status of a job: if it was stopped, that of the stop, unless the job was done already."""
        if report["status"] == "cancelled" and entry.imposed_end is not None:
            return entry.imposed_end
        return report["status"], report["reason"]

    async def _end_job(
        self, entry: LocalJob, status: EndStatus, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None:
        """Report the end of a job with its last frames, and forget the job even if the end cannot be stored."""
        try:
            await self._sink.on_end(entry.job.id, entry.frames, status, reason, lines)
        except Exception:
            log.exception("the end of run %s could not be stored", entry.job.id)
        self._entries.pop(entry.job.id, None)
        entry.settled.set()


def _to_job(spec: RunSpec) -> Job:
    """Return the job of a spec's run without edits."""
    plain = spec.model_copy(update={"edits": ()})
    return Job(plain.id, RUN, plain.canonical())


def _may_keep_base(spec: RunSpec) -> bool:
    """Return whether workers on this machine keep the pass of a spec without edits."""
    is_on_card = spec.device != "cpu" and torch.cuda.is_available()
    return Bases().has_room(spec, torch.device("cuda" if is_on_card else "cpu"))
