"""Exchange notifications with other servers that use the same database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.notifications import Hub
from mhc_scope.store.queue_contract import Member
from mhc_service.queue.listener import NotificationListener
from mhc_service.queue.postgresql import PostgreSQLDatabase
from mhc_service.queue.servers import Watched

log = logging.getLogger("mhc.queue")

POLL_S = 1.0  # interval at which lost notifications are made up for
GATHER_S = 0.02  # changes of viewers within this time are reported together


ReadProgress = Callable[[Iterable[str]], Awaitable[dict[str, tuple[str, int]]]]
PutWatchers = Callable[[Watched], Awaitable[None]]


class Peers:
    """Wakes the viewers on this server when a run changes on another, and reports this server's viewers to others.

    Parameters
    ----------
    read_progress: returns status and number of frames of runs.
    put_watchers: stores which viewers watch which run on this server.
    """

    def __init__(
        self,
        database: PostgreSQLDatabase,
        member: Member,
        hub: Hub,
        read_progress: ReadProgress,
        put_watchers: PutWatchers,
    ) -> None:
        self._server, self._member, self._hub = database.server, member, hub
        self._read_progress, self._put_watchers = read_progress, put_watchers
        self._listener = NotificationListener(database.url, self._receive)
        self._watch_changed = asyncio.Event()
        self._progress: dict[str, tuple[str, int]] = {}
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start to exchange changes with other servers: two loops and the listener of notifications."""
        self._loop = asyncio.get_running_loop()
        self._hub.on_watch = self._watch_changed.set
        self._listener.start()
        self._loops = [asyncio.create_task(loop) for loop in (self._poll_forever(), self._report_watched_forever())]

    async def stop(self) -> None:
        """Stop exchanging changes with other servers."""
        self._hub.on_watch = None
        await asyncio.to_thread(self._listener.stop)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def _receive(self, sender: str, kind: str, run_id: str) -> None:
        """Pass a notification from the listener's thread to the event loop."""
        if sender != self._server:
            self._loop.call_soon_threadsafe(self._handle_notification, kind, run_id)

    def _handle_notification(self, kind: str, run_id: str) -> None:
        """Process another server's notification: new frames (`log`), a changed queue (`queue`), or a `cancel`."""
        if kind == "log":
            self._hub.wake_viewers(run_id)
        elif kind == "queue":
            self._member.wake()
        elif kind == "cancel" and self._member.computes(run_id):
            self._member.check_soon()

    async def _poll_forever(self) -> None:
        """Look for changes by other servers every `POLL_S` seconds, because notifications can be lost."""
        while True:
            await asyncio.sleep(POLL_S)
            self._member.wake()
            self._watch_changed.set()
            try:
                await self._poll()
            except StoreUnavailable as error:
                log.warning("runs of other servers cannot be read now: %s", error)
            except Exception:
                log.exception("runs of other servers cannot be read; the next try is in %g s", POLL_S)

    async def _poll(self) -> None:
        """Wake the viewers of runs that other servers compute, if the runs have changed."""
        elsewhere = [run_id for run_id in self._hub.list_watched_runs() if not self._member.computes(run_id)]
        now = await self._read_progress(elsewhere) if elsewhere else {}
        for run_id, progress in now.items():
            if self._progress.get(run_id) != progress:
                self._hub.wake_viewers(run_id)
        self._progress = now

    async def _report_watched_forever(self) -> None:
        """Whenever viewers on this server have changed, store which run they watch, for other servers."""
        while True:
            await self._watch_changed.wait()
            await asyncio.sleep(GATHER_S)
            self._watch_changed.clear()
            try:
                await self._put_watchers(self._hub.count_viewers())
            except StoreUnavailable as error:
                log.warning("the viewers here cannot be reported to other servers: %s", error)
            except Exception:  # for example if a run was just deleted
                log.exception("the viewers here cannot be reported to other servers; the next try is in %g s", POLL_S)
