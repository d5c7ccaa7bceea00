"""The process of the bridge: Ray's driver, and a server's only connection to the cluster.

`bridge_process.py` starts it as `python -m mhc_service.ray.bridge FD`, and defines the messages on the socket FD.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import orjson
import ray

from mhc_service.ray.options import Options
from mhc_service.ray.slot import Slot

log = logging.getLogger("mhc.bridge")

FIND_S = 10.0


class Bridge:
    """Manages slots, one per worker, as the server's messages command."""

    def __init__(self, options: Options, writer: asyncio.StreamWriter) -> None:
        self._options, self._writer = options, writer
        self._slots: dict[int, Slot] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Execute the server's messages until it closes its end of the socket, or dies."""
        with suppress(ConnectionResetError):
            while line := await reader.readline():
                self._handle_message(orjson.loads(line))

    async def close(self) -> None:
        """End all workers and tasks, because a call of Ray after `ray.shutdown` would connect to some cluster again."""
        for slot in list(self._slots.values()):
            slot.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handle_message(self, message: dict[str, Any]) -> None:
        """Execute a message of the server: open or close a slot, or pass a command to a slot."""
        if "open" in message:
            number = message["open"]
            send, report_end = self._build_sender(number), self._build_end_reporter(number)
            slot = self._slots[number] = Slot(self._options, send, report_end)
            self._start_task(slot, slot.open())
        elif "close" in message:
            if message["close"] in self._slots:  # otherwise its worker has just ended
                self._slots[message["close"]].close()
        elif message["worker"] in self._slots:
            self._run_command(self._slots[message["worker"]], message["command"])

    def _run_command(self, slot: Slot, command: dict[str, Any]) -> None:
        """Start or cancel a job in a slot."""
        if "cancel" in command:
            slot.cancel(command["cancel"])
        else:
            self._start_task(slot, slot.run(command))

    def _start_task(self, slot: Slot, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine for a slot in a task, to which a reference is kept until it is done."""
        task = asyncio.create_task(self._guard(slot, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _guard(slot: Slot, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine for a slot; after an unexpected error, end its worker too."""
        try:
            await work
        except Exception as error:
            log.exception("a worker's task failed")
            slot.fail(f"{type(error).__name__}: {error}")

    def _build_sender(self, number: int) -> Callable[[bytes], None]:
        """Return a function that sends lines of a worker to the server."""

        def send(lines: bytes) -> None:
            self._write_message({"worker": number, "bytes": len(lines)}, lines)

        return send

    def _build_end_reporter(self, number: int) -> Callable[[str], None]:
        """Return a function that reports the end of a worker to the server."""

        def report_end(reason: str) -> None:
            """Remove the slot, and report the end of its worker with the reason."""
            del self._slots[number]
            self._write_message({"worker": number, "gone": reason})

        return report_end

    def _write_message(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Write a header line and its payload to the server, unless the server has closed the connection."""
        if not self._writer.is_closing():  # otherwise the server has ended, and this process will too
            self._writer.write(orjson.dumps(header) + b"\n" + payload)


async def main(descriptor: int) -> None:
    """Connect to the Ray cluster, and pass messages between it and the server at the other end of the socket."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=2**24)
    options = Options.decode(await reader.readline())
    await find_head(options.address)
    # Without the address, Ray would start its own cluster.
    ray.init(address=options.address, logging_level=logging.WARNING)
    bridge = Bridge(options, writer)
    try:
        await bridge.serve(reader)
    finally:
        await bridge.close()
        ray.shutdown()


async def find_head(address: str) -> None:
    """End this process if nothing listens at the address of the cluster's head. Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(FIND_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError as error:  # TimeoutError is one
        sys.exit(f"no Ray cluster answers at {address}: {error or 'no answer'}")
    writer.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main(int(sys.argv[1])))
