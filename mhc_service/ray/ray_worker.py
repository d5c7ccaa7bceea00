"""Control one worker in the cluster from the server."""

import asyncio
from collections.abc import Callable
from typing import Any

# The bridge confirms a kill in milliseconds. The server waits no longer than this for a bridge that hangs in Ray.
CLOSE_S = 2.0


class RayWorker:
    """A worker behind the bridge. It buffers lines until they are read: at most the frames of one run."""

    def __init__(self, number: int, send: Callable[[dict[str, Any]], None]) -> None:
        self.name = str(number)
        self._number, self._send = number, send
        self._lines: list[bytes] = []
        self._has_news = asyncio.Event()
        self._killed = False
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def was_killed(self) -> bool:
        """Return whether the server ended the worker."""
        return self._killed

    def send(self, command: dict[str, Any]) -> None:
        """Send a command. A command to a dead worker is lost; the reader of its lines notices that it has ended."""
        self._send({"worker": self._number, "command": command})

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Wait for the worker's next lines and return them; [] when it has ended or `given_up` is done."""
        coming = asyncio.ensure_future(self._has_news.wait())
        either: set[asyncio.Future[Any]] = {coming, *([given_up] if given_up else [])}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        if given_up is not None and given_up.done() and not self._lines:
            return []
        lines, self._lines = self._lines, []
        if not self._gone.done():
            self._has_news.clear()
        end = next((k for k, line in enumerate(lines) if line.startswith(b"#end ")), len(lines))
        lines, self._lines = lines[: end + 1], lines[end + 1 :]
        return lines

    async def wait(self) -> str:
        """Wait until the worker has ended, and return the reason."""
        return await asyncio.shield(self._gone)

    async def explain_end(self) -> str:
        """Return why the worker ended, in words."""
        return await self.wait()

    def kill(self) -> None:
        """End the worker immediately; do nothing if it has ended."""
        if self._gone.done() or self._killed:
            return
        self._killed = True
        self._has_news.set()
        self._send({"close": self._number})
        asyncio.get_running_loop().call_later(CLOSE_S, self.note_end, "the bridge to the cluster did not answer")

    # ---- called for messages of the bridge

    def receive(self, lines: list[bytes]) -> None:
        """Buffer the worker's lines until they are read."""
        self._lines += lines
        self._has_news.set()

    def note_end(self, reason: str) -> None:
        """Record that the worker has ended. Only the first reason is kept."""
        if not self._gone.done():
            self._gone.set_result(reason)
            self._has_news.set()
