"""The parent's end of one worker process."""

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import IO, Any

import orjson

from mhc_scope.engine.forks import CONTEXT
from mhc_scope.engine.worker_process import serve

# The pipe is read in chunks of at most this; a longer frame still arrives.
CHUNK_BYTES = 2**20
# To start a process and to ask for its exit code are calls that wait, and not made to be called side by side.
_CALLS = ThreadPoolExecutor(1, "workers")


class WorkerProcess:
    """Starts a worker, sends it commands, reads its lines, and ends it."""

    def __init__(self, process: BaseProcess, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._rest = b""
        loop = asyncio.get_running_loop()
        self._killed: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(process.sentinel, self._note_end)

    @classmethod
    async def spawn(cls, threads: int, memory_bytes: int) -> "WorkerProcess":
        """Start a process; it is of use once `next_lines` has brought `#ready` and its rates."""
        loop = asyncio.get_running_loop()
        commands, ours = CONTEXT.Pipe(duplex=False)
        theirs, answers = CONTEXT.Pipe(duplex=False)
        # Where this process complains, its workers do.
        errors = Connection(os.dup(2), readable=False)
        process = CONTEXT.Process(
            target=serve, args=(commands, answers, errors, threads, memory_bytes, os.getpid()), daemon=True
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
        """Its process id."""
        return str(self._process.pid)

    def send(self, command: dict[str, Any]) -> None:
        """Send a command; to a worker that has died it is lost, which its reader notices."""
        self._writer.write(orjson.dumps(command) + b"\n")

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Whole lines as they arrive, several where they come fast; none when the process has ended or is given up."""
        while chunk := await self._read(given_up):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if lines:
                return [line + b"\n" for line in lines]
        return []

    async def _read(self, given_up: asyncio.Future[None] | None) -> bytes:
        # A killed process closes its pipe late; do not wait for it.
        reading = asyncio.ensure_future(self._reader.read(CHUNK_BYTES))
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
        await asyncio.shield(self._gone)
        code = await asyncio.get_running_loop().run_in_executor(_CALLS, lambda: self._process.exitcode)
        assert code is not None
        return code

    async def explain_end(self) -> str:
        """What its exit code says."""
        return explain_exit(await self.wait())

    def kill(self) -> None:
        """End it at once; a process that has already ended is left alone."""
        if self._gone.done() or self.was_killed:
            return
        if not self._reader.at_eof():  # else it is ending by itself, and its exit code will say why
            self._killed.set_result(None)
        self._process.kill()

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._writer.close()
        self._gone.set_result(None)


def _to_file(end: Connection, mode: str) -> IO[bytes]:
    """A pipe's end that the event loop can take over."""
    return os.fdopen(os.dup(end.fileno()), mode, buffering=0)


def explain_exit(code: int) -> str:
    """What an exit code says, for people."""
    if code == -signal.SIGKILL:
        return "the worker process was killed (SIGKILL), by the system for want of memory or from outside"
    if code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process exited with code {code}"
