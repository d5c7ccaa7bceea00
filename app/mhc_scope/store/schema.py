"""Migrate a database to the tables of this version, or refuse it without a change."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mhc_scope.store import sqlite as sqlite_file
from mhc_scope.store.errors import UnusableDatabase
from mhc_scope.store.migrations import HEAD, RELEASED, REVISIONS
from mhc_scope.store.tables import metadata

# Columns of each table of release 0.1, which had no revisions.
RELEASED_TABLES = {
    "runs": {"id", "spec", "status", "reason", "cost", "device", "versions", "summary", "frames", "pinned"}
    | {"created_at", "started_at", "finished_at", "used_at"},
    "frames": {"run_id", "idx", "line"},
    "snapshots": {"id", "runs", "state", "title", "created_at", "note", "sweep"},
}
# The table in which Alembic stores the revision of a database.
revisions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def upgrade(url: str, lock: Callable[[Connection], None] = lambda connection: None) -> None:
    """Create the tables, or migrate those of an earlier version, in one transaction.

    Parameters
    ----------
    url: URL of the database, in SQLAlchemy's form.
    lock: waits until no other server migrates the database. It is not needed for SQLite, whose folder is locked.

    Raises
    ------
    UnusableDatabase
        If the database belongs to a newer version or to another program, or cannot be read.
    """
    path = find_file(url)
    if path is None:
        _run_transaction(url, lambda connection: _migrate_tables(connection, lock))
        return
    sqlite_file.require_sound(path)
    if not path.exists():
        _create_file(path)
    else:
        _run_transaction(url, _migrate_tables)
        if path.stat().st_uid == os.geteuid():
            path.chmod(sqlite_file.FILE_MODE)


def require_current(url: str) -> None:
    """Refuse a database that does not exist or that `upgrade` would change.

    Raises
    ------
    UnusableDatabase
        If that is so; the text says why.
    """
    _require_there(url)
    _run_transaction(url, _require_head)


def require_known(url: str) -> None:
    """Refuse a database that `upgrade` would refuse, without a change.

    Raises
    ------
    UnusableDatabase
        If that is so; the text says why.
    """
    _require_there(url)
    _run_transaction(url, _classify)


@contextlib.contextmanager
def open_current(url: str) -> Iterator[Connection]:
    """Open a connection to a database of this version for reading. A server may be running.

    Raises
    ------
    UnusableDatabase
        If it does not exist, belongs to another version, or cannot be read.
    """
    require_current(url)
    with use(create_engine(url, poolclass=NullPool), "cannot be read") as engine, engine.connect() as connection:
        yield connection


@contextlib.contextmanager
def use(engine: Engine, problem: str) -> Iterator[Engine]:
    """Yield a new engine, and dispose it at the end. An error of the database becomes an UnusableDatabase.

    problem: what failed then, such as "cannot be read".
    """
    try:
        yield engine
    except DBAPIError as error:
        raise UnusableDatabase(f"the database {engine.url.database} {problem}: {error.orig}") from error
    finally:
        engine.dispose()


def _require_there(url: str) -> None:
    """Raise UnusableDatabase if the SQLite file of a URL is missing or damaged."""
    path = find_file(url)
    if path is not None and not path.exists():
        raise UnusableDatabase(f"there is no database {path}")
    if path is not None:
        sqlite_file.require_sound(path)


def find_file(url: str) -> Path | None:
    """Return the path of the SQLite file of a URL; None for another database."""
    parts = make_url(url)
    return Path(parts.database or "") if parts.get_backend_name() == "sqlite" else None


def _create_file(path: Path) -> None:
    """Create an SQLite database; after an error there is no file of this name."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, sqlite_file.FILE_MODE))
    with contextlib.closing(sqlite3.connect(part)) as database:
        database.execute("PRAGMA auto_vacuum=INCREMENTAL")  # pages that retention frees can be returned to the disk
        database.execute("VACUUM")  # writes that setting to the file
    _run_transaction(f"sqlite:///{part}", _migrate_tables)
    sqlite_file.put_in_place(part, path)


