"""Send a run's frames as they are computed: Server-Sent Events, or one JSON object per line.

A stream reads only the frame log, so that a live run, a late viewer, a reconnect and a finished run are the same case.
A request can be refused only before the first byte.
"""

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal

import brotli
import orjson
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mhc_core.record import codec
from mhc_core.spec import RunSpec
from mhc_scope import limits
from mhc_scope.api.codings import choose_coding
from mhc_scope.api.head import is_head
from mhc_scope.api.models.runs import SubmittedBody
from mhc_scope.api.problems import invalid_query
from mhc_scope.services.runs import UNSTARTED, Runs, Submission
from mhc_scope.services.streams import StreamPlace
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.notifications import Subscription
from mhc_scope.store.runs import StoredRun

log = logging.getLogger("mhc.api")

Form = Literal["sse", "ndjson"]
Choice = Literal["all", "result", "steps"]
CHOICE = (
    "`all`: every frame. `result`: of a run that trains, has ended, and is sent from its first frame, neither the "
    "training steps nor the measurement before them. `steps`: the frames of training steps, and the end."
)
SSE, NDJSON = "text/event-stream", "application/x-ndjson"
# Content of an event stream in words, because OpenAPI has no schema for parts of a text.
CONTENTS = {
    SSE: "Server-Sent Events. `event` is the type of a frame, `data` the frame as JSON, of schema `Frame`, and `id` is "
    "its index. Before the first frame `status` has the place in the queue; `closing` says why the stream "
    "ends before its runs: the server stops, or cannot read its database now. It can be resumed.",
    NDJSON: "One frame a line as JSON, of schema `Frame`.",
}
FOLLOWED = "An event `submitted`, whose data is the answer as JSON, then the events of `/runs/events`."
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
# Brotli takes 3 ms for a comparison; gzip takes 7 ms for 9 % more bytes. A higher level takes 3 times as long for 10 %.
PACK_LEVEL = 1
GZIP_WBITS = 31
# Patterns of frame indices, -1 for none. They are strings because the API description contains them.
INDEX = "(-1|[0-9]{1,9})"
ONE_INDEX, INDICES = f"^{INDEX}?$", f"^({INDEX}(,{INDEX})*)?$"
# Delay before an EventSource reconnects to a server that has stopped.
RECONNECT_MS = 1000


def respond(
    request: Request,
    service: Runs,
    place: StreamPlace,
    runs: Sequence[StoredRun],
    after: str | None,
    choice: Choice,
    viewer: str,
) -> Response:
    """Return an event stream with the chosen frames of one or several runs after the last seen ones.

    after: indices of the last frames seen, separated by commas; None for none.

    Raises
    ------
    NoCapacityError
        If the client or the server has reached its limit of event streams.
    """
    # A reconnecting EventSource repeats its first URL; the header has the current index.
    cursors = parse_cursors(request.headers.get("last-event-id") or after, len(runs))
    if all(not run.is_live and cursor >= run.frames - 1 for run, cursor in zip(runs, cursors, strict=True)):
        return Response(status_code=204, headers=HEADERS)  # An EventSource then does not reconnect.
    form: Form = "ndjson" if NDJSON in request.headers.get("accept", "") else "sse"
    if is_head(request):
        place.require_capacity()
        return _build_response(request, _stream_nothing(), form, AsyncExitStack())
    followed = {run.id: cursor for run, cursor in zip(runs, cursors, strict=True)}
    keeps = {
        run.id: choose_filter(choice, run.source.train_steps, is_done=run.status == "done", cursor=followed[run.id])
        for run in runs
    }
    feed = Feed(service, limits.HEARTBEAT_S, followed, form, keeps)
    resources = AsyncExitStack()
    resources.enter_context(place.take())
    subscription = resources.enter_context(service.hub.subscribe([run.id for run in runs], viewer))
    return _build_response(request, feed.follow(subscription), form, resources)


