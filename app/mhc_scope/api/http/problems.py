"""Report errors as `application/problem+json` (RFC 9457): what is wrong, in which field, got, wanted."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mhc_core.spec import SpecError, SpecErrors
from mhc_scope import log_context
from mhc_scope.api.http.methods import list_methods
from mhc_scope.api.models.links import to_address
from mhc_scope.services.errors import (
    EncodersBusyError,
    EncodingFailedError,
    FrameGapError,
    InvalidRequestError,
    InvalidTokenError,
    InvalidTraceError,
    MissingRightError,
    NoCapacityError,
    NoSpecError,
    NotATraceError,
    NoTokenError,
    NotOwnerError,
    QueueFullError,
    RefusalError,
    RoomKeyRequiredError,
    RoomTokenRequiredError,
    ServerStreamLimitError,
    StorageFullError,
    TooExpensiveError,
    TooManyLiveTracesError,
    TooManyRoomsError,
    TooManyRunsError,
    TooManyStreamsError,
    TooMuchReadError,
    TooMuchStoredError,
    TraceEndedError,
    UnknownTraceError,
    WrongTokenError,
)
from mhc_scope.store.errors import StoreUnavailable

log = logging.getLogger("mhc.api")

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50
MAX_TEXT = 80

# One entry per kind of problem: its anchor in /docs, which is its `type`, and its title.
TITLES = {
    "invalid-spec": "Invalid spec",
    "invalid-trace": "Invalid trace",
    "invalid-body": "Invalid request body",
    "invalid-query": "Invalid query",
    "too-expensive": "The run is too large for this server",
    "too-large": "The request body is too large",
    "too-many-runs": "Too much of your work is queued",
    "wrong-token": "Wrong token for this trace",
    "no-token": "Access token required",
    "no-right": "Not allowed",
    "not-owner": "Only the owner can do this",
    "too-much-stored": "Your storage limit is reached",
    "too-much-read": "Your read limit is reached",
    "gap": "Frames are missing",
    "has-ended": "The trace has ended",
    "too-many-traces": "Too many traces are being recorded",
    "queue-full": "The server is busy",
    "storage-full": "The server's storage is full",
    "store-unavailable": "The database is unavailable",
    "not-written": "A large file could not be written",
    "too-many-streams": "Too many event streams are open",
    "not-found": "Not found",
    "not-allowed": "Method not allowed",
    "not-ready": "The run has no complete result",
    "not-a-trace": "The record isn't a trace",
    "no-spec": "The record has no spec",
    "not-the-teacher": "Room key required",
    "may-not-teach": "Creating rooms needs a token",
    "too-many-rooms": "The server has no free rooms",
    "foreign-origin": "Requests from other sites are refused",
    "wrong-host": "Unknown host name",
    "private": "For operators only",
    "timeout": "The request took too long to arrive",
    "too-many-connections": "Too many open connections",
    "internal": "Internal server error",
    "http": "Request refused",
}


# Kind and HTTP status of every refusal of a service.
REFUSALS: dict[type[RefusalError], tuple[str, int]] = {
    InvalidRequestError: ("invalid-body", 422),
    InvalidTraceError: ("invalid-trace", 422),
    TooExpensiveError: ("too-expensive", 422),
    NotATraceError: ("not-a-trace", 409),
    NoSpecError: ("no-spec", 409),
    TooManyRunsError: ("too-many-runs", 429),
    RoomKeyRequiredError: ("not-the-teacher", 401),
    RoomTokenRequiredError: ("may-not-teach", 403),
    TooManyRoomsError: ("too-many-rooms", 503),
    UnknownTraceError: ("not-found", 404),
    WrongTokenError: ("wrong-token", 401),
    FrameGapError: ("gap", 409),
    TraceEndedError: ("has-ended", 409),
    TooManyLiveTracesError: ("too-many-traces", 503),
    TooMuchStoredError: ("too-much-stored", 429),
    TooMuchReadError: ("too-much-read", 429),
    TooManyStreamsError: ("too-many-streams", 429),
    ServerStreamLimitError: ("too-many-streams", 503),
    QueueFullError: ("queue-full", 503),
    StorageFullError: ("storage-full", 503),
    EncodersBusyError: ("queue-full", 503),
    EncodingFailedError: ("not-written", 503),
    InvalidTokenError: ("no-token", 401),
    NoTokenError: ("no-token", 401),
    MissingRightError: ("no-right", 403),
    NotOwnerError: ("not-owner", 403),
}


class Problem(Exception):
    """A refusal, raised anywhere below a route and converted to its answer.

    Attributes
    ----------
    kind: key of `TITLES`.
    status: HTTP status.
    detail: one sentence for people.
    errors: field, got, wanted.
    headers: extra headers, such as Retry-After.
    due: the index that is due, where frames come too early.
    """

    def __init__(
        self,
        kind: str,
        status: int,
        detail: str,
        *,
        errors: Sequence[SpecError] = (),
        headers: dict[str, str] | None = None,
        due: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.status, self.detail = kind, status, detail
        self.errors, self.headers, self.due = list(errors), headers or {}, due


def to_response(problem: Problem, path: str) -> Response:
    """Convert a problem to a response in problem+json; `instance` is the requested path."""
    log_context.note(problem=problem.kind)
    body: dict[str, Any] = {
        "type": to_address(f"/docs#problem-{problem.kind}"),
        "title": TITLES[problem.kind],
        "status": problem.status,
        "detail": problem.detail,
        "instance": path,
        "errors": [to_item(error) for error in problem.errors[:MAX_ERRORS]],
    }
    if problem.due is not None:
        body["due"] = problem.due
    return Response(orjson.dumps(body), problem.status, problem.headers, media_type=MEDIA_TYPE)


def from_spec_errors(errors: SpecErrors) -> Problem:
    """Return the problem for errors in a spec: 400 if it is not JSON at all, else 422."""
    broken = any(error.field == "body" and isinstance(error.got, str) for error in errors.errors)
    kind, status = ("invalid-body", 400) if broken else ("invalid-spec", 422)
    return Problem(kind, status, _shorten(str(errors), 1000), errors=errors.errors)


def from_refusal(error: RefusalError) -> Problem:
    """Return the HTTP problem of a service's refusal, with the status that a table assigns."""
    kind, status = REFUSALS[type(error)]
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, NoCapacityError) else {}
    if status == 401:
        is_wrong = isinstance(error, InvalidTokenError)
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if is_wrong else "Bearer"}
    due = error.due if isinstance(error, FrameGapError) else None
    return Problem(kind, status, str(error), errors=error.errors, headers=headers, due=due)


