"""Brings a database to the tables of this version, or refuses it and leaves it as it was."""

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
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app.store.errors import UnusableDatabase
from app.store.migrations import HEAD, RELEASED, REVISIONS
from app.store.tables import metadata

# The tables of release 0.1, which had no revisions: table -> columns.
RELEASED_TABLES = {
    "runs": {"id", "spec", "status", "reason", "cost", "device", "versions", "summary", "frames", "pinned"}
    | {"created_at", "started_at", "finished_at", "used_at"},
    "frames": {"run_id", "idx", "line"},
    "snapshots": {"id", "runs", "state", "title", "created_at", "note", "sweep"},
}
# Columns of snapshots that older files lack: the release added them when it opened such a file.
LATE_COLUMNS = {"note": "TEXT DEFAULT '' NOT NULL", "sweep": "JSON"}
# Where Alembic keeps the revision of a database.
revisions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
POSTGRESQL_LOCK = 0x6D4843  # an arbitrary number; servers that start together migrate one after the other


def upgrade(url: str) -> None:
    """Create the tables, or bring those of an earlier version up to date, in one transaction.

    Raises
    ------
    UnusableDatabase
        Where the database is of a newer version or of another program, or cannot be read.
    """
    engine = _create_engine(url)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRESQL_LOCK})")
            _migrate(connection)
    except DBAPIError as error:
        raise UnusableDatabase(f"the database {engine.url.database} cannot be opened: {error.orig}") from error
    finally:
        engine.dispose()


def _create_engine(url: str) -> Engine:
    """An engine for the migration alone. SQLite's driver would end the transaction before each change of a table."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _leave_transactions_to_us(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    # A table that is copied is dropped once; with foreign keys on, that would drop the rows that refer to it.
    connection.execute("PRAGMA foreign_keys=OFF")


def _migrate(connection: Connection) -> None:
    present = {
        table: {column["name"] for column in inspect(connection).get_columns(table)}
        for table in inspect(connection).get_table_names()
    }
    if not present:
        _create(connection)
    elif revisions.name in present:
        if _read_revision(connection) != HEAD:
            _apply(connection, "upgrade", HEAD)
    else:
        _require_released(connection, present)
        _add_late_columns(connection, present["snapshots"])
        _apply(connection, "stamp", RELEASED)
        _apply(connection, "upgrade", HEAD)


def _create(connection: Connection) -> None:
    """A new database: the tables as they are now, which is what all revisions together make."""
    metadata.create_all(connection)
    revisions.create(connection)
    connection.execute(insert(revisions).values(version_num=HEAD))


def _read_revision(connection: Connection) -> str:
    found = connection.execute(select(revisions.c.version_num)).scalars().all()
    if len(found) != 1 or found[0] not in REVISIONS:
        raise UnusableDatabase(
            f"the database {connection.engine.url.database} has the schema {', '.join(found) or 'of no revision'}, and "
            f"this version knows schemas up to {HEAD}: update this program, or choose another data folder"
        )
    return str(found[0])


def _require_released(connection: Connection, present: dict[str, set[str]]) -> None:
    complete = present | {"snapshots": present.get("snapshots", set()) | LATE_COLUMNS.keys()}
    if complete != RELEASED_TABLES:
        raise UnusableDatabase(
            f"the database {connection.engine.url.database} holds tables that this program does not know: "
            f"{', '.join(sorted(present))}. Choose another data folder"
        )


def _add_late_columns(connection: Connection, present: set[str]) -> None:
    for name, definition in LATE_COLUMNS.items():
        if name not in present:
            connection.exec_driver_sql(f"ALTER TABLE snapshots ADD COLUMN {name} {definition}")


def _apply(connection: Connection, command: str, revision: str) -> None:
    """Let Alembic do it. Imported here: it takes 0.2 s, and most starts change nothing."""
    from alembic import command as commands
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    getattr(commands, command)(config, revision)
