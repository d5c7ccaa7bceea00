"""What is refused, and by which figure: body size, predicted cost, runs a client, length of the queue."""

import asyncio
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Problem, to_response
from app.settings import Settings
from mhc_core.cost import Estimate
from mhc_core.errors import SpecError
from mhc_core.numerals import format_value
from mhc_core.spec import RunSpec

# Fields that cost grows with, and where to read them.
SIZES = ("depth", "width", "connection.streams", "block.mlp_ratio", "input.batch", "input.tokens", "train.steps")

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


def check_cost(spec: RunSpec, cost: Estimate, settings: Settings) -> list[SpecError]:
    """Why this server does not admit the spec: one error a size field and figure; empty where it does."""
    errors = []
    if cost.seconds > settings.max_run_seconds:
        got, limit = (
            f"{format_value(cost.seconds, digits=3)} s predicted",
            f"at most {settings.max_run_seconds:g} s of predicted time",
        )
        errors += [SpecError(field, got, limit) for field in _large_fields(spec)]
    if cost.peak_bytes > settings.max_run_bytes:
        got = f"{format_value(cost.peak_bytes / 1e9, digits=3)} GB predicted"
        limit = f"at most {settings.max_run_bytes / 1e9:.3g} GB of predicted memory"
        errors += [SpecError(field, got, limit) for field in _large_fields(spec)]
    return errors


def require_admissible(spec: RunSpec, cost: Estimate, settings: Settings) -> None:
    """Refuse a spec that is predicted to cost too much."""
    errors = check_cost(spec, cost, settings)
    if errors:
        detail = "; ".join(dict.fromkeys(f"{error.got}, wanted {error.wanted}" for error in errors))
        fields = ", ".join(dict.fromkeys(error.field for error in errors))
        raise Problem("too-expensive", 422, f"{detail}; lower {fields}", errors=errors)


def require_room(new: int, of_client: int, waiting: int, settings: Settings) -> None:
    """Refuse runs that would not fit the client's share or the queue."""
    retry = {"Retry-After": "2"}
    if of_client + new > settings.runs_per_client:
        detail = f"this client has {of_client} runs waiting or running; {settings.runs_per_client} are allowed"
        raise Problem("too-many-runs", 429, detail, headers=retry)
    if waiting + new > settings.queue_size:
        detail = f"{waiting} runs are waiting; the queue holds {settings.queue_size}"
        raise Problem("queue-full", 503, detail, headers=retry)


def _large_fields(spec: RunSpec) -> Sequence[str]:
    """The size fields that stand above their defaults; every size field where none does."""
    default = RunSpec()
    return [path for path in SIZES if _value(spec, path) > _value(default, path)] or SIZES


def _value(spec: RunSpec, path: str) -> int:
    value: object = spec
    for name in path.split("."):
        value = getattr(value, name)
    assert isinstance(value, int)
    return value
