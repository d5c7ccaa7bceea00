"""Find the database of a command by the same flags and variables as for `serve`."""

import argparse
from pathlib import Path

from mhc_scope.commands.configuration import load_settings, print_unknown_variables
from mhc_scope.settings import Settings


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the data folder to a command's parser."""
    parser.add_argument("--data", type=Path, help="folder of the database, as for serve")


def to_settings(known: argparse.Namespace, kind: type[Settings] | None = None) -> Settings:
    """Return the settings that a server with these parsed flags would have.

    kind: class of the settings, for commands of the service.

    Raises
    ------
    InvalidSettings
        If a variable or a flag is not valid.
    """
    settings = load_settings(kind=kind, data=known.data, database_url=getattr(known, "database_url", None))
    print_unknown_variables(settings)
    return settings


def find_file(settings: Settings) -> Path:
    """Return the path of the SQLite database that the settings name.

    Raises
    ------
    UnusableDatabase
        If the database is PostgreSQL, which has its own tools.
    """
    from mhc_scope.store.errors import UnusableDatabase
    from mhc_scope.store.schema import find_file as find

    path = find(settings.sqlalchemy_url)
    if path is None:
        raise UnusableDatabase("the database is PostgreSQL: back it up with pg_dump, and restore it with pg_restore")
    return path
