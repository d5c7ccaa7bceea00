"""Control the bridge from the server: start its process if none runs, and pass its messages to the server's workers.

The server sends JSON lines: `{"open": n}`, `{"worker": n, "command": {...}}`, `{"close": n}`. The bridge sends JSON
lines: `{"worker": n, "bytes": count}`, each followed by `count` bytes of lines, and `{"worker": n, "gone": reason}`.
"""

import asyncio
import itertools
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from typing import Any

import orjson

from mhc_service.ray.options import Options
from mhc_service.ray.ray_worker import RayWorker

log = logging.getLogger("mhc.engine")

# A bridge whose socket is closed ends its workers and itself. One that hangs in Ray is killed after this time.
STOP_S = 1.5
HEADER_BYTES = 2**16


class BridgeProcess:
    """Runs one bridge at a time, for all workers of a server."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._numbers = itertools.count(1)
        self._workers: dict[int, RayWorker] = {}
        self._starting = asyncio.Lock()
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id of the bridge, if one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def open_worker(self) -> RayWorker:
        """Open a worker. It can be used after its `next_lines` has returned `#ready` and its speed."""
        async with self._starting:
            if self._listening is None or self._listening.done():
                await self._start_process()
        number = next(self._numbers)
        worker = self._workers[number] = RayWorker(number, self._send_message)
        self._send_message({"open": number})
        return worker

    async def stop(self) -> None:
        """End the bridge, which ends its actors in the cluster."""
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            await self._end_process(self._process)
        if self._listening is not None:
            await asyncio.wait({self._listening})

    async def _start_process(self) -> None:
        """Start the bridge with one end of a socket pair, send it the options, and read its messages in a task."""
        ours, theirs = socket.socketpair()
        with theirs:
            # In its own session, so that Ctrl-C reaches only the server. Ray's output goes to the standard error.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "mhc_service.ray.bridge", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=DEVNULL, stdout=2, start_new_session=True,
                env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"},
            )  # fmt: skip
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=HEADER_BYTES)
        self._writer.write(self._options.encode())
        self._listening = asyncio.create_task(self._listen(reader, self._writer, self._process))

    def _send_message(self, message: dict[str, Any]) -> None:
        """Write a message to the bridge, unless its connection is closed."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(orjson.dumps(message) + b"\n")

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, process: Process) -> None:
        """Read messages until the bridge ends; then end all its workers."""
        try:
            while header := await reader.readline():
                message = orjson.loads(header)
                payload = await reader.readexactly(message.get("bytes", 0))
                self._pass_on(message, payload)
        except (OSError, asyncio.IncompleteReadError):
            pass  # It died during a write; its end is reported below.
        finally:
            writer.close()
            await self._end_process(process)
            self._forget_workers(f"the bridge to the cluster ended ({explain(process.returncode)})")

    def _pass_on(self, message: dict[str, Any], payload: bytes) -> None:
        """Pass a message of the bridge to the worker that it names: lines, or the worker's end."""
        worker = self._workers.get(message["worker"])
        if worker is None:
            return  # It has been closed.
        if "gone" in message:
            del self._workers[message["worker"]]
            worker.note_end(message["gone"])
        else:
            worker.receive(payload.splitlines(keepends=True))

    def _forget_workers(self, reason: str) -> None:
        """Mark all workers as ended with this reason, because the bridge has ended."""
        workers, self._workers = self._workers, {}
        if any(not worker.was_killed for worker in workers.values()):
            log.error("%s; another is started", reason)
        for worker in workers.values():
            worker.note_end(reason)

    @staticmethod
    async def _end_process(process: Process) -> None:
        """Wait for the process to end, and kill it after `STOP_S` seconds."""
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def explain(code: int | None) -> str:
    """Describe the exit code of the bridge in words."""
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"code {code}; the lines above say why, as where no cluster answers at its address"
