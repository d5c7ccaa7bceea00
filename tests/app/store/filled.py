"""Databases with runs in them, for tests of what is done to a store beside requests."""

import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import orjson
from sqlalchemy import update

from mhc_core.record.source import SpecSource
from mhc_scope.store.database import Database
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.tables import runs
from tests.apart import run_loop

T = TypeVar("T")
DAY_S = 86_400.0


def do(url: str, work: Callable[[Database], Awaitable[T]], *, is_secondary: bool = False) -> T:
    """Work on a file of SQLite, which is closed whatever happens."""
    return do_with(lambda: SqliteDatabase(url, is_secondary=is_secondary), work)


def do_with(open_database: Callable[[], Database], work: Callable[[Database], Awaitable[T]]) -> T:
    """Work on a database, which is closed whatever happens."""

    async def inside() -> T:
        database = open_database()
        try:
            return await work(database)
        finally:
            await database.close()

    return run_loop(inside())


def to_url(path: Path) -> str:
    return f"sqlite:///{path}"


def build_lines(run_id: str, count: int, size: int = 500) -> list[bytes]:
    """Lines of frames whose text hardly shrinks."""
    texts = [random.Random(k).randbytes(size // 2).hex() for k in range(count)]
    rows = [{"run": run_id, "index": k, "type": "forward", "text": text} for k, text in enumerate(texts)]
    return [orjson.dumps(row) + b"\n" for row in rows]


async def add_run(database: Database, run_id: str, frames: int = 10, *, age_days: float = 2.0, size: int = 500) -> None:
    """A finished run that was used last so long ago."""
    store = RunStore(database)
    await store.put_queued({run_id: NewJob("run", SpecSource(spec={}), {}, client="c")})
    lines = build_lines(run_id, frames, size)
    for first in range(0, frames, 256):
        await store.append(run_id, first, lines[first : first + 256])
    await store.finish(run_id, frames, "done", None)
    used_at = time.time() - age_days * DAY_S
    await database.call(lambda c: c.execute(update(runs).where(runs.c.id == run_id).values(used_at=used_at)))
