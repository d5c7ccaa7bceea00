"""Report errors as `application/problem+json` (RFC 9457), with field, received value and allowed values."""

import difflib
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from mhc_core.spec import SpecError, SpecErrors
from mhc_core.spec.errors import to_plain_error
from mhc_scope import log_context
from mhc_scope.api.models.fields import NO_NUL
from mhc_scope.api.models.links import to_address
from mhc_scope.services import errors
from mhc_scope.store.errors import StoreUnavailable

log = logging.getLogger("mhc.api")

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50
MAX_TEXT = 80

# Kind of problem -> title. The kind is also the anchor in /docs, to which `type` refers.
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
    "not-available": "Not available for this run",
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
REFUSALS: dict[type[errors.RefusalError], tuple[str, int]] = {
    errors.InvalidRequestError: ("invalid-body", 422),
    errors.InvalidTraceError: ("invalid-trace", 422),
    errors.TooExpensiveError: ("too-expensive", 422),
    errors.NotATraceError: ("not-a-trace", 409),
    errors.NoSpecError: ("no-spec", 409),
    errors.TooManyRunsError: ("too-many-runs", 429),
    errors.RoomKeyRequiredError: ("not-the-teacher", 401),
    errors.RoomTokenRequiredError: ("may-not-teach", 403),
    errors.TooManyRoomsError: ("too-many-rooms", 503),
    errors.UnknownTraceError: ("not-found", 404),
    errors.WrongTokenError: ("wrong-token", 401),
    errors.FrameGapError: ("gap", 409),
    errors.TraceEndedError: ("has-ended", 409),
    errors.TooManyLiveTracesError: ("too-many-traces", 503),
    errors.TooMuchStoredError: ("too-much-stored", 429),
    errors.TooMuchReadError: ("too-much-read", 429),
    errors.TooManyStreamsError: ("too-many-streams", 429),
    errors.ServerStreamLimitError: ("too-many-streams", 503),
    errors.QueueFullError: ("queue-full", 503),
    errors.StorageFullError: ("storage-full", 503),
    errors.EncodersBusyError: ("queue-full", 503),
    errors.EncodingFailedError: ("not-written", 503),
    errors.InvalidTokenError: ("no-token", 401),
    errors.NoTokenError: ("no-token", 401),
    errors.MissingRightError: ("no-right", 403),
    errors.NotOwnerError: ("not-owner", 403),
}


