"""HEAD (RFC 9110, section 9.3.2): what GET would answer, without the body."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IS_HEAD = "mhc.is_head"


class HeadAsGet:
    """ASGI middleware: routes see a GET in place of a HEAD, and of their answer only the head is sent.

    An answer that is sent in parts is broken off at the first. A route that would begin something by answering, such as
    an event stream, asks `is_head`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as a GET."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)
        inner: Scope = {**scope, "method": "GET", IS_HEAD: True}
        is_over = asyncio.Event()

        async def receive_nothing() -> Message:
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send_head(message: Message) -> None:
            if is_over.is_set():
                return
            if message["type"] == "http.response.start":
                scope.update({key: inner[key] for key in inner.keys() - scope.keys()})  # for the log: what route it was
                await send(message)
            else:
                is_over.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        return await self._app(inner, receive_nothing, send_head)


def is_head(request: Request) -> bool:
    """Whether the answer's body is not wanted."""
    return IS_HEAD in request.scope
