"""`prune` as people call it."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from mhc_scope.store.database import Database
from mhc_scope.store.runs import RunStore
from tests.app.store.filled import add_run, do, to_url
from tests.conftest import Call
from tests.records import TRACE

NAME = "mhc-scope.db"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Runs that were used last 2 and 20 days ago, and a trace that was 20 days ago."""
    folder = tmp_path / "data"

    async def work(database: Database) -> None:
        await add_run(database, "new", age_days=2)
        await add_run(database, "old", frames=600, age_days=20)
        await RunStore(database).add_record("trace", TRACE, [])
        await database.call(lambda c: c.exec_driver_sql("UPDATE runs SET used_at = 0 WHERE id = 'trace'"))

    do(to_url(folder / NAME), work)
    return folder


def list_runs(data: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(data / NAME)) as database:
        return [name for (name,) in database.execute("SELECT id FROM runs ORDER BY id")]


@pytest.mark.full
def test_old_runs_go_beside_a_server(call: Call, data: Path) -> None:
    size = (data / NAME).stat().st_size

    async def work(_: Database) -> None:
        done = call("prune", "--data", str(data), "--dry-run")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 runs of ")
        assert list_runs(data) == ["new", "old", "trace"]
        assert call("prune", "--data", str(data)).returncode == 0
        assert list_runs(data) == ["new", "trace"]
        assert call("prune", "--data", str(data), "--vacuum").returncode == 2, "the server has the file"
        assert call("prune", "--data", str(data), "--older-than", "1d", "--traces").returncode == 0
        assert list_runs(data) == []

    do(to_url(data / NAME), work)
    assert (data / NAME).stat().st_size < size / 2


@pytest.mark.full
def test_an_old_file_becomes_small(call: Call, data: Path) -> None:
    path = data / NAME
    with contextlib.closing(sqlite3.connect(path)) as database:  # as earlier versions made it
        database.executescript("PRAGMA auto_vacuum=NONE; VACUUM; DELETE FROM frames")
    before = path.stat().st_size
    done = call("prune", "--data", str(data), "--vacuum")
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size < before / 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@pytest.mark.parametrize("text", ["7", "d", "-1d", "7 days", ""])
def test_a_time_is_a_number_with_a_unit(call: Call, data: Path, text: str) -> None:
    done = call("prune", "--data", str(data), f"--older-than={text}")
    assert done.returncode == 2
    assert "such as 7d" in done.stderr
    assert list_runs(data) == ["new", "old", "trace"]
