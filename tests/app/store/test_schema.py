"""The schema of the database: old files are brought up to date whole or not at all, others are left as they were."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from mhc_scope.store import migrations
from mhc_scope.store.schema import UnusableDatabase, upgrade
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.tables import metadata
from tests.conftest import ROOT, Call

RELEASED = (Path(__file__).parent / "released.sql").read_text()
NAME = "mhc-scope.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / NAME


def execute(path: Path, script: str) -> None:
    """Run SQL on a file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def find_differences(path: Path) -> list[Any]:
    """What Alembic would change to make the database equal to the tables."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = list(compare_metadata(MigrationContext.configure(connection), metadata))
    engine.dispose()
    return found


def upgrade_file(path: Path) -> None:
    upgrade(f"sqlite:///{path}")


def test_a_released_database_is_brought_up_to_date(path: Path) -> None:
    execute(path, RELEASED)
    kept = "id, status, reason, cost, device, versions, summary, frames, pinned"
    times = "created_at, started_at, finished_at, used_at"
    views = "id, runs, state, title, created_at, note, sweep"
    queries = [f"SELECT {kept}, {times} FROM runs", "SELECT * FROM frames", f"SELECT {views} FROM snapshots"]
    before = [read(path, query) for query in queries]
    upgrade_file(path)
    assert [read(path, query) for query in queries] == before
    assert read(path, "SELECT id, kind, of_run, source FROM runs ORDER BY id") == [
        ("aaaa", "run", None, '{"kind": "spec", "spec": {"depth": 4, "input": {"text": "nul: \\u0000"}}}'),
        ("aaaa-verify", "verification", "aaaa", '{"kind": "spec", "spec": {"depth": 4}}'),
        ("bbbb", "run", None, '{"kind": "spec", "spec": {"depth": 8}}'),
        ("cccc", "run", None, '{"kind": "spec", "spec": {"depth": 9}}'),
    ]
    assert read(path, "PRAGMA foreign_key_check") == []
    assert read(path, "SELECT * FROM alembic_version") == [(migrations.HEAD,)]


def test_a_second_start_changes_nothing(path: Path) -> None:
    execute(path, RELEASED)
    upgrade_file(path)
    before = path.read_bytes()
    upgrade_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("script", ["", RELEASED], ids=["new", "released"])
def test_tables_and_migrations_agree(path: Path, script: str) -> None:
    if script:
        execute(path, script)
    upgrade_file(path)
    assert find_differences(path) == []
    execute(path, "ALTER TABLE runs DROP COLUMN reason")
    assert [change[0] for change in find_differences(path)] == ["add_column"], "the comparison finds a difference"


def test_the_revisions_are_the_files(path: Path) -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == migrations.REVISIONS


def test_a_change_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    execute(path, RELEASED)
    execute(path, "UPDATE runs SET spec = '{' WHERE id = 'cccc'")  # the last row: others have been changed before it
    before = read(path, "SELECT * FROM sqlite_master"), read(path, "SELECT * FROM runs")
    with pytest.raises(ValueError, match="Expecting property name"):
        upgrade_file(path)
    assert (read(path, "SELECT * FROM sqlite_master"), read(path, "SELECT * FROM runs")) == before
    execute(path, "UPDATE runs SET spec = '{}' WHERE id = 'cccc'")
    upgrade_file(path)


def upgrade_and_execute(path: Path, statements: str) -> None:
    upgrade_file(path)
    execute(path, statements)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "newer": (
        lambda path: upgrade_and_execute(path, "UPDATE alembic_version SET version_num = '9999'"),
        "has the schema 9999, and this version knows schemas up to",
    ),
    "no revision": (lambda path: upgrade_and_execute(path, "DELETE FROM alembic_version"), "no revision"),
    "other tables": (lambda path: execute(path, "CREATE TABLE songs (id INTEGER)"), "does not know: songs"),
    "another column": (
        lambda path: execute(path, f"{RELEASED}; ALTER TABLE runs ADD COLUMN colour TEXT"),
        "does not know: frames, runs, snapshots",
    ),
    "a column too few": (
        lambda path: execute(path, f"{RELEASED}; ALTER TABLE runs DROP COLUMN summary"),
        "does not know: frames, runs, snapshots",
    ),
    "no database": (lambda path: path.write_bytes(b"no database " * 1000), "file is not a database"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_schema_is_refused_and_left_alone(path: Path, case: str) -> None:
    build, said = REFUSED[case]
    build(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(2):  # the second time the folder is free again
        with pytest.raises(UnusableDatabase, match=said) as refusal:
            SqliteDatabase(f"sqlite:///{path}")
        assert str(path) in str(refusal.value)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_the_server_refuses_in_one_sentence(call: Call, path: Path) -> None:
    execute(path, "CREATE TABLE songs (id INTEGER)")
    done = call("serve", "--data", str(path.parent))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"the database {path} holds tables that this program does not know: songs. Choose another data folder"
    ]


def test_a_start_that_changes_nothing_does_not_load_alembic(path: Path) -> None:
    upgrade_file(path)
    start = f"from mhc_scope.store.schema import upgrade; upgrade('sqlite:///{path}')"
    code = f"import sys; {start}; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
