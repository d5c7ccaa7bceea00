"""Databases that cannot be used: a real server says so in one line, exits with 2, and leaves them as they were."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mhc_scope.store.database import Database
from tests.app.store.filled import add_run, do, to_url
from tests.conftest import Call

pytestmark = pytest.mark.full

NAME = "mhc-scope.db"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound database with a run of some size."""
    path = tmp_path_factory.mktemp("whole") / NAME

    async def work(database: Database) -> None:
        await add_run(database, "r", frames=100)

    do(to_url(path), work)
    return path.read_bytes()


def zero(content: bytes, page: int) -> bytes:
    """The file with one page of zeros, counted from 0."""
    return content[: 4096 * page] + bytes(4096) + content[4096 * (page + 1) :]


def set_revision(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


CASES: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "empty": (lambda path, whole: path.write_bytes(b""), "is empty"),
    "cut off": (lambda path, whole: path.write_bytes(whole[: len(whole) // 2]), "is malformed"),
    "cut off in its first page": (lambda path, whole: path.write_bytes(whole[:2000]), "cannot be opened"),
    "a damaged head": (lambda path, whole: path.write_bytes(zero(whole, 0)), "is not a database"),
    "another file": (lambda path, whole: path.write_bytes(b"no database " * 1000), "is not a database"),
    "a folder": (lambda path, whole: path.mkdir(), "is not a file"),
    "a newer version": (set_revision, "has the schema 9999"),
}


def read_all(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the lock, which holds nothing."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def check_refusal(call: Call, data: Path, said: str) -> None:
    done = call("serve", "--data", str(data), "--port", "0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert str(data) in line


@pytest.mark.parametrize("case", CASES)
def test_a_database_that_cannot_be_used_is_left_alone(call: Call, tmp_path: Path, whole: bytes, case: str) -> None:
    build, said = CASES[case]
    data = tmp_path / "data"
    data.mkdir()
    build(data / NAME, whole)
    before = read_all(data)
    check_refusal(call, data, said)
    assert read_all(data) == before


def test_a_data_folder_that_is_a_file_is_refused(call: Call, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"kept")
    check_refusal(call, data, "cannot be written")
    assert data.read_bytes() == b"kept"


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_read_only_disk_is_refused(call: Call, small_disk: Path, whole: bytes, has_lock: bool) -> None:
    data = small_disk / "data"
    data.mkdir()
    (data / NAME).write_bytes(whole)
    if has_lock:
        (data / "lock").touch()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    check_refusal(call, data, "cannot be written")
    assert (data / NAME).read_bytes() == whole


def test_a_new_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / NAME

    async def work(database: Database) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

    do(to_url(path), work)
    path.chmod(0o644)  # as earlier versions made it
    do(to_url(path), work)


def test_a_start_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / NAME
    (tmp_path / f"{NAME}.part").write_bytes(b"half a file")

    async def work(database: Database) -> None:
        assert await database.call(lambda c: c.exec_driver_sql("PRAGMA auto_vacuum").scalar()) == 2

    do(to_url(path), work)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lock", NAME]
