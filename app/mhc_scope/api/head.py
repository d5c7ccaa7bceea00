"""Respond to HEAD requests (RFC 9110, section 9.3.2): like GET, without the body."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IS_HEAD = "mhc.is_head"


class HeadAsGet:
    """ASGI middleware that turns a HEAD request into GET for the routes, and sends only the headers of the response.

    A streaming response is cancelled at its first part. A route whose response would start something, such as an event
    stream, must check `is_head`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with GET instead of HEAD, and send only the headers of its response."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)
        inner: Scope = {**scope, "method": "GET", IS_HEAD: True}
        is_over = asyncio.Event()

        async def receive_disconnect() -> Message:
            """Wait until the headers are sent, then report that the client disconnected."""
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send_head(message: Message) -> None:
            """Send the headers of a response, and an empty body instead of its own."""
            if is_over.is_set():
                return
            if message["type"] == "http.response.start":
                scope.update({key: inner[key] for key in inner.keys() - scope.keys()})  # for the log: the route
                await send(message)
            else:
                is_over.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        return await self._app(inner, receive_disconnect, send_head)


def is_head(request: Request) -> bool:
    """Return whether a request is HEAD, whose response has no body."""
    return IS_HEAD in request.scope
