"""Control one worker of the cluster from the server."""

import asyncio
from collections.abc import Callable
from typing import Any

# The bridge answers a kill in milliseconds; the server does not wait for one that hangs in Ray.
CLOSE_S = 2.0


class RayWorker:
    """A worker behind the bridge. It buffers lines that came and were not read: at most the frames of one run."""

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
        """Send a command; one to a dead worker is lost, which its reader notices."""
        self._send({"worker": self._number, "command": command})

    async def next_lines(self, given_up: asyncio.Future[None] | None = None) -> list[bytes]:
        """Return the worker's next whole lines as they arrive; none when it has ended or is given up."""
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
        """Wait until the worker has ended; return why."""
        return await asyncio.shield(self._gone)

    async def explain_end(self) -> str:
        """Return why the worker ended, for people."""
        return await self.wait()

    def kill(self) -> None:
        """End the worker immediately; do nothing if it has ended."""
        if self._gone.done() or self._killed:
            return
        self._killed = True
        self._has_news.set()
        self._send({"close": self._number})
        asyncio.get_running_loop().call_later(CLOSE_S, self.note_end, "the bridge to the cluster did not answer")

    # Reports of the bridge.

    def receive(self, lines: list[bytes]) -> None:
        """Buffer the worker's lines until they are read."""
        self._lines += lines
        self._has_news.set()

    def note_end(self, reason: str) -> None:
        """Record that the worker has ended; the first reason counts."""
        if not self._gone.done():
            self._gone.set_result(reason)
            self._has_news.set()
