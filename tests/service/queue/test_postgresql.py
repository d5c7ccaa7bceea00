"""The store and its migrations on a real PostgreSQL."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from mhc_core.record.source import SpecSource
from mhc_scope.store import migrations, schema
from mhc_scope.store.errors import UnusableDatabase
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.notifications import Hub
from mhc_scope.store.retention import drop_unused
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.snapshots import SnapshotStore
from mhc_scope.store.tables import metadata
from mhc_service.queue.postgresql import PostgreSQLDatabase, lock_migration
from mhc_service.queue.shared import SharedQueue
from tests.apart import run_loop
from tests.records import TRACE
from tests.service.postgresql import PostgreSQL

pytestmark = pytest.mark.full

# As a release stored them: a verification beside its run, and U+0000 in the text of a spec.
RUN = """INSERT INTO runs (id, spec, status, cost, frames, created_at, used_at, pinned)
VALUES ('{id}', '{spec}', 'done', '{{}}', 0, 1.5, 1.5, false)"""
SPEC = '{"depth": 4, "input": {"text": "nul\\u0000"}}'


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    """An empty database."""
    return postgresql.create_database()


def upgrade(url: str) -> None:
    """Migrate as a server does that starts."""
    schema.upgrade(url, lock_migration)


def query(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run SQL; the rows of the last statement, where it has any."""
    engine = create_engine(url)
    with engine.begin() as connection:
        results = [connection.execute(text(statement.replace(":", "\\:"))) for statement in statements]
        rows = [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    engine.dispose()
    return rows


def build_released(url: str, *specs: str) -> None:
    """A database as release 0.1 left it."""
    engine = create_engine(url)
    with engine.begin() as connection:
        schema._apply(connection, "upgrade", migrations.RELEASED)
    engine.dispose()
    ids = ["aaaa", "aaaa-verify", "bbbb"]
    rows = [RUN.format(id=name, spec=spec) for name, spec in zip(ids, specs, strict=True)]
    query(url, "DROP TABLE alembic_version", *rows, "INSERT INTO frames VALUES ('aaaa', 0, 'x')")


def find_differences(url: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = list(compare_metadata(MigrationContext.configure(connection), metadata))
    engine.dispose()
    return found


def test_a_new_database_has_the_tables(url: str) -> None:
    upgrade(url)
    upgrade(url)
    assert find_differences(url) == []
    assert query(url, "SELECT version_num FROM alembic_version") == [(migrations.HEAD,)]


def test_a_released_database_is_brought_up_to_date(url: str) -> None:
    build_released(url, SPEC, SPEC, SPEC)
    upgrade(url)
    assert find_differences(url) == []
    spec = {"depth": 4, "input": {"text": "nul\0"}}
    assert query(url, "SELECT id, kind, of_run, source FROM runs ORDER BY id") == [
        ("aaaa", "run", None, {"kind": "spec", "spec": spec}),
        ("aaaa-verify", "verification", "aaaa", {"kind": "spec", "spec": spec}),
        ("bbbb", "run", None, {"kind": "spec", "spec": spec}),
    ]
    assert query(url, "SELECT run_id, idx FROM frames") == [("aaaa", 0)]


def test_a_change_that_fails_is_undone_whole(url: str) -> None:
    build_released(url, SPEC, SPEC, SPEC)
    query(url, "CREATE INDEX runs_of_run ON runs (id)")  # the last step finds its name taken
    with pytest.raises(UnusableDatabase, match="runs_of_run"):
        upgrade(url)
    tables = query(url, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    assert {name for (name,) in tables} == {"runs", "frames", "snapshots"}
    query(url, "DROP INDEX runs_of_run")
    upgrade(url)
    assert find_differences(url) == []


def test_another_schema_is_refused(url: str) -> None:
    query(url, "CREATE TABLE songs (id INTEGER)")
    with pytest.raises(UnusableDatabase, match="does not know: songs"):
        upgrade(url)
    assert query(url, "SELECT * FROM songs") == []


def test_a_newer_schema_is_refused(url: str) -> None:
    upgrade(url)
    query(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnusableDatabase, match="has the schema 9999"):
        upgrade(url)


def test_a_server_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(UnusableDatabase, match="cannot be opened"):
        upgrade("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")


@pytest.mark.parametrize("is_released", [False, True])
def test_servers_that_start_together_wait_for_each_other(url: str, is_released: bool) -> None:
    if is_released:
        build_released(url, SPEC, SPEC, SPEC)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(upgrade, [url] * 4)) == [None] * 4
    assert find_differences(url) == []


def test_servers_that_store_the_same_record_together_store_it_once(url: str) -> None:
    async def inside() -> None:
        databases = [PostgreSQLDatabase(url) for _ in range(2)]
        stores = [RunStore(database) for database in databases]
        for name in map(str, range(8)):
            lines = [b'{"run":"%s","index":0,"type":"forward"}\n' % name.encode()]
            stored = await asyncio.gather(*(store.add_record(name, TRACE, iter(lines)) for store in stores))
            assert any(stored)
            assert len(await stores[0].read(name, -1, 10)) == 2, "the frame and the end, once"
        for database in databases:
            await database.close()

    run_loop(inside())


def test_runs_frames_and_snapshots_are_kept(url: str) -> None:
    async def inside() -> None:
        database = PostgreSQLDatabase(url)
        store = RunStore(database)
        await store.put_queued({"r": NewJob("run", SpecSource(spec={}), {"seconds": 1.5})})
        await store.put_queued({"v": NewJob("verification", SpecSource(spec={}), {}, of_run="r")})
        line = b'{"run":"r","index":0,"type":"forward"}\n'
        turn = await SharedQueue(database, 10, Hub()).take_turn({}, free=1)
        assert [claimed.id for claimed in turn.claimed] == ["r"]
        await store.append("r", 0, [line])
        end = await store.finish("r", 1, "done", None)
        assert await store.read("r", -1, 10) == [line, end]
        run, job = await store.get("r"), await store.find_job("verification", "r")
        assert run is not None
        assert job is not None
        assert (run.status, run.frames, run.source, run.cost) == ("done", 2, SpecSource(spec={}), {"seconds": 1.5})
        assert turn.board.waiting == ("v",)
        assert await store.add_record("t", TRACE, [])
        snapshots = SnapshotStore(database)
        stored, is_new = await snapshots.put(["r"], "v=1", "title")
        assert is_new
        assert await snapshots.get(stored.id) == stored
        assert await drop_unused(database, 1e12, 0.0, ()) == 0, "a trace has a time of its own"
        assert await drop_unused(database, 1e12, 1e12, ()) == 1, "the record t: r is pinned, and v waits"
        live = LiveTraceStore(database)
        await live.open("l", TRACE, "secret")
        found = await live.find("l")
        assert found is not None
        assert found.accepts("secret")
        assert await live.list_open() == ["l"]
        board = (await SharedQueue(database, 10, Hub()).take_turn({}, free=0)).board
        assert (board.waiting, board.running) == (("v",), {"l"})
        await store.finish("l", 0, "failed", "no news")
        assert await live.list_open() == []
        assert await drop_unused(database, 1e12, 1e12, ()) == 1
        assert await live.find("l") is None
        await database.close()

    run_loop(inside())