def _run_transaction(url: str, work: Callable[[Connection], object]) -> None:
    """Run `work` in one transaction of a new engine; raise UnusableDatabase if the database fails."""
    with use(_create_engine(url), "cannot be opened") as engine, engine.begin() as connection:
        work(connection)


def is_current(url: str) -> bool:
    """Return whether a database with the tables of this version exists. Nothing is created."""
    name = make_url(url)
    if name.get_backend_name() == "sqlite" and not Path(name.database or "").is_file():
        return False
    try:
        with use(_create_engine(url), "cannot be read") as engine, engine.connect() as connection:
            is_ours = inspect(connection).has_table(revisions.name)
            return is_ours and connection.execute(select(revisions.c.version_num)).scalars().all() == [HEAD]
    except UnusableDatabase:
        return False  # the caller then opens it and gets the reason


def _create_engine(url: str) -> Engine:
    """Create an engine for migrations, in which SQLite's driver does not end the transaction before table changes."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _disable_driver_transactions)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _disable_driver_transactions(connection: Any, record: Any) -> None:
    """Disable the transactions of SQLite's driver and foreign keys, for a migration."""
    connection.isolation_level = None
    # To change a table it is copied and dropped. With foreign keys, that would delete the rows that refer to it.
    connection.execute("PRAGMA foreign_keys=OFF")


def _classify(connection: Connection) -> tuple[str | None, dict[str, set[str]]]:
    """Return the revision of a database, None if it is new or from a release without revisions; and its columns."""
    present = {
        table: {column["name"] for column in inspect(connection).get_columns(table)}
        for table in inspect(connection).get_table_names()
    }
    if revisions.name in present:
        return _read_revision(connection), present
    if present:
        _require_released(connection, present)
    return None, present


def _migrate_tables(connection: Connection, lock: Callable[[Connection], None] = lambda connection: None) -> None:
    """Create the tables of this version, or upgrade existing ones, also those of the first release."""
    lock(connection)
    revision, present = _classify(connection)
    if not present:
        _create(connection)
    elif revision is not None:
        if revision != HEAD:
            _apply(connection, "upgrade", HEAD)
    else:
        _apply(connection, "stamp", RELEASED)
        _apply(connection, "upgrade", HEAD)


def _create(connection: Connection) -> None:
    """Create the current tables in a new database. All migrations together would build the same tables."""
    metadata.create_all(connection)
    revisions.create(connection)
    connection.execute(insert(revisions).values(version_num=HEAD))


def _read_revision(connection: Connection) -> str:
    """Return the revision of a database; raise UnusableDatabase if it is unknown."""
    found = connection.execute(select(revisions.c.version_num)).scalars().all()
    if len(found) != 1 or found[0] not in REVISIONS:
        raise UnusableDatabase(
            f"the database {connection.engine.url.database} has the schema {', '.join(found) or 'of no revision'}, and "
            f"this version knows schemas up to {HEAD}: update this program, or choose another data folder"
        )
    return str(found[0])


def _require_head(connection: Connection) -> None:
    """Raise UnusableDatabase unless the database has the current revision."""
    if revisions.name not in inspect(connection).get_table_names() or _read_revision(connection) != HEAD:
        raise UnusableDatabase(
            f"the database {connection.engine.url.database} is of an earlier version: a start of the server updates it"
        )


def _require_released(connection: Connection, present: dict[str, set[str]]) -> None:
    """Raise UnusableDatabase unless the tables are those of the first release."""
    if present != RELEASED_TABLES:
        raise UnusableDatabase(
            f"the database {connection.engine.url.database} holds tables that this program does not know: "
            f"{', '.join(sorted(present))}. Choose another data folder"
        )


def _apply(connection: Connection, command: str, revision: str) -> None:
    """Run an Alembic command for a revision in the transaction of the connection."""
    from alembic import command as commands
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    getattr(commands, command)(config, revision)
