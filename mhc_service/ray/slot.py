"""Control one worker from the bridge: an actor, which is replaced if a job needs other resources."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import orjson
import ray
from ray.exceptions import RayError

from mhc_service.ray.actor import Actor, Introduction, read_versions
from mhc_service.ray.options import Options
from mhc_service.ray.shapes import WorkerResources, explain_shortage, idle_worker_resources, job_resources

log = logging.getLogger("mhc.bridge")

LOST = (
    "the worker process in the cluster was killed (SIGKILL), by the system for lack of memory or from outside, "
    "or lost with its machine"
)
# If a worker has not started after this time, for example because others use its resources, a warning is logged.
LOG_AFTER_S = 15.0
# A worker that grew for a run releases the extra resources after being idle for this long.
RELEASE_AFTER_S = 10.0
MAX_REASON = 500
# The slot restarts actors itself: Ray must not repeat a job of which some lines were sent already.
# In addition to the computing thread there are two others for `control`, which Ray's type stubs do not know.
declare: Any = ray.remote
REMOTE = declare(max_restarts=0, max_task_retries=0, concurrency_groups={"control": 2})(Actor)


class NoCapacity(RuntimeError):
    """The cluster does not have the resources that a job needs. The text names them."""


class Slot:
    """Runs one worker of the Ray cluster, and replaces its actor if a job needs other resources.

    `send` sends result lines to the server. `report_end` is called once, when the worker ends, with the reason.
    """

    def __init__(self, options: Options, send: Callable[[bytes], None], report_end: Callable[[str], None]) -> None:
        self._options, self._send, self._report_end = options, send, report_end
        self._actor: Any = None
        self._shape = idle_worker_resources(options)
        self._mismatch: str | None = None
        self._job_numbers, self._job_number, self._job_id = itertools.count(1), 0, ""
        self._watch: asyncio.Task[None] | None = None
        self._replacing: asyncio.Task[Introduction] | None = None
        self._release_timer: asyncio.Task[None] | None = None  # waits to release resources, and can be cancelled
        self._release_task: asyncio.Task[None] | None = None  # releases resources, and must be awaited
        self._has_ended = False

    async def open(self) -> None:
        """Start an actor with the resources of an idle worker. Wait for these without a limit."""
        try:
            worker = await self._replace(self._shape, None)
        except (NoCapacity, RayError) as error:
            self.fail(str(error))
        else:
            self._send(b"#ready " + worker.rates + b"\n")

    async def run(self, job: dict[str, Any]) -> None:
        """Compute a job on the actor and send its lines to the server."""
        self._job_number, self._job_id = next(self._job_numbers), job["run"]
        await self._settle()
        try:
            await self._provide(job_resources(job, self._options))
        except NoCapacity as error:
            self._give_up("failed", str(error))
        except asyncio.CancelledError:
            self._give_up("cancelled", None)
        except RayError:
            log.exception("no worker for %s", job["run"])
            self.fail(LOST)
        else:
            await self._stream_job(job)
        if self._shape != idle_worker_resources(self._options) and not self._has_ended:
            self._release_timer = asyncio.create_task(self._release_resources())

    def cancel(self, job_id: str) -> None:
        """Stop the job between two frames, or while it waits for resources."""
        if job_id != self._job_id:
            return
        if self._replacing is not None:
            self._replacing.cancel()
        elif self._actor is not None:
            self._actor.cancel.options(concurrency_group="control").remote(self._job_number)

    def close(self) -> None:
        """Kill the Ray actor of the slot immediately."""
        self.fail("it was stopped")

    def fail(self, reason: str) -> None:
        """Report that the worker has ended, once, with the last line of the reason, which may be a traceback of Ray."""
        if not self._has_ended:
            self._has_ended = True
            if self._release_timer is not None:
                self._release_timer.cancel()
            self._release_actor()
            self._report_end(reason.strip().splitlines()[-1][:MAX_REASON])

    async def _stream_job(self, job: dict[str, Any]) -> None:
        """Run the job on the actor and send its lines as they arrive. If Ray fails, report the worker as lost."""
        if self._mismatch is not None:
            return self._send_job_end("failed", self._mismatch)
        lines = self._actor.compute.options(num_returns="streaming").remote(self._job_number, job)
        try:
            async for line in lines:
                self._send(await line)
        except RayError as error:
            log.warning("a worker is lost: %s", str(error).splitlines()[0])
            self.fail(LOST)
        finally:
            ray.cancel(lines)
        return None

    async def _provide(self, wanted: WorkerResources) -> None:
        """Replace the actor by one with the wanted resources, unless it already has them."""
        if self._shape.covers(wanted):
            return
        if lack := explain_shortage(wanted, list_machines()):
            raise NoCapacity(lack)
        self._replacing = asyncio.ensure_future(self._replace(wanted, self._options.wait_s))
        try:
            await self._replacing
        except TimeoutError:
            message = f"the cluster had no {wanted} free on one machine for {self._options.wait_s:g} s"
            raise NoCapacity(message) from None
        finally:
            self._replacing = None

    async def _replace(self, shape: WorkerResources, wait_s: float | None) -> Introduction:
        """Replace the actor by one with other resources, and wait at most `wait_s` until it is ready."""
        if lack := explain_shortage(shape, list_machines()):
            raise NoCapacity(lack)
        self._release_actor()
        actor = REMOTE.options(num_cpus=shape.cpus, num_gpus=shape.gpus, memory=int(shape.memory_bytes)).remote(
            int(shape.cpus), self._options.memory_bytes, self._options.trained
        )
        self._actor = actor
        log_timer = asyncio.get_running_loop().call_later(
            LOG_AFTER_S, log.warning, "a worker with %s has not come yet", shape
        )
        try:
            async with asyncio.timeout(wait_s):
                introduction: Introduction = await actor.introduce.remote()
        except BaseException:
            self._release_actor()
            raise
        finally:
            log_timer.cancel()
        self._shape, self._mismatch = shape, explain_version_mismatch(introduction)
        self._watch = asyncio.create_task(self._notice_death(actor))
        return introduction

    async def _notice_death(self, actor: Any) -> None:
        """Report the worker as lost when its actor dies."""
        try:
            await actor.stay.options(concurrency_group="control").remote()
        except RayError:
            self.fail(LOST)

    def _release_actor(self) -> None:
        """Kill the actor and stop the task that waits for its death."""
        if self._watch is not None:
            self._watch.cancel()
        if self._actor is not None:
            ray.kill(self._actor)
        self._actor = self._watch = None

    async def _release_resources(self) -> None:
        """Replace a large actor by one with the resources of an idle worker after a while, unless a job comes first."""
        await asyncio.sleep(RELEASE_AFTER_S)
        task, self._release_timer = self._release_timer, None  # From now on, a job waits for this task.
        self._release_task = task
        try:
            await self._replace(idle_worker_resources(self._options), self._options.wait_s)
        except (NoCapacity, RayError, TimeoutError) as error:
            self.fail(f"it released its resources, and then got none: {error}")

    async def _settle(self) -> None:
        """Cancel a planned release of resources, or wait for one that is running."""
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        if self._release_task is not None:
            await asyncio.wait({self._release_task})
            self._release_task = None

    def _give_up(self, status: str, reason: str | None) -> None:
        """End a job that has not begun. If its worker was given up for one that did not start, end the worker too."""
        if self._actor is None:
            self.fail(reason or "it was stopped while it was replaced")
        else:
            self._send_job_end(status, reason)

    def _send_job_end(self, status: str, reason: str | None) -> None:
        self._send(b"#end " + orjson.dumps({"status": status, "reason": reason}) + b"\n")


def list_machines() -> list[WorkerResources]:
    """Return the total resources of each machine of the cluster, whether in use or not."""
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [WorkerResources(each.get("CPU", 0), each.get("GPU", 0), each.get("memory", 0)) for each in found]


def explain_version_mismatch(introduction: Introduction) -> str | None:
    """Return a sentence that a worker's versions differ from this server's; None if they are equal."""
    ours, theirs = read_versions(), introduction.versions
    if ours == theirs:
        return None
    said = [", ".join(f"{name} {version}" for name, version in each.items()) for each in (theirs, ours)]
    return f"the worker ({introduction.place}) has {said[0]}, the server {said[1]}: install the same on both"
