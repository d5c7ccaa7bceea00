"""Define the commands `backup`, which copies the database, also while a server runs, and `restore`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mhc_scope.commands import data_folder
from mhc_scope.commands.configuration import InvalidSettings


def add_parser(commands: Any) -> None:
    """Add the commands `backup` and `restore` to the command line."""
    backup = commands.add_parser("backup", help="copy the database, also while a server runs")
    backup.add_argument("file", type=Path, help="file to write; it is complete or does not exist")
    backup.add_argument("--force", action="store_true", help="replace an existing file")
    restore = commands.add_parser("restore", help="replace the database by a copy, while no server runs")
    restore.add_argument("file", type=Path, help="a file from backup, which is checked first")
    restore.add_argument("--force", action="store_true", help="replace an existing database")
    for parser, run in ((backup, run_backup), (restore, run_restore)):
        data_folder.add_data(parser)
        parser.set_defaults(run=run)


def run_backup(known: argparse.Namespace) -> int:
    """Copy the database to the file that the command names; return the exit code."""
    from mhc_scope.store.copies import back_up
    from mhc_scope.store.errors import UnusableDatabase

    try:
        path = data_folder.find_file(data_folder.to_settings(known))
        if known.file.exists() and (not known.force or known.file.samefile(path)):
            wanted = "--force replaces it, unless it is the database itself"
            raise UnusableDatabase(f"there is a file {known.file}: {wanted}")
        size = back_up(path, known.file)
    except (UnusableDatabase, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{known.file}: {size} bytes, a copy of {path}")
    return 0


def run_restore(known: argparse.Namespace) -> int:
    """Replace the database by the copy that the command names; return the exit code."""
    from mhc_scope.store.copies import restore
    from mhc_scope.store.errors import UnusableDatabase

    try:
        path = data_folder.find_file(data_folder.to_settings(known))
        restore(known.file, path, is_forced=known.force)
    except (UnusableDatabase, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{path}: restored from {known.file}")
    return 0
