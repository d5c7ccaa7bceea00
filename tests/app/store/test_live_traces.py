"""Rows of traces that grow, on SQLite."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from mhc_core.record.source import SpecSource
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.local_queue import LocalQueue
from mhc_scope.store.retention import drop_unused
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from tests.apart import run_loop
from tests.records import TRACE

Work = Callable[[RunStore, LiveTraceStore], Awaitable[None]]


def do(folder: Path, work: Work) -> None:
    """Work on a database, which is closed whatever happens."""

    async def inside() -> None:
        database = SqliteDatabase(f"sqlite:///{folder / 'mhc-scope.db'}")
        try:
            await work(RunStore(database), LiveTraceStore(database))
        finally:
            await database.close()

    run_loop(inside())


def test_a_token_is_known_by_its_hash(tmp_path: Path) -> None:
    async def work(runs: RunStore, live: LiveTraceStore) -> None:
        await live.open("l", TRACE, "secret")
        found = await live.find("l")
        assert found is not None
        assert found.accepts("secret")
        assert not any(found.accepts(token) for token in ("", "Secret", "secret ", found.token_hash))
        assert "secret" not in found.token_hash
        assert await live.find("m") is None

    do(tmp_path, work)


def test_a_trace_that_grows_is_not_queued_again(tmp_path: Path) -> None:
    async def work(runs: RunStore, live: LiveTraceStore) -> None:
        await runs.put_queued({"r": NewJob("run", SpecSource(spec={}), {})})
        await live.open("l", TRACE, "secret")
        turn = await LocalQueue(runs._database).take_turn({}, free=9)
        assert [run.id for run in turn.claimed] == ["r"]
        assert (await LocalQueue(runs._database).check([RunClaim("r", 1)])).freed == []
        assert await live.list_open() == ["l"]
        await runs.finish("l", 0, "done", None)
        assert await live.list_open() == []

    do(tmp_path, work)


def test_traces_are_kept_for_a_time_of_their_own(tmp_path: Path) -> None:
    async def work(runs: RunStore, live: LiveTraceStore) -> None:
        assert await runs.add_record("t", TRACE, iter([]))
        await live.open("l", TRACE, "secret")
        assert await drop_unused(runs._database, 1e12, 0.0, ()) == 0
        assert await drop_unused(runs._database, 0.0, 1e12, ()) == 1, "t: l still grows"
        await runs.finish("l", 0, "failed", "no news")
        assert await drop_unused(runs._database, 0.0, 1e12, ()) == 1
        assert await live.find("l") is None

    do(tmp_path, work)
