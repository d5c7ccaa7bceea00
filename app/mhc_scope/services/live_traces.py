"""Accept recordings that grow while a model trains elsewhere (live recordings).

Their owner sends frames by index, again if necessary: frames that are stored already are skipped, and a gap is refused
with the index that must come next. A recording continues after a restart of the server. One that receives no frames for
a long time is ended as failed.
"""

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mhc_core.record.codec import encode_frame
from mhc_core.record.container import Checker, ContainerLimits
from mhc_core.record.frames import AnyFrame, EndFrame
from mhc_core.record.summary import EndStatus
from mhc_core.record.texts import check_text
from mhc_core.spec import SpecError
from mhc_scope import limits
from mhc_scope.services.errors import (
    FrameGapError,
    InvalidTraceError,
    TooManyLiveTracesError,
    TraceEndedError,
    UnknownTraceError,
    WrongTokenError,
)
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.runs import ID_LENGTH, Runs
from mhc_scope.settings import Settings
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.runs import StoredRun

log = logging.getLogger("mhc.traces")

TOKEN_BYTES = 24
MAX_POLL_S = 30.0  # longest time between two checks for recordings that receive no frames
SILENT_REASON = "no frame was received for {:g} s"


@dataclass(frozen=True)
class NewLiveTrace:
    """A new live recording, and the token that allows writing it."""

    record_id: str
    token: str


@dataclass(frozen=True)
class LiveTraceState:
    """The progress of a live recording: the index of the frame that must come next, and the status."""

    record_id: str
    due: int
    status: str


@dataclass
class IncomingTrace:
    """What is kept in memory of a live recording: its checker and size. Rebuilt from the store after a restart."""

    checker: Checker
    size_bytes: int


