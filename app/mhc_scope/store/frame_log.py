"""Append frames to the logs of runs, which viewers read during the run or later.

A line is durable before any viewer reads it. The logs of runs that this process computes, and of records from the
package, are also cached in memory up to a limit, so that many viewers of a run do not cause many queries per frame.
Lines that are not cached are read from the database, with the same bytes.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

from mhc_core.record import codec
from mhc_core.record.source import Source
from mhc_core.record.summary import EndStatus
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.frames import take_lines
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import Cost, RunStore

PAGE, PAGE_BYTES = 256, 2**20
# Largest size that one viewer buffers until its client has read it.
VIEWER_BYTES = 2**16


class FrameLog:
    """Append frames to the store and then to the cache, and wake the viewers."""

    def __init__(self, store: RunStore, hub: Hub, cache_bytes: int) -> None:
        self._store, self._hub, self._limit_bytes = store, hub, cache_bytes
        self._cached: OrderedDict[str, list[bytes]] = OrderedDict()
        self._size_bytes = 0
        self.evicted = 0  # number of logs that were evicted from memory

    def begin(self, run_id: str, claim: RunClaim | None = None) -> None:
        """Start an empty log of a new or restarted run in memory, from which viewers read its first frames."""
        self.forget(run_id)
        self._cached[run_id] = []

    async def add_record(self, run_id: str, source: Source, lines: Sequence[bytes], cost: Cost) -> None:
        """Store all frames of a complete record, and cache them, because its viewers read them next."""
        if not await self._store.add_record(run_id, source, lines, cost=cost):
            return  # another server has just stored it
        self.begin(run_id)
        self._extend_cached(run_id, 0, [*lines, codec.encode_end(run_id, len(lines), "done", None)])

    async def append(self, run_id: str, first: int, lines: Sequence[bytes], claim: RunClaim | None = None) -> None:
        """Append frames to the log of a run. It raises the errors of `RunStore.append`."""
        await self._store.append(run_id, first, lines, claim)
        self._extend_cached(run_id, first, lines)
        self._hub.wake_viewers(run_id)

    async def finish(
        self,
        run_id: str,
        index: int,
        status: EndStatus,
        reason: str | None,
        claim: RunClaim | None = None,
        seconds: float = 0.0,
        lines: Sequence[bytes] = (),
    ) -> None:
        """Append the last frames and the end frame to the log of a run. It raises the errors of `RunStore.finish`."""
        line = await self._store.finish(run_id, index, status, reason, claim, seconds, lines)
        self._extend_cached(run_id, index, [*lines, line])
        self._hub.wake_viewers(run_id)

    async def read(self, run_id: str, after: int, limit: int = PAGE, limit_bytes: float = VIEWER_BYTES) -> list[bytes]:
        """Return lines after index `after`: at most `limit`, and none after the one that reaches `limit_bytes`."""
        cached = self._cached.get(run_id)
        if cached is None:
            return await self._store.read(run_id, after, limit, limit_bytes)
        self._cached.move_to_end(run_id)
        return take_lines(cached[after + 1 : after + 1 + limit], limit_bytes)

    async def read_all(self, run_id: str) -> AsyncIterator[bytes]:
        """Yield all stored frames of a run as encoded lines."""
        after = -1
        while page := await self.read(run_id, after, limit_bytes=PAGE_BYTES):
            for line in page:
                yield line
            after += len(page)

    def forget(self, run_id: str) -> None:
        """Delete a log from memory; from now on it is read from the database."""
        self._size_bytes -= sum(map(len, self._cached.pop(run_id, ())))

    def _extend_cached(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Add lines to the cached log of a run, if there is one; evict the least recently read logs above the limit."""
        # A log is only cached from its first line on, because it is read by index.
        known = self._cached.get(run_id)
        if known is None:
            return
        assert len(known) == first, f"run {run_id}: frame {first} after {len(known)} frames"
        known.extend(lines)
        self._size_bytes += sum(map(len, lines))
        self._cached.move_to_end(run_id)
        while self._size_bytes > self._limit_bytes:
            self.forget(next(iter(self._cached)))
            self.evicted += 1