def invalid_query(field: str, got: Any, wanted: str) -> Problem:
    """Return the problem of a query parameter that is not valid."""
    error = SpecError(field, got, wanted)
    return Problem("invalid-query", 422, str(error), errors=[error])


def not_found(what: str, name: str) -> Problem:
    """Return the problem of a name under which nothing is stored."""
    return Problem("not-found", 404, f"No {what} named {_shorten(name, MAX_TEXT)!r} on this server.")


Show = Callable[[Request, Problem], Response | None]


def install_error_handlers(app: FastAPI, crash_headers: dict[str, str], show: Show) -> None:
    """Convert every exception of the app, including those of the framework, to a problem response.

    `show` renders the problem as a page for a browser that requested a page, except for mistakes in a spec and
    crashes. Starlette answers a crash outside of all middleware, so `crash_headers` replaces the headers that
    middleware would add.
    """

    def respond(request: Request, problem: Problem) -> Response:
        """Return a problem as a page for browsers, else as JSON, and note it in the log."""
        log_context.note(problem=problem.kind)
        return show(request, problem) or to_response(problem, request.url.path)

    async def on_problem(request: Request, error: Exception) -> Response:
        """Answer a problem that a route has raised."""
        assert isinstance(error, Problem)
        return respond(request, error)

    async def on_spec_errors(request: Request, error: Exception) -> Response:
        """Answer errors in a spec: 400 or 422."""
        assert isinstance(error, SpecErrors)
        return to_response(from_spec_errors(error), request.url.path)

    async def on_refusal(request: Request, error: Exception) -> Response:
        """Answer a request that a service has refused."""
        assert isinstance(error, RefusalError)
        return respond(request, from_refusal(error))

    async def on_store(request: Request, error: Exception) -> Response:
        """Answer 503 while the database is not available."""
        log.warning("%s %s: %s", request.method, request.url.path, error)
        return respond(request, Problem("store-unavailable", 503, str(error), headers={"Retry-After": "5"}))

    async def on_invalid_request(request: Request, error: Exception) -> Response:
        """Answer 422 for parameters that are not valid, and name them."""
        assert isinstance(error, RequestValidationError)
        items = [SpecError(_to_field(item["loc"]), item.get("input"), item["msg"]) for item in error.errors()]
        detail = "; ".join(str(item) for item in items)
        return respond(request, Problem("invalid-query", 422, detail, errors=items))

    async def on_http(request: Request, error: Exception) -> Response:
        """Answer an error of the framework, such as 404 or 405."""
        assert isinstance(error, HTTPException)
        kind = {404: "not-found", 405: "not-allowed"}.get(error.status_code, "http")
        detail = f"{request.method} {request.url.path}: {error.detail}."
        if kind == "not-found":
            detail = f"This server has nothing at {request.url.path}."
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(list_methods(app, dict(request.scope)))
        return respond(request, Problem(kind, error.status_code, detail, headers=headers))

    async def on_crash(request: Request, error: Exception) -> Response:
        """Answer 500 for an unexpected exception, which the log describes."""
        problem = Problem("internal", 500, "The server's log has the details.", headers=crash_headers)
        return to_response(problem, request.url.path)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(SpecErrors, on_spec_errors)
    app.add_exception_handler(RefusalError, on_refusal)
    app.add_exception_handler(StoreUnavailable, on_store)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_crash)


def to_item(error: SpecError) -> dict[str, Any]:
    """Return one error of a spec as an entry of the problem's `errors`."""
    return {"field": _shorten(error.field, MAX_TEXT), "got": _to_got(error.got), "wanted": error.wanted}


def _to_got(value: Any) -> Any:
    """Return the received value, if JSON can express it in a few characters; else its beginning as text."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        return _shorten(value, MAX_TEXT)
    return _shorten(repr(value), MAX_TEXT)


def _shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text, and the number of all where some are left out."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _to_field(loc: Sequence[str | int]) -> str:
    """Return the field's path, such as `label.0` for the first of a repeated parameter, without the location."""
    return ".".join(str(part) for part in loc[1:])
