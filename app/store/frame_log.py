"""The frame log: what every viewer reads, live or years later.

A line is durable before any viewer sees it. Runs of this process are also held in memory up to a bound, so
that twenty viewers of a run are not twenty queries a frame; what memory has dropped comes from the database,
the same bytes.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

from app.store.notifications import Hub
from app.store.runs import RunStore
from mhc_core.record.summary import EndStatus

PAGE = 256


class FrameLog:
    """Append to the store, then to memory, then wake the viewers."""

    def __init__(self, store: RunStore, hub: Hub, cache_bytes: int) -> None:
        self._store, self._hub, self._limit_bytes = store, hub, cache_bytes
        self._cached: OrderedDict[str, list[bytes]] = OrderedDict()
        self._size_bytes = 0
        self.evicted = 0  # logs dropped from memory to make room

    def begin(self, run_id: str) -> None:
        """A log without frames, new or again: viewers read its first frames here, not in the database."""
        self._forget(run_id)
        self._cached[run_id] = []

    async def append(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Add frames behind those stored."""
        await self._store.append(run_id, first, lines)
        self._remember(run_id, first, lines)
        self._hub.publish(run_id)

    async def finish(self, run_id: str, index: int, status: EndStatus, reason: str | None) -> None:
        """Add the last frame."""
        line = await self._store.finish(run_id, index, status, reason)
        self._remember(run_id, index, [line])
        self._hub.publish(run_id)

    async def read(self, run_id: str, after: int, limit: int = PAGE) -> list[bytes]:
        """Lines behind index `after`, at most `limit`."""
        cached = self._cached.get(run_id)
        if cached is None:
            return await self._store.read(run_id, after, limit)
        self._cached.move_to_end(run_id)
        return cached[after + 1 : after + 1 + limit]

    async def read_all(self, run_id: str) -> AsyncIterator[bytes]:
        """Every line stored now."""
        after = -1
        while page := await self.read(run_id, after):
            for line in page:
                yield line
            after += len(page)

    def _forget(self, run_id: str) -> None:
        self._size_bytes -= sum(map(len, self._cached.pop(run_id, ())))

    def _remember(self, run_id: str, first: int, lines: Sequence[bytes]) -> None:
        # Only a log held from its first line can be read by index.
        known = self._cached.setdefault(run_id, []) if first == 0 else self._cached.get(run_id)
        if known is None:
            return
        assert len(known) == first, f"run {run_id}: frame {first} behind {len(known)} frames"
        known.extend(lines)
        self._size_bytes += sum(map(len, lines))
        self._cached.move_to_end(run_id)
        while self._size_bytes > self._limit_bytes:
            self._forget(next(iter(self._cached)))
            self.evicted += 1
