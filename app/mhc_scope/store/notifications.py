"""Record which viewers watch which runs, and wake them when a run's log or place in the queue has changed."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class Subscription:
    """One viewer of one or several runs. It buffers no data, so a slow viewer does not delay others."""

    def __init__(self, viewer: str) -> None:
        self.viewer = viewer
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Notify the viewer that one of its runs has changed."""
        self._changed.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a change of the runs since the last call; return False if there is none within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class Hub:
    """Hold all subscriptions, by run."""

    def __init__(self) -> None:
        self._by_run: defaultdict[str, set[Subscription]] = defaultdict(set)
        self.closing = False
        self.on_watch: Callable[[], None] | None = None  # called when a viewer subscribes or unsubscribes

    @contextmanager
    def subscribe(self, run_ids: Iterable[str], viewer: str) -> Iterator[Subscription]:
        """Open a subscription to changes of these runs, which ends with the context."""
        subscription, ids = Subscription(viewer), set(run_ids)
        for run_id in ids:
            self._by_run[run_id].add(subscription)
        self._notify_watched()
        try:
            yield subscription
        finally:
            for run_id in ids:
                self._by_run[run_id].discard(subscription)
                if not self._by_run[run_id]:
                    del self._by_run[run_id]
            self._notify_watched()

    def wake_viewers(self, run_id: str) -> None:
        """Wake the viewers of a run, because its log or its place in the queue has changed."""
        for subscription in self._by_run.get(run_id, ()):
            subscription.wake()

    def count_watchers(self, run_id: str, excluded_viewer: str) -> int:
        """Return the number of open event streams on a run, without those of one viewer."""
        return sum(subscription.viewer != excluded_viewer for subscription in self._by_run.get(run_id, ()))

    def list_watched_runs(self) -> list[str]:
        """Return the ids of runs that have open event streams at this server."""
        return list(self._by_run)

    def count_viewers(self) -> dict[tuple[str, str], int]:
        """Return the number of open event streams, by run and viewer."""
        return Counter((run_id, one.viewer) for run_id, viewers in self._by_run.items() for one in viewers)

    def _notify_watched(self) -> None:
        """Call `on_watch`, because an event stream was opened or closed."""
        if self.on_watch is not None:
            self.on_watch()

    def close(self) -> None:
        """End all event streams, because the server is stopping."""
        self.closing = True
        for run_id in list(self._by_run):
            self.wake_viewers(run_id)