class Problem(Exception):
    """An error that code below a route raises, and that is converted to the response.

    Attributes
    ----------
    kind: key of `TITLES`.
    status: HTTP status.
    detail: one sentence for people.
    errors: field, got, wanted.
    headers: additional headers, such as Retry-After.
    due: index of the frame that must come next, if frames are missing.
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
    """Convert a problem to a response in problem+json. path: the requested path, which becomes `instance`."""
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


def from_spec_errors(found: SpecErrors) -> Problem:
    """Return the problem for errors in a spec: 400 if the body is not JSON, else 422."""
    broken = any(error.field == "body" and error.wanted == "JSON in UTF-8" for error in found.errors)
    kind, status = ("invalid-body", 400) if broken else ("invalid-spec", 422)
    return Problem(kind, status, _shorten(str(found), 1000), errors=found.errors)


def from_refusal(error: errors.RefusalError) -> Problem:
    """Return the problem for a refusal of a service, with the status in `REFUSALS`."""
    kind, status = REFUSALS[type(error)]
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, errors.NoCapacityError) else {}
    if status == 401:
        is_wrong = isinstance(error, errors.InvalidTokenError)
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if is_wrong else "Bearer"}
    due = error.due if isinstance(error, errors.FrameGapError) else None
    return Problem(kind, status, str(error), errors=error.errors, headers=headers, due=due)


def invalid_query(field: str, got: Any, wanted: str) -> Problem:
    """Return the problem for a query parameter that is not valid."""
    error = SpecError(field, got, wanted)
    return Problem("invalid-query", 422, str(error), errors=[error])


def not_available(error: SpecError) -> Problem:
    """Return the problem for something that a finished run cannot have. error: what the run is, and what it must be."""
    return Problem("not-available", 409, str(error), errors=[error])


def not_found(what: str, name: str, known: Sequence[str] = ()) -> Problem:
    """Return the problem for an id or name that is unknown.

    what: kind of object, such as "run". known: all names of this kind, which the problem lists; for kinds of few names.
    """
    detail = f"No {what} named {_shorten(name, MAX_TEXT)!r} on this server."
    if not known:
        return Problem("not-found", 404, detail)
    similar = difflib.get_close_matches(name, known, 3)
    hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
    names = ", ".join(known)
    error = SpecError(what, name, f"one of {names}")
    return Problem("not-found", 404, f"{detail}{hint} Known names: {names}.", errors=[error])


Show = Callable[[Request, Problem], Response | None]


def install_error_handlers(app: FastAPI, crash_headers: dict[str, str], show: Show) -> None:
    """Convert every exception of the app, including those of the framework, to a problem response.

    show: renders a problem as a page if a browser requested a page; not used for errors in a spec and crashes.
    crash_headers: headers of the response to a crash, which Starlette sends outside of all middleware.
    """

    async def respond(request: Request, error: Exception) -> Response:
        """Respond with the problem for an exception, as a page for browsers or as JSON, and add it to the log line."""
        problem = _to_problem(request, error)
        log_context.note(problem=problem.kind)
        shown = None if isinstance(error, SpecErrors) else show(request, problem)
        return shown or to_response(problem, request.url.path)

    async def on_crash(request: Request, error: Exception) -> Response:
        """Respond with 500 for an unexpected exception, which the framework logs."""
        problem = Problem("internal", 500, "The server's log has the details.", headers=crash_headers)
        return to_response(problem, request.url.path)

    for kind in (Problem, SpecErrors, errors.RefusalError, StoreUnavailable, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, respond)
    app.add_exception_handler(Exception, on_crash)


def _to_problem(request: Request, error: Exception) -> Problem:
    """Return the problem for an exception that a route or the framework has raised."""
    match error:
        case Problem():
            return error
        case SpecErrors():
            return from_spec_errors(error)
        case errors.RefusalError():
            return from_refusal(error)
        case RequestValidationError():
            items = [to_request_error(_to_field(item["loc"]), item) for item in error.errors()]
            return Problem("invalid-query", 422, "; ".join(map(str, items)), errors=items)
        case HTTPException():
            return _from_http(request, error)
    assert isinstance(error, StoreUnavailable)
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return Problem("store-unavailable", 503, str(error), headers={"Retry-After": "5"})


def _from_http(request: Request, error: HTTPException) -> Problem:
    """Return the problem for an HTTP error of the framework, such as 404 or 405."""
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return Problem("not-found", 404, f"This server has nothing at {request.url.path}.", headers=headers)
    if error.status_code == 405:
        headers["Allow"] = ", ".join(list_methods(request.app, dict(request.scope)))
        detail = f"{request.url.path}: got {request.method}, wanted {headers['Allow']}."
        return Problem("not-allowed", 405, detail, headers=headers)
    return Problem("http", error.status_code, f"{request.method} {request.url.path}: {error.detail}.", headers=headers)


def to_request_error(field: str, item: Any) -> SpecError:
    """Convert an error of pydantic in a query or a body to a SpecError, in plain words."""
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == NO_NUL:
        return SpecError(field, item["input"], "text without the character U+0000")
    return to_plain_error(field, item)


def to_item(error: SpecError) -> dict[str, Any]:
    """Return an error as an entry of the problem's `errors`."""
    return {"field": _shorten(error.field, MAX_TEXT), "got": _to_got(error.got), "wanted": error.wanted}


def _to_got(value: Any) -> Any:
    """Return the received value if it is a short JSON value, else the beginning of its text."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        return _shorten(value, MAX_TEXT)
    return _shorten(repr(value), MAX_TEXT)


def list_methods(app: FastAPI, scope: dict[str, Any]) -> list[str]:
    """Return the methods that the path of a request supports: those of all routes with the path that matches first."""
    found = [route for route in iter_route_contexts(app.routes) if route.path and route.methods]
    address = scope["path"].removeprefix(scope.get("root_path", ""))
    first = next((route.path for route in found if compile_path(str(route.path))[0].match(address)), None)
    methods = {method for route in found if route.path == first for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text, with the length of the text if it is cut."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _to_field(loc: Sequence[str | int]) -> str:
    """Return the dotted path of a field, without the first part of `loc`, which says where it was sent (body or query).

    For example `label.0`, the first value of a parameter that may be repeated.
    """
    return ".".join(str(part) for part in loc[1:])
