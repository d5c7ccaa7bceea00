"""`backup` and `restore` as people call them: beside a server that writes, and never over what is there."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mhc_scope.store.copies import back_up
from mhc_scope.store.database import Database
from tests.app.store.filled import add_run, do, to_url
from tests.conftest import Call

NAME = "mhc-scope.db"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a few runs."""
    folder = tmp_path / "data"

    async def work(database: Database) -> None:
        for name in ("a", "b", "c"):
            await add_run(database, name)

    do(to_url(folder / NAME), work)
    return folder


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_a_copy_is_put_back_elsewhere(call: Call, data: Path, tmp_path: Path) -> None:
    copy, new = tmp_path / "copy.db", tmp_path / "new"
    done = call("backup", str(copy), "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert copy.stat().st_mode & 0o777 == 0o600
    done = call("restore", str(copy), "--data", str(new))
    assert done.returncode == 0, done.stderr
    for query in ("SELECT * FROM runs", "SELECT * FROM frames"):
        assert read(new / NAME, query) == read(data / NAME, query)
    assert call("check-data", "--data", str(new)).returncode in (0, 1)
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []


def test_nothing_is_replaced_unasked(call: Call, data: Path, tmp_path: Path) -> None:
    path, copy = data / NAME, tmp_path / "copy.db"
    before = path.read_bytes()
    copy.write_bytes(b"kept")
    assert call("backup", str(copy), "--data", str(data)).returncode == 2
    assert copy.read_bytes() == b"kept"
    assert call("backup", str(path), "--data", str(data), "--force").returncode == 2
    assert call("backup", str(copy), "--data", str(data), "--force").returncode == 0
    done = call("restore", str(copy), "--data", str(data))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"there is a database {path}: --force replaces it"
    assert path.read_bytes() == before
    # A journal of the old file would be applied to the new one.
    (data / f"{NAME}-journal").write_bytes(b"left by a crash")
    assert call("restore", str(copy), "--data", str(data), "--force").returncode == 0
    assert not (data / f"{NAME}-journal").exists()
    assert read(path, "SELECT count(*) FROM runs") == [(3,)]


@pytest.mark.full
def test_a_server_keeps_its_database(call: Call, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"

    async def work(_: Database) -> None:
        assert call("backup", str(copy), "--data", str(data)).returncode == 0
        done = call("restore", str(copy), "--data", str(data), "--force")
        assert (done.returncode, done.stderr) == (2, f"another server uses the data folder {data}\n")

    do(to_url(data / NAME), work)


def damage(path: Path) -> None:
    """Zeros over a page in the middle."""
    content = path.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    path.write_bytes(content[:middle] + bytes(4096) + content[middle + 4096 :])


@pytest.mark.full
@pytest.mark.parametrize("how", ["damaged", "cut off", "empty", "no database", "missing"])
def test_what_is_no_sound_copy_is_refused(call: Call, data: Path, tmp_path: Path, how: str) -> None:
    copy, new = tmp_path / "copy.db", tmp_path / "new"
    back_up(data / NAME, copy)
    whole = copy.read_bytes()
    broken = {"cut off": whole[:20_000], "empty": b"", "no database": b"no database " * 1000}
    if how == "damaged":
        damage(copy)
    elif how == "missing":
        copy.unlink()
    else:
        copy.write_bytes(broken[how])
    done = call("restore", str(copy), "--data", str(new))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(copy) in done.stderr
    assert not (new / NAME).exists()


@contextmanager
def writing(path: Path, pause_s: float) -> Iterator[None]:
    """Another connection that writes again and again."""
    stopped = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
            while not stopped.wait(pause_s):
                with database:
                    database.execute("UPDATE runs SET used_at = used_at + 1")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.full
def test_a_copy_is_consistent_however_often_others_write(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    started = time.monotonic()
    with writing(data / NAME, 0.001):
        back_up(data / NAME, copy)
    assert time.monotonic() - started < 60, "it does not begin anew for ever"
    assert read(copy, "PRAGMA integrity_check") == [("ok",)]
    assert read(copy, "SELECT count(DISTINCT used_at - created_at) >= 1, count(*) FROM runs") == [(1, 3)]
