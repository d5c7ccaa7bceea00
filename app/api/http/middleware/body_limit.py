"""The limit on the size of a request body."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.middleware.root_path import to_route
from app.api.http.problems import Problem, to_response
from mhc_core.spec import SpecError

# An over-long body is still read, and thrown away, up to this: a client that is cut off in mid-sentence sees
# a broken connection instead of the answer.
DRAIN_BYTES, DRAIN_S = 100_000_000, 10.0


class BodyLimit:
    """ASGI middleware: counts a request's body while it streams in and answers 413 where it is too long.

    A body is read whole before its route runs, as none that is admitted is long. The routes of `streamed`, path -> its
    own limit, are given theirs as it comes instead; a path that ends in / stands for all below it.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, streamed: Mapping[str, int]) -> None:
        self._app, self._max_bytes, self._streamed = app, max_bytes, streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what announces too much, and count what comes."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        own = self._find_own(to_route(scope))
        limit = self._max_bytes if own is None else own
        declared = Headers(scope=scope).get("content-length", "")
        announced = int(declared) if declared.isdecimal() else 0
        if announced > limit:
            await _drain(receive)
            return await to_response(to_problem(announced, limit), scope["path"])(scope, receive, send)
        if scope["method"] in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
        if own is not None:
            return await self._app(scope, _count(receive, limit), send)
        return await self._read_first(scope, receive, send)

    def _find_own(self, path: str) -> int | None:
        """The limit of a route that is given its body as it comes; None for others."""
        if path in self._streamed:
            return self._streamed[path]
        return next((limit for key, limit in self._streamed.items() if key[-1] == "/" and path.startswith(key)), None)

    async def _read_first(self, scope: Scope, receive: Receive, send: Send) -> None:
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            size, more = size + len(chunks[-1]), message.get("more_body", False)
            if size > self._max_bytes:
                if more:
                    await _drain(receive)
                return await to_response(to_problem(size, self._max_bytes), scope["path"])(scope, receive, send)
        return await self._app(scope, _replay(b"".join(chunks), receive), send)


def to_problem(got: int, limit: int) -> Problem:
    """A body of at least `got` bytes is too long."""
    error = SpecError("body", f"{got} bytes or more", f"at most {limit} bytes")
    return Problem("too-large", 413, str(error), errors=[error], headers={"Connection": "close"})


def _count(receive: Receive, limit: int) -> Receive:
    """The same messages; one that passes the limit raises the problem in the route that reads."""
    size = 0

    async def receive_counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            if message.get("more_body", False):
                await _drain(receive)
            raise to_problem(size, limit)
        return message

    return receive_counted


async def _drain(receive: Receive) -> None:
    try:
        async with asyncio.timeout(DRAIN_S):
            left = DRAIN_BYTES
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