def respond_submitted(
    request: Request,
    service: Runs,
    resources: AsyncExitStack,
    subscription: Subscription,
    specs: Sequence[RunSpec],
    submitted: Sequence[Submission],
    have: Collection[str],
    choice: Choice,
) -> Response:
    """Respond to a POST with an event stream: first the result of submitting, then frames that the client lacks.

    resources: owns the place and the subscription, and is closed at the end of the event stream. After the first event,
    the client knows the ids of its runs, so that they continue if it disconnects.
    """
    keeps = {
        item.run_id: choose_filter(choice, spec.train.steps, is_done=item.status == "done", cursor=-1)
        for spec, item in zip(specs, submitted, strict=True)
        if item.status != UNSTARTED and item.run_id not in have
    }
    feed = Feed(service, limits.HEARTBEAT_S, dict.fromkeys(keeps, -1), "sse", keeps)

    async def stream_submitted() -> AsyncIterator[bytes]:
        """Yield the result of submitting, then the frames that the client lacks."""
        if await request.is_disconnected():
            return
        bodies = [SubmittedBody.build(item).model_dump() for item in submitted]
        yield b"event: submitted\ndata: " + orjson.dumps(bodies) + b"\n\n"
        service.announce(item.run_id for item in submitted)
        async for chunk in feed.follow(subscription):
            yield chunk

    return _build_response(
        request, stream_submitted(), "sse", resources, 202 if any(item.is_new for item in submitted) else 200
    )


class CountedStream(StreamingResponse):
    """An event stream that owns a place and a subscription, and releases them at its end, also after an error."""

    resources: AsyncExitStack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the event stream, then release its resources."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.resources.aclose()


def _build_response(
    request: Request, chunks: AsyncIterator[bytes], form: Form, resources: AsyncExitStack, status: int = 200
) -> Response:
    """Return a streaming response, compressed if the client accepts that, which closes `resources` at its end."""
    headers = dict(HEADERS)
    coding = choose_coding(request.headers.get("accept-encoding", ""))
    if coding is not None:
        chunks, headers = PACKERS[coding](chunks), headers | {"Content-Encoding": coding}
    response = CountedStream(chunks, status, headers, SSE if form == "sse" else NDJSON)
    response.resources = resources
    return response


async def _stream_nothing() -> AsyncIterator[bytes]:
    """Yield nothing, as the empty body of a response to HEAD."""
    return
    yield