class LiveTraces:
    """Manages the live recordings of this server."""

    def __init__(self, settings: Settings, runs: Runs, store: LiveTraceStore) -> None:
        self._settings, self._runs, self._store = settings, runs, store
        self._limits = ContainerLimits(size_bytes=limits.MAX_TRACE_BYTES)
        self._growing: dict[str, IncomingTrace] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._received_at: dict[str, float] = {}
        self._opening = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Continue the live recordings of an earlier process. Their time without frames starts now."""
        for run_id in await self._store.list_open():
            self._record_activity(run_id)
        self._watch = asyncio.create_task(self._close_silent_forever())

    async def stop(self) -> None:
        """Leave live recordings unfinished for the next process."""
        if self._watch is not None:
            self._watch.cancel()

    async def open(self, lines: Sequence[bytes], client: ClientIdentity) -> NewLiveTrace:
        """Create a live recording with its first frames, beginning with `start`.

        Raises
        ------
        RefusalError
            If the frames are not the beginning of a recording, or the limit of live recordings is reached.
        """
        async with self._opening:  # otherwise several requests at the same time could exceed the limit
            return await self._open_checked(lines, client)

    async def _open_checked(self, lines: Sequence[bytes], client: ClientIdentity) -> NewLiveTrace:
        """Check the first frames, then store the recording with a new id and token."""
        self.require_capacity()
        await self._runs.storage.require_space()
        growing = IncomingTrace(_new_checker(), 0)
        frames = await asyncio.to_thread(_check_lines, growing.checker, lines)
        if growing.checker.start is None or isinstance(frames[-1], EndFrame):
            got = "no lines" if growing.checker.start is None else "a trace with its end"
            raise InvalidTraceError(SpecError("frames", got, "the first frames of a trace without its end"))
        run_id, token = secrets.token_hex(ID_LENGTH // 2), secrets.token_urlsafe(TOKEN_BYTES)
        encoded = self._encode(run_id, growing, frames, 0)
        self._runs.log.begin(run_id)
        source = growing.checker.start.get_source()
        await self._store.open(run_id, source, token, client.key, client.address)
        self._growing[run_id] = growing
        self._record_activity(run_id)
        await self._runs.log.append(run_id, 0, encoded)
        return NewLiveTrace(run_id, token)

    def require_capacity(self) -> None:
        """Refuse a new live recording if the limit of the server is reached."""
        if (growing := len(self._received_at)) >= limits.MAX_LIVE_TRACES:
            allowed = f"this server allows {limits.MAX_LIVE_TRACES}"
            raise TooManyLiveTracesError(f"{growing} traces are being recorded; {allowed}.")

    async def require_owner(self, run_id: str, token: str) -> StoredRun:
        """Return the stored recording if the token is that of its owner.

        Raises
        ------
        RefusalError
            If no live recording has this id, or the token is wrong.
        """
        live, run = await self._store.find(run_id), await self._runs.store.get(run_id)
        if live is None or run is None:
            raise UnknownTraceError(f"No trace with the id {run_id[:ID_LENGTH]!r} is being recorded.")
        if not live.accepts(token):
            raise WrongTokenError("The token is not the one that was returned when this trace was created.")
        return run

    async def append(self, run: StoredRun, first: int, lines: Sequence[bytes]) -> LiveTraceState:
        """Append frames to a live recording, without those that are stored already. first: index of the first frame.

        Raises
        ------
        RefusalError
            If frames before them are missing, one is not valid (then none is stored), or the recording has ended.
        """
        async with self._locks[run.id]:
            run = await self._runs.store.get(run.id) or run
            if not run.is_live:
                _require_known(run, first, lines)
                return LiveTraceState(run.id, run.frames, run.status)
            if first > run.frames:
                raise FrameGapError(run.frames, first)
            self._record_activity(run.id)
            new = lines[run.frames - first :]
            if new:
                await self._runs.storage.require_space()
            return await self._append_batch(run, new) if new else LiveTraceState(run.id, run.frames, run.status)

    async def end(self, run: StoredRun, status: EndStatus, reason: str | None) -> LiveTraceState:
        """End a live recording. One that has ended already is not changed.

        Raises
        ------
        RefusalError
            If the status is done and the recording is not complete.
        """
        async with self._locks[run.id]:
            run = await self._runs.store.get(run.id) or run
            if run.is_live:
                growing = await self._find_growing(run)
                with _refuse_invalid():
                    check_text(reason or "", "reason")
                    if status == "done":
                        growing.checker.finish()
                await self._finish_trace(run.id, run.frames, status, reason)
                return LiveTraceState(run.id, run.frames + 1, status)
            return LiveTraceState(run.id, run.frames, run.status)

    # ---- helpers. Those that write are called with the lock of the recording.

    async def _append_batch(self, run: StoredRun, lines: Sequence[bytes]) -> LiveTraceState:
        """Check and store a batch of frames, and end the recording if `end` is among them."""
        growing = await self._find_growing(run)
        checker = growing.checker.fork()  # a copy, because a batch is stored completely or not at all
        frames = await asyncio.to_thread(_check_lines, checker, lines)
        end = frames.pop() if isinstance(frames[-1], EndFrame) else None
        if isinstance(end, EndFrame) and end.status == "done":
            with _refuse_invalid():
                checker.finish()
        grown = IncomingTrace(checker, growing.size_bytes)
        encoded = self._encode(run.id, grown, frames, run.frames)
        if encoded:
            await self._runs.log.append(run.id, run.frames, encoded)
        self._growing[run.id] = grown
        count = run.frames + len(frames)
        if not isinstance(end, EndFrame):
            return LiveTraceState(run.id, count, run.status)
        await self._finish_trace(run.id, count, end.status, end.reason)
        return LiveTraceState(run.id, count + 1, end.status)

    def _encode(self, run_id: str, growing: IncomingTrace, frames: Sequence[AnyFrame], first: int) -> list[bytes]:
        """Return the encoded frames of a live recording, and add their size to its own; refuse them above limits."""
        lines = [encode_frame(frame, run_id, first + index) for index, frame in enumerate(frames)]
        size = growing.size_bytes + sum(map(len, lines))
        if size > self._limits.size_bytes or first + len(lines) > self._limits.lines:
            wanted = f"at most {self._limits.size_bytes} bytes and {self._limits.lines} frames in all"
            raise InvalidTraceError(SpecError("frames", f"{size} bytes in {first + len(lines)} frames", wanted))
        growing.size_bytes = size
        return lines

    async def _find_growing(self, run: StoredRun) -> IncomingTrace:
        """Return the state of a live recording. Read its log if this process does not have the state yet."""
        if run.id not in self._growing:
            checker, size = _new_checker(), 0
            async for line in self._runs.log.read_all(run.id):
                checker.take(line)
                size += len(line)
            self._growing[run.id] = IncomingTrace(checker, size)
        return self._growing[run.id]

    async def _finish_trace(self, run_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """Store the end of a recording, and forget the state that only growing recordings need."""
        await self._runs.log.finish(run_id, index, status, reason)
        self._runs.ended[status] += 1
        self._runs.growing.discard(run_id)
        self._received_at.pop(run_id, None)
        self._growing.pop(run_id, None)
        self._locks.pop(run_id, None)

    def _record_activity(self, run_id: str) -> None:
        """Record that frames of a recording were received now."""
        self._runs.growing.add(run_id)
        self._received_at[run_id] = time.monotonic()

    async def _close_silent_forever(self) -> None:
        """End live recordings that have received no frames for too long, forever."""
        limit = limits.LIVE_TRACE_S
        while True:
            await asyncio.sleep(min(MAX_POLL_S, limit / 4))
            try:
                for run_id in [name for name, at in self._received_at.items() if time.monotonic() - at > limit]:
                    await self._close_silent(run_id, limit)
            except Exception:
                log.exception("silent live traces could not be closed; the next try follows")

    async def _close_silent(self, run_id: str, limit: float) -> None:
        """End a live recording as failed if it has received no frames for `limit` seconds."""
        async with self._locks[run_id]:
            run = await self._runs.store.get(run_id)
            if run is not None and run.is_live and time.monotonic() - self._received_at.get(run_id, 0.0) > limit:
                await self._finish_trace(run_id, run.frames, "failed", SILENT_REASON.format(limit))


def _require_known(run: StoredRun, first: int, lines: Sequence[bytes]) -> None:
    """Refuse new frames for a recording that has ended. Stored frames and `end` may be sent again."""
    lacking = lines[max(0, run.frames - 1 - first) :]
    if first > run.frames or any(b'"type":"end"' not in line for line in lacking):
        raise TraceEndedError(f"This trace is {run.status} and takes no more frames.")


def _new_checker() -> Checker:
    """Return a checker for the frames of a live recording."""
    # Frames do not contain the id of the record, which the owner does not know when it encodes the first.
    return Checker(only_traces=True, names_run=False)


def _check_lines(checker: Checker, lines: Sequence[bytes]) -> list[AnyFrame]:
    """Check the next lines of a live recording and return their frames; refuse the request if a line is invalid."""
    with _refuse_invalid():
        return [checker.take(line) for line in lines]


@contextmanager
def _refuse_invalid() -> Iterator[None]:
    """Convert a SpecError about a recording to the refusal of the request."""
    try:
        yield
    except SpecError as error:
        raise InvalidTraceError(error) from None
