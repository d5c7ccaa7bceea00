"""The log of frames where other servers write too: what they store is seen, also in a run that was begun here."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mhc_core.record.source import SpecSource
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.local_queue import LocalQueue
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_service.queue.frame_log import SharedFrameLog
from tests.apart import run_loop
from tests.records import TRACE

pytestmark = pytest.mark.full

Act = Callable[[SqliteDatabase, RunStore, SharedFrameLog], Awaitable[None]]


def to_line(run_id: str, index: int) -> bytes:
    return b'{"run":"%s","index":%d,"type":"forward"}\n' % (run_id.encode(), index)


def play(folder: Path, act: Act) -> None:
    """Act on a log; the store is that of another server, whose frames this log has not seen."""

    async def inside() -> None:
        database = SqliteDatabase(f"sqlite:///{folder / 'test.db'}")
        try:
            await act(database, RunStore(database), SharedFrameLog(RunStore(database), Hub(), 10**6))
        finally:
            await database.close()

    run_loop(inside())


def test_frames_of_a_live_trace_may_come_to_any_server(tmp_path: Path) -> None:
    async def act(database: SqliteDatabase, elsewhere: RunStore, log: SharedFrameLog) -> None:
        log.begin("l")
        await LiveTraceStore(database).open("l", TRACE, "secret")
        await log.append("l", 0, [to_line("l", 0)])
        await elsewhere.append("l", 1, [to_line("l", 1)])
        assert await log.read("l", -1) == [to_line("l", 0), to_line("l", 1)]

    play(tmp_path, act)


def test_a_run_that_failed_here_may_be_restarted_elsewhere(tmp_path: Path) -> None:
    async def act(database: SqliteDatabase, elsewhere: RunStore, log: SharedFrameLog) -> None:
        job = NewJob("run", SpecSource(spec={}), {"seconds": 1.0})
        queue = LocalQueue(database)
        (run,) = (await queue.take_turn({"r": job}, free=1)).claimed
        log.begin("r", RunClaim("r", run.fence))
        await log.append("r", 0, [to_line("r", 0)], RunClaim("r", run.fence))
        await log.finish("r", 1, "failed", "why", RunClaim("r", run.fence))
        (again,) = (await queue.take_turn({"r": job}, free=1)).claimed
        await elsewhere.append("r", 0, [to_line("r", 0), to_line("r", 1)], RunClaim("r", again.fence))
        assert await log.read("r", -1) == [to_line("r", 0), to_line("r", 1)]

    play(tmp_path, act)
