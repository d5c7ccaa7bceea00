"""Run a worker process: read jobs from one pipe, write encoded frames to another.

Commands, one JSON object per line: `{"run": id, "kind": "run", "spec": {...}}`, `{"cancel": id}` and `{"base": spec}`.
Answers, one per line: frames, `#ready {rates}` after the start, and `#end {"status", "reason"}` after a job's frames. A
`base` has no answer: an idle worker computes the pass of the spec without edits, and keeps it.
`mhc_scope.engine.process` starts the process.
"""

import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from mhc_core.record import codec
from mhc_scope.engine.heap import keep_freed_memory
from mhc_scope.engine.pipe import AnswerWriter
from mhc_scope.engine.worker import without_edits

if TYPE_CHECKING:
    from mhc_core.measure.bases import Bases
    from mhc_core.record.frames import AnyFrame

# Of frames: the run has begun, and the forward curves are complete.
AWAITED = ("start", "loss")
NICENESS = 10
AUTOGROUP_S = 0.1

WARM_UP_SPEC = {
    "depth": 2,
    "width": 8,
    "block": {"heads": 2},
    "input": {"kind": "text", "text": "warm", "batch": 1, "tokens": 8},
}


def serve(
    commands: Connection,
    answers: Connection,
    errors: Connection,
    threads: int,
    memory_bytes: int,
    server_pid: int,
    trained: Path | None = None,
) -> None:
    """Execute commands until the server closes their pipe.

    errors: connection to which standard output and standard error are redirected.
    trained: folder of trained stacks, which runs that differ only in edits share; without it each of them trains.
    """
    os.dup2(errors.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    _lower_priority(server_pid)
    sender = AnswerWriter(os.fdopen(answers.fileno(), "wb"))
    receiver = _CommandReader(os.fdopen(commands.fileno(), "rb"))
    limit_memory(memory_bytes)
    keep_freed_memory()
    rates, bases = warm_up(), open_bases()
    sender.send(b"#ready " + rates + b"\n")
    while True:
        job = receiver.next_command()
        if "base" in job:
            prepare_base(job["base"], receiver.must_stop, threads, bases)
            continue
        status, reason = execute(job, receiver.cancelled, sender, threads, memory_bytes, trained, bases)
        sender.send(b"#end " + orjson.dumps({"status": status, "reason": reason}) + b"\n", is_last=True)


def execute(
    job: dict[str, Any],
    cancelled: threading.Event,
    answers: AnswerWriter,
    threads: int,
    memory_bytes: int,
    trained: Path | None = None,
    bases: "Bases | None" = None,
) -> tuple[str, str | None]:
    """Execute a job and send its frames. Return its status and the reason, if it failed.

    bases: passes without edits that this worker keeps.
    """
    from mhc_core.spec import SpecError

    try:
        frames = _compute_job(job["kind"], job["spec"], threads, trained, bases)
        for index, frame in enumerate(frames):
            if cancelled.is_set():
                frames.close()
                return "cancelled", None
            answers.send(codec.encode_frame(frame, job["run"], index), is_awaited=frame.type in AWAITED)
    except SpecError as error:  # for example a device that this machine does not have
        return "failed", str(error)
    except Exception as error:
        if _is_out_of_memory(error):
            return "failed", f"out of memory: a worker may allocate {memory_bytes / 2**30:.1f} GiB"
        # Viewers get the reason with the run; the server's log gets the traceback.
        traceback.print_exc()
        return "failed", f"{type(error).__name__}: {error}"
    return "done", None


def prepare_base(
    body: dict[str, Any], must_stop: Callable[[dict[str, Any]], bool], threads: int, bases: "Bases"
) -> None:
    """Compute and keep the pass of a spec without its edits. Stop if a job arrives that does not need it."""
    import torch

    from mhc_core.cost.threads import choose_threads
    from mhc_core.measure.run import prepare
    from mhc_core.spec import parse_spec

    try:
        spec = parse_spec(body)
        torch.set_num_threads(choose_threads(spec, threads))
        for _ in prepare(spec, bases):
            if must_stop(body):
                return
    except Exception:  # nobody waits for the pass; runs with edits will compute it themselves and report the error
        traceback.print_exc()


def _compute_job(
    kind: str, body: dict[str, Any], threads: int, folder: Path | None = None, bases: "Bases | None" = None
) -> "Generator[AnyFrame]":
    """Yield the frames of a job of any kind. folder: where trained stacks are stored; None for nowhere."""
    import torch

    from mhc_core.checks.recomputation import recompute
    from mhc_core.cost.threads import choose_threads
    from mhc_core.measure.atlas import measure_atlas
    from mhc_core.measure.lens import measure_lens
    from mhc_core.measure.run import run
    from mhc_core.measure.trained import TrainedStacks
    from mhc_core.spec import parse_spec

    spec = parse_spec(body)
    trained = None if folder is None else TrainedStacks(folder)
    torch.set_num_threads(choose_threads(spec, threads))
    if kind == "run":
        yield from run(spec, trained, bases)
    elif kind == "verification":
        yield recompute(spec)
    elif kind == "atlas":
        yield from measure_atlas(spec, trained)
    elif kind == "lens":
        yield from measure_lens(spec, trained)
    else:
        raise ValueError(f"a worker does not know jobs of the kind {kind!r}")


class _CommandReader:
    """Reads commands in a separate thread, so that a cancellation is noticed while a run is computed."""

    def __init__(self, source: BinaryIO) -> None:
        self.cancelled = threading.Event()
        self._source, self._current = source, ""
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._next: dict[str, Any] | None = None  # a job that has arrived and not begun
        threading.Thread(target=self._read_commands, daemon=True).start()

    def next_command(self) -> dict[str, Any]:
        """Wait for the next command, a job or a pass to prepare, and return it."""
        command = self._commands.get()
        if "run" in command:
            self._next = None
        return command

    def must_stop(self, base: dict[str, Any]) -> bool:
        """Return whether a job waits that does not need the pass `base`."""
        job = self._next
        return job is not None and (job["kind"] != "run" or without_edits(job["spec"]) != without_edits(base))

    def _read_commands(self) -> None:
        """Queue commands; set `cancelled` when the current job is cancelled; end the process when its parent ends."""
        for line in self._source:
            command = orjson.loads(line)
            if "run" in command:
                self._current = command["run"]
                self.cancelled.clear()
                self._next = command
                self._commands.put(command)
            elif "base" in command:
                self._commands.put(command)
            elif command["cancel"] == self._current:
                self.cancelled.set()
        os._exit(0)  # The parent has ended; no one reads the results.


def _lower_priority(server_pid: int) -> None:
    """Lower the priority of this process, and name it by its server's process id, which `ps -o comm` shows."""
    # In its own session, Ctrl-C does not reach the worker, which the server stops itself, and Linux weighs its niceness
    # against those of all other sessions.
    os.setsid()
    os.nice(NICENESS)
    if sys.platform == "linux":
        _lower_session_weight()
        Path("/proc/self/comm").write_text(f"mhc of {server_pid}")


def _lower_session_weight() -> None:
    """Lower the weight of this process's session, if Linux schedules by session (`man 7 sched`, autogroup).

    The niceness of a process then has an effect only within its session, so that a browser on the same machine, in its
    own session, would get only half of the cores.
    """
    path = Path("/proc/self/autogroup")
    while path.exists():
        try:
            path.write_text(str(NICENESS))
            return
        except BlockingIOError:  # without root, the kernel accepts one such request every 0.1 s
            time.sleep(AUTOGROUP_S)
        except OSError as error:  # for example if /proc is read-only; the worker can still compute
            print(f"a worker's session keeps its weight: {error}", file=sys.stderr)
            return


def limit_memory(memory_bytes: int) -> None:
    """Limit the data memory that this process may allocate."""
    # RLIMIT_DATA counts writable memory; RLIMIT_AS would count what torch only reserves.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def warm_up() -> bytes:
    """Run a small spec once, so that the first real run starts immediately. Return the measured rates as JSON."""
    import torch

    import mhc_scope.engine.template  # noqa: F401  (where a worker is not forked, this is the first import)
    from mhc_core.cost.rates import calibrate
    from mhc_core.measure.run import run
    from mhc_core.spec import parse_spec

    torch.set_num_threads(1)
    for index, frame in enumerate(run(parse_spec(WARM_UP_SPEC))):
        codec.encode_frame(frame, "warm-up", index)
    return calibrate().model_dump_json().encode()


def open_bases() -> "Bases":
    """Return an empty store for passes without edits, which a worker keeps from job to job."""
    from mhc_core.measure.bases import Bases

    return Bases()


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception means that memory is exhausted, on a CPU or a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    # On a CPU torch raises a plain RuntimeError.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
