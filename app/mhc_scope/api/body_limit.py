"""Limit the size of a request body."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mhc_core.spec import SpecError
from mhc_scope.api.problems import Problem, to_response
from mhc_scope.api.root_path import to_route

# A connection that is closed with unread data is reset, which may discard the response. The rest of a refused body is
# therefore read and discarded: at most this many bytes, for this long, and until none have arrived for this long.
DRAIN_BYTES, DRAIN_S, DRAIN_IDLE_S = 100_000_000, 10.0, 1.0


class BodyLimit:
    """ASGI middleware that counts a request's body as it arrives and responds with 413 if it is too long.

    If the announced length is too large, the request is refused before the body, so that a client that waits for
    `100 Continue` need not send it. The whole body is read before its route runs, except for the routes in `streamed`
    (path -> limit), which have their own limits and receive the body in parts. A path there that ends in / includes all
    paths below it.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, streamed: Mapping[str, int]) -> None:
        self._app, self._max_bytes, self._streamed = app, max_bytes, streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body whose announced or received length is too large."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        own = self._find_streamed_limit_bytes(to_route(scope))
        limit, headers = self._max_bytes if own is None else own, Headers(scope=scope)
        declared = headers.get("content-length", "")
        announced = int(declared) if declared.isdecimal() else 0
        if announced > limit:
            more = headers.get("expect", "").lower() != "100-continue"
            return await _send_refusal(to_problem(announced, limit), scope, _Body(receive, send, more=more))
        if scope["method"] in ("GET", "HEAD"):
            return await self._app(scope, receive, send)
        body = _Body(receive, send)
        if own is None:
            return await self._read_first(scope, body)
        return await self._app(scope, partial(body.receive_at_most, limit), body.send)

    def _find_streamed_limit_bytes(self, path: str) -> int | None:
        """Return the limit in bytes of a route that reads its body in parts; None for other routes.

        A key that ends with a slash is a prefix of paths.
        """
        if path in self._streamed:
            return self._streamed[path]
        return next((limit for key, limit in self._streamed.items() if key[-1] == "/" and path.startswith(key)), None)

    async def _read_first(self, scope: Scope, body: "_Body") -> None:
        """Read the whole body within the limit, then call the app with it; answer 413 to a larger body."""
        chunks = []
        try:
            while body.more:
                message = await body.receive_at_most(self._max_bytes)
                if message["type"] == "http.disconnect":
                    return None
                chunks.append(message.get("body", b""))
        except Problem as problem:
            return await _send_refusal(problem, scope, body)
        return await self._app(scope, _replay_body(b"".join(chunks), body.receive), body.send)


class _Body:
    """The body of a request, and the response to it.

    Attributes
    ----------
    more: whether parts of the body have not been received yet.
    is_refused: whether the rest of the body is discarded after the response.
    """

    def __init__(self, receive: Receive, send: Send, *, more: bool = True) -> None:
        self.receive, self._send, self.more = receive, send, more
        self._size, self.is_refused = 0, False

    async def receive_at_most(self, limit: int) -> Message:
        """Return the next ASGI message of the body; raise Problem 413 if the body exceeds the limit."""
        message = await self.receive()
        self._size, self.more = self._size + len(message.get("body", b"")), message.get("more_body", False)
        if self._size > limit:
            self.is_refused = True
            raise to_problem(self._size, limit)
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the response. After the response to a refused body, discard the rest of the body."""
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and self.is_refused and self.more:
            await self._send({**message, "more_body": True})
            await self._discard_rest()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _discard_rest(self) -> None:
        """Read and discard the rest of a refused body, within limits of bytes and time."""
        left = DRAIN_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.more and left > 0:
                    async with asyncio.timeout(DRAIN_IDLE_S):
                        message = await self.receive()
                    left -= len(message.get("body", b""))
                    self.more = message.get("more_body", False)


async def _send_refusal(problem: Problem, scope: Scope, body: _Body) -> None:
    """Send a problem as the response to a request whose body is refused."""
    body.is_refused = True
    await to_response(problem, scope["path"])(scope, body.receive, body.send)


def to_problem(got: int, limit: int) -> Problem:
    """Return the problem for a body that is too long, with at least `got` bytes."""
    error = SpecError("body", f"{got} bytes or more", f"at most {limit} bytes")
    return Problem("too-large", 413, str(error), errors=[error], headers={"Connection": "close"})


def _replay_body(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI `receive` that delivers a body that was read already, then the messages of the original one."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