async def pack_gzip(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress chunks one by one, so that each can be decompressed when it arrives. Frames shrink to a third."""
    packer = zlib.compressobj(PACK_LEVEL, wbits=GZIP_WBITS)
    async for chunk in chunks:
        yield packer.compress(chunk) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def pack_brotli(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Compress chunks one by one, as `pack_gzip` does."""
    packer = brotli.Compressor(quality=PACK_LEVEL)
    async for chunk in chunks:
        yield packer.process(chunk) + packer.flush()
    yield packer.finish()


PACKERS = {"br": pack_brotli, "gzip": pack_gzip}


def parse_cursors(text: str | None, runs: int) -> list[int]:
    """Parse the indices of the last frames seen, one per run, -1 for none: `"5"`, or `"5,9,-1"` for three runs."""
    parts = text.split(",") if text else ["-1"] * runs
    if len(parts) != runs or not all(re.fullmatch(INDEX, part) for part in parts):
        raise invalid_query("after", text, f"{runs} frame indices from -1, separated by commas")
    return [int(part) for part in parts]


Filter = Callable[[bytes], bool]


def choose_filter(choice: Choice, train_steps: int, *, is_done: bool, cursor: int) -> Filter:
    """Return which lines of a run are sent: a function that is called with each line after the cursor, in order."""
    if choice == "steps":
        return lambda line: codec.frame_type(line) in ("step", "end")
    # A viewer that resumes already has steps, or the frames after them.
    if choice == "result" and train_steps > 0 and is_done and cursor < 0:
        return _filter_result()
    return lambda _: True


def _filter_result() -> Filter:
    """Return a filter that keeps the first frame and those after the last step."""
    is_trained = False

    def is_kept(line: bytes) -> bool:
        nonlocal is_trained
        kind = codec.frame_type(line)
        is_trained = is_trained or kind == "step"
        return kind == "start" or (is_trained and kind != "step")

    return is_kept


class Feed:
    """Yields frames of runs to one viewer: those after a cursor that the filter of the run keeps (default: all)."""

    def __init__(
        self,
        service: Runs,
        heartbeat_s: float,
        cursors: dict[str, int],
        form: Form,
        keeps: Mapping[str, Filter] = {},
    ) -> None:
        self._service, self._heartbeat_s, self._form, self._keeps = service, heartbeat_s, form, keeps
        self._cursors = cursors
        self._open = list(cursors)
        self._reported: dict[str, int | None] = {}

    async def follow(self, subscription: Subscription) -> AsyncIterator[bytes]:
        """Yield chunks of frames until every run has ended, the viewer leaves, or the server or its database stops."""
        if self._form == "sse":
            yield f"retry: {RECONNECT_MS}\n\n".encode()
        while self._open:
            idle = True
            for run_id in list(self._open):
                try:
                    chunk = await self._next_chunk(run_id)
                except StoreUnavailable as error:
                    log.warning("an event stream is closed, and may be resumed: %s", error)
                    for chunk in self._to_closing(str(error)):
                        yield chunk
                    return
                if chunk:
                    idle = False
                    yield chunk
                    await asyncio.sleep(0)  # let other tasks run: for a fast or disconnected client nothing else waits
            if not idle:
                continue
            if self._service.hub.closing:
                for chunk in self._to_closing("the server is stopping"):
                    yield chunk
                return
            if self._open and not await subscription.wait(self._heartbeat_s) and self._form == "sse":
                yield b": heartbeat\n\n"

    async def _next_chunk(self, run_id: str) -> bytes:
        """Return the next lines of a run as a chunk, else its position in the queue if it has changed, else b""."""
        # Read before the log, so that the next round finds an end that is stored in between.
        position = self._service.position(run_id)
        while lines := await self._service.log.read(run_id, self._cursors[run_id]):
            if codec.frame_type(lines[-1]) == "end":
                self._open.remove(run_id)
            if chunk := self._to_chunk(run_id, lines):
                return chunk
        if position is None:
            # The end may have been stored since the log was read. Then the next round finds it.
            if not await self._service.is_live(run_id) and not await self._service.log.read(
                run_id, self._cursors[run_id]
            ):
                self._open.remove(run_id)
        elif self._reported.get(run_id) != position:
            self._reported[run_id] = position
            return self._to_status(run_id, position)
        return b""

    def _to_chunk(self, run_id: str, lines: Sequence[bytes]) -> bytes:
        """Format the kept lines of frames for the client, as Server-Sent Events or as NDJSON; move the cursor."""
        events, is_kept = [], self._keeps.get(run_id)
        for line in lines:
            self._cursors[run_id] += 1
            if is_kept is None or is_kept(line):
                events.append(line if self._form == "ndjson" else self._to_event(line))
        return b"".join(events)

    def _to_event(self, line: bytes) -> bytes:
        """Format a line as an event, whose id has the cursors of all runs."""
        event_id = ",".join(map(str, self._cursors.values()))
        return f"id: {event_id}\nevent: {codec.frame_type(line)}\ndata: ".encode() + line + b"\n"

    def _to_closing(self, reason: str) -> list[bytes]:
        """Return an event that states why the event stream ends before its runs; [] for NDJSON, which has no events."""
        return [b"event: closing\ndata: " + orjson.dumps({"reason": reason}) + b"\n\n"] if self._form == "sse" else []

    def _to_status(self, run_id: str, position: int) -> bytes:
        """Return an event that says that a run is queued at a position, or is running if it is 0; b"" for ndjson, or if
        frames were sent already. The event has no id.
        """
        if self._form == "ndjson" or self._cursors[run_id] >= 0:
            return b""
        status = {"run": run_id, "status": "queued" if position else "running", "position": position or None}
        return b"event: status\ndata: " + orjson.dumps(status) + b"\n\n"
