"""Define requests, responses and retries without network access, shared by the sync and the async client.

A call is a generator. It yields a request to send or a pause to wait, receives the response, and returns the result of
the call. The clients differ only in how they send and wait.
"""

import os
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

from mhc_core.record import codec
from mhc_core.record.credentials import to_headers
from mhc_core.spec.errors import SpecError
from mhc_probe.client.errors import ArgumentError, LostError, RefusedError

API = "/api/v1"
URL_VARIABLE = "MHC_SCOPE_URL"
DEFAULT_URL = "http://127.0.0.1:8000"
PATIENCE_S = 60.0
TIMEOUT_S = 60.0  # longest time without data; a stream sends data at least every 15 s
JSON = "application/json"
# Retried if the response has Retry-After: result incomplete, too many runs, server busy, proxy without a server.
TRANSIENT = (409, 429, 502, 503, 504)
UNAVAILABLE = (502, 503, 504)  # retried even without Retry-After, like 429
FIRST_PAUSE_S, MAX_PAUSE_S = 0.25, 10.0

T = TypeVar("T")


@dataclass(frozen=True)
class ApiRequest:
    """A request. `path` is relative to the server's address."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiResponse:
    """A response of the server. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Return whether the server fulfilled the request."""
        return 200 <= self.status < 300

    def read_json(self) -> Any:
        """Return the body of the response, decoded from JSON.

        Raises
        ------
        RefusedError
            If the body is not JSON: another program than mHC Scope answers at this address.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise RefusedError.read(self.status, self.headers, self.body) from None


@dataclass(frozen=True)
class NoResponse:
    """No response arrived, for this reason."""

    reason: str


@dataclass(frozen=True)
class Pause:
    """Time to wait before the next request."""

    seconds: float


Call = Generator[ApiRequest | Pause, ApiResponse | NoResponse | None, T]


class RetrySchedule:
    """Times of retries while a server is busy or unreachable, with a limit on the total wait."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s, self._waited_s, self._tries = limit_s, 0.0, 0

    def renew(self) -> None:
        """Restart the schedule of retries after a success."""
        self._waited_s, self._tries = 0.0, 0

    def next_pause(self, retry_after_s: float | None) -> float | None:
        """Return the seconds until the next retry: the server's value if it gave one, else increasing pauses.

        None if the total wait would exceed the limit.
        """
        backoff = min(FIRST_PAUSE_S * 2**self._tries, MAX_PAUSE_S) * random.uniform(0.75, 1.0)
        pause = backoff if retry_after_s is None else retry_after_s
        if self._waited_s + pause > self._limit_s:
            return None
        self._waited_s, self._tries = self._waited_s + pause, self._tries + 1
        return pause


def check_url(url: str | None) -> str:
    """Return the address of a server without a final slash; by default from the environment, or this machine.

    Raises
    ------
    ArgumentError
        If it is not an http or https address.
    """
    url = os.environ.get(URL_VARIABLE, DEFAULT_URL) if url is None else url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ArgumentError("url", url, f"the address of a server, such as {DEFAULT_URL}")
    return url.rstrip("/")


def read_token(token: str | None) -> dict[str, str]:
    """Return headers with the access token, by default that of the environment.

    Raises
    ------
    ArgumentError
        If the token is not valid.
    """
    try:
        return to_headers(token)
    except SpecError as error:
        raise ArgumentError(error.field, error.got, error.wanted) from None


def send(request: ApiRequest, limit_s: float) -> Call[ApiResponse]:
    """Send a request until the server answers with a success; raise the error of a refusal.

    Every request of the API may be repeated, because its content determines the id of what it creates.

    Raises
    ------
    RefusedError
        If the server refuses, or is busy for longer than `limit_s`.
    LostError
        If it is unreachable for longer than `limit_s`.
    """
    patience = RetrySchedule(limit_s)
    while True:
        answer = yield request
        if isinstance(answer, ApiResponse) and answer.is_success:
            return answer
        pause = patience.next_pause(_read_pause(answer)) if _is_transient(answer) else None
        if pause is None:
            raise to_error(request, answer)
        yield Pause(pause)


def send_json(
    method: str, path: str, limit_s: float, *, body: Any = None, params: Mapping[str, Any] | None = None
) -> Call[Any]:
    """Send JSON to a path of the API and return the decoded response."""
    headers = {} if body is None else {"content-type": JSON}
    content = None if body is None else _to_json(body)
    answer = yield from send(ApiRequest(method, API + path, params or {}, content, headers), limit_s)
    return answer.read_json()


def _to_json(body: Any) -> bytes:
    """Encode a request body as JSON; raise ArgumentError if JSON cannot express it."""
    try:
        return codec.to_json(body)
    except TypeError as error:
        raise ArgumentError("body", body, f"what JSON can express ({error})") from None


def to_error(request: ApiRequest, answer: ApiResponse | NoResponse | None) -> RefusedError | LostError:
    """Return the error for a response that ends the retries."""
    if isinstance(answer, ApiResponse):
        return RefusedError.read(answer.status, answer.headers, answer.body)
    reason = answer.reason if answer is not None else "no answer"
    return LostError(f"{request.method} {request.path}: {reason}")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in a Retry-After header, which is a number or a date; None if missing or unreadable."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _read_pause(answer: ApiResponse | NoResponse | None) -> float | None:
    return read_retry_after(answer.headers) if isinstance(answer, ApiResponse) else None


def _is_transient(answer: ApiResponse | NoResponse | None) -> bool:
    """Return whether a request is worth a retry: no response came, or the server is busy."""
    if not isinstance(answer, ApiResponse):
        return True
    has_retry_after = answer.status in TRANSIENT and "retry-after" in answer.headers
    return has_retry_after or answer.status in (429, *UNAVAILABLE)
