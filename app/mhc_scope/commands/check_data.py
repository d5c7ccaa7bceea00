"""Define the command `check-data`, which checks a database for damage."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mhc_scope.commands.configuration import InvalidSettings, load_settings, print_unknown_variables


def add_parser(commands: Any) -> None:
    """Add the command `check-data` to the command line."""
    parser = commands.add_parser("check-data", help="check the database of a data folder for damage")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Print one line per error. Return the exit code: 0, 1 if there is an error, 2 if the database cannot be read."""
    from mhc_scope.store.checking import CheckCounts, check
    from mhc_scope.store.errors import UnusableDatabase
    from mhc_scope.store.schema import open_current

    counted, wrong = CheckCounts(), 0
    try:
        settings = load_settings(data=known.data)
        print_unknown_variables(settings)
        with open_current(settings.sqlalchemy_url) as connection:
            for problem in check(connection, counted):
                wrong += 1
                print(problem)
    except (UnusableDatabase, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{counted.runs} runs, {counted.frames} frames and {counted.views} views: {wrong or 'nothing'} wrong")
    return 1 if wrong else 0
