"""`check --data FOLDER`: whether a database is sound. `app.cli` calls it where `check` names no target."""

import sys
from pathlib import Path

from app.commands.configuration import InvalidSettings, load_settings, print_unknown_variables


def check_data(folder: Path) -> int:
    """Print what is wrong, one line each; returns the exit code: 0, 1 where something is, 2 where it cannot be read."""
    from app.store.errors import UnusableDatabase
    from app.store.schema import open_current
    from app.store.upkeep.checking import Counted, check

    counted, wrong = Counted(), 0
    print_unknown_variables()
    try:
        with open_current(load_settings(data=folder).sqlalchemy_url) as connection:
            for problem in check(connection, counted):
                wrong += 1
                print(problem)
    except (UnusableDatabase, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{counted.runs} runs, {counted.frames} frames and {counted.views} views: {wrong or 'nothing'} wrong")
    return 1 if wrong else 0
