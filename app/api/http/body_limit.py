"""The limit on the size of a request body."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.problems import Problem, to_response
from mhc_core.spec import SpecError

# An over-long body is still read, and thrown away, up to this: a client that is cut off in mid-sentence sees
# a broken connection instead of the answer.
DRAIN_BYTES, DRAIN_S = 100_000_000, 10.0


class BodyLimit:
    """ASGI middleware: counts a request's body while it streams in and answers 413 where it is too long."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body first: none that is admitted is long."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        announced = int(declared) if declared.isdecimal() else 0
        if announced > self._max_bytes:
            await _drain(receive)
            return await to_response(self._problem(announced), scope["path"])(scope, receive, send)
        if scope["method"] in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
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
                return await to_response(self._problem(size), scope["path"])(scope, receive, send)
        return await self._app(scope, _replay(b"".join(chunks), receive), send)

    def _problem(self, got: int) -> Problem:
        limit = f"at most {self._max_bytes} bytes"
        error = SpecError("body", f"{got} bytes or more", limit)
        return Problem("too-large", 413, str(error), errors=[error], headers={"Connection": "close"})


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
