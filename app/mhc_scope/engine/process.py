"""Control one worker process from its parent."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

import orjson

from mhc_scope.engine.forks import CONTEXT
from mhc_scope.engine.worker_process import serve

# The pipe is read in chunks of at most this size. Longer frames are joined from several chunks.
CHUNK_BYTES = 2**20
# By default, a pipe of Linux holds 64 KiB, a quarter of a run. Frames that are sent together would then arrive, and be
# stored, in parts. Linux allows 1 MiB at most by default.
PIPE_BYTES = 2**18
# Starting a process and reading its exit code are blocking calls, and not safe in parallel.
_CALLS = ThreadPoolExecutor(1, "workers")


class WorkerProcess:
    """A worker process, as seen by its parent: started, sent commands, read and ended."""

    def __init__(self, process: BaseProcess, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._rest = b""
        loop = asyncio.get_running_loop()
        self._killed: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(process.sentinel, self._note_end)

    @classmethod
    async def spawn(cls, threads: int, memory_bytes: int, trained: Path | None = None) -> "WorkerProcess":
        """Start a worker process. It can be used after `next_lines` has returned `#ready` and its speed."""
        loop = asyncio.get_running_loop()
        commands, ours = CONTEXT.Pipe(duplex=False)
        theirs, answers = CONTEXT.Pipe(duplex=False)
        _enlarge(theirs)
        # Workers write errors to the standard error of this process.
        errors = Connection(os.dup(2), readable=False)
        process = CONTEXT.Process(
            target=serve, args=(commands, answers, errors, threads, memory_bytes, os.getpid(), trained), daemon=True
        )
        try:
            await loop.run_in_executor(_CALLS, process.start)
            reader = asyncio.StreamReader(CHUNK_BYTES)
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _to_file(theirs, "rb"))
            writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, _to_file(ours, "wb"))
        finally:
            for end in (commands, ours, theirs, answers, errors):
                end.close()
        return cls(process, reader, writer)

    @property
    def name(self) -> str:
        """Return the process id of the worker, with which operators can find it."""
        return str(self._process.pid)

    def send(self, command: dict[str, Any]) -> None:
        """Write a command to the worker's pipe. A command to a dead worker is lost; `next_lines` notices its end."""
        self._writer.write(orjson.dumps(command) + b"\n")

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Wait for the next complete lines of the worker and return them; [] when it has ended or is given up."""
        while chunk := await self._read_chunk(given_up):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines:
                return [line + b"\n" for line in lines]
        return []

    async def _read_chunk(self, given_up: asyncio.Future[None] | None) -> bytes:
        """Wait for the next bytes of the worker and return them; b"" when it has ended, was killed, or is given up."""
        # A killed process closes its pipe late; do not wait for that.
        reading = asyncio.ensure_future(self._reader.read(CHUNK_BYTES))
        either: set[asyncio.Future[Any]] = {reading, self._killed, *([given_up] if given_up else [])}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        reading.cancel()
        return b""

    @property
    def was_killed(self) -> bool:
        """Return whether the server killed this worker process."""
        return self._killed.done()

    async def wait(self) -> int:
        """Wait until the worker process ends; return its exit code, negative for a signal."""
        await asyncio.shield(self._gone)
        code = await asyncio.get_running_loop().run_in_executor(_CALLS, lambda: self._process.exitcode)
        assert code is not None
        return code

    async def explain_end(self) -> str:
        """Wait until the worker has ended, and describe its exit code in words."""
        return explain_exit(await self.wait())

    def kill(self) -> None:
        """Kill the worker process immediately; do nothing if it has ended."""
        if self._gone.done() or self.was_killed:
            return
        if not self._reader.at_eof():  # otherwise it is ending already, and its exit code will explain it
            self._killed.set_result(None)
        self._process.kill()

    def _note_end(self) -> None:
        """Record that the worker process has ended, and close its pipe."""
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._writer.close()
        self._gone.set_result(None)


def _enlarge(pipe: Connection) -> None:
    """Let a pipe hold `PIPE_BYTES` if the system allows it. Otherwise answers arrive in more parts."""
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):  # if this user already has as many large pipes as the system allows
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _to_file(end: Connection, mode: str) -> IO[bytes]:
    """Convert an end of a pipe to a file that the event loop can use."""
    return os.fdopen(os.dup(end.fileno()), mode, buffering=0)


def explain_exit(code: int) -> str:
    """Describe the exit code of a worker process in words."""
    if code == -signal.SIGKILL:
        return "the worker process was killed (SIGKILL), by the system for lack of memory or from outside"
    if code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process exited with code {code}"
