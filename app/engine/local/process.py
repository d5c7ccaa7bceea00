"""The parent's end of one worker process."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import orjson

# The pipe is read in chunks of at most this; a longer frame still arrives.
CHUNK_BYTES = 2**20


class WorkerProcess:
    """Starts a worker, sends it commands, reads its lines, and ends it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._rest = b""
        self._killed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def spawn(cls, threads: int, memory_bytes: int) -> "WorkerProcess":
        """Start a process; it is of use once `next_lines` has brought `#ready` and its rates."""
        arguments = [str(number) for number in (threads, memory_bytes, os.getpid())]
        # Thread pools of the libraries are sized before torch is told; the environment reaches them all. PASSIVE:
        # threads that spin while they wait for one without a core slow a run tenfold on a machine that is shared.
        pools = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "app.engine.local.worker", *arguments),
            stdin=PIPE,
            stdout=PIPE,
            env=os.environ | pools,
            # A session of its own: Ctrl-C does not reach it, for stopping is the parent's decision, and Linux weighs
            # its niceness against all others.
            start_new_session=True,
            limit=CHUNK_BYTES,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; to a worker that has died it is lost, which its reader notices."""
        self._stdin.write(orjson.dumps(command) + b"\n")

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Whole lines as they arrive, several where they come fast; none when the process has ended or is given up."""
        while chunk := await self._read(given_up):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines:
                return [line + b"\n" for line in lines]
        return []

    async def _read(self, given_up: asyncio.Future[None] | None) -> bytes:
        # A killed process closes its pipe late; do not wait for it.
        reading = asyncio.ensure_future(self._stdout.read(CHUNK_BYTES))
        either: set[asyncio.Future[Any]] = {reading, self._killed, *([given_up] if given_up else [])}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        reading.cancel()
        return b""

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from here."""
        return self._killed.done()

    async def wait(self) -> int:
        """The exit code; negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it at once; a process that has already ended is left alone."""
        if self._process.returncode is None and not self.was_killed:
            self._killed.set_result(None)
            self._process.kill()


def explain_exit(code: int) -> str:
    """What an exit code says, for people."""
    if code == -signal.SIGKILL:
        return "the worker process was killed (SIGKILL), by the system for want of memory or from outside"
    if code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process exited with code {code}"
