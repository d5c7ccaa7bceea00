"""Write one log line per request, with an id: the one that the client sent, or a new one."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mhc_scope import log_context
from mhc_scope.api import request_spans

log = logging.getLogger("mhc.request")

HEADER = "X-Request-ID"
PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


class RequestLog:
    """ASGI middleware that logs a request and the status of its response when the response is complete.

    It never logs queries, headers or bodies, which may contain tokens and cookies.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, and write one log line with status, bytes and duration of its response."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = choose_id(Headers(scope=scope).get(HEADER))
        log_context.begin(request=request_id)
        started, answer = time.perf_counter(), _Answer()

        async def send_counted(message: Message) -> None:
            """Send a message of the response, and store its status and bytes for the log line."""
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
                _note_run(scope)
                request_spans.note_ids()
            else:
                answer.bytes += len(message.get("body", b""))
            await send(message)

        try:
            return await self._app(scope, receive, send_counted)
        finally:
            _log_request(scope, answer, 1000 * (time.perf_counter() - started))


class _Answer:
    """Status and bytes of the response so far. The status is None if the client disconnected first."""

    status: int | None = None
    bytes = 0


def choose_id(given: str | None) -> str:
    """Return the request id that the client sent, if it is short and has only allowed characters; else a new one."""
    return given if given is not None and PLAIN_ID.fullmatch(given) else uuid.uuid4().hex


def _log_request(scope: Scope, answer: _Answer, ms: float) -> None:
    """Write the log line of an answered request."""
    fields = {"status": answer.status, "bytes": answer.bytes, "ms": round(ms, 1)}
    log.info("%s %s", scope["method"], scope["path"][:200], extra=fields)


def _note_run(scope: Scope) -> None:
    """Add the id of the run in the request's path to its log line."""
    run_id = scope.get("path_params", {}).get("run_id")
    if isinstance(run_id, str):
        log_context.note(run=run_id[:64])
