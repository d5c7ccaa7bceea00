"""Define the command `prune`, which deletes runs that were not used for a while, also while a server runs."""

import argparse
import asyncio
import re
import sys
import time
from typing import Any

from mhc_scope.commands import data_folder
from mhc_scope.commands.configuration import InvalidSettings
from mhc_scope.settings import Settings

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def add_parser(commands: Any) -> None:
    """Add the command `prune` to the command line."""
    parser = commands.add_parser("prune", help="delete unused runs, also while a server runs")
    parser.add_argument("--older-than", default="7d", help="least time since the last use, such as 12h; 7d by default")
    parser.add_argument("--traces", action="store_true", help="also delete traces, which cannot be computed again")
    parser.add_argument("--dry-run", action="store_true", help="print what would be deleted, and delete nothing")
    parser.add_argument("--vacuum", action="store_true", help="shrink the file as far as possible; no server may run")
    data_folder.add_data(parser)
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Delete unused runs as the flags of the command state; return the exit code."""
    from mhc_scope.store.errors import StoreUnavailable, UnusableDatabase

    found = DURATION.fullmatch(known.older_than)
    if found is None:
        print(
            f"--older-than: got {known.older_than!r}, wanted a number with s, m, h, d or w, such as 7d", file=sys.stderr
        )
        return 2
    since = time.time() - float(found[1]) * UNITS_S[found[2]]
    try:
        print(asyncio.run(_prune(data_folder.to_settings(known), since, known)))
    except (UnusableDatabase, StoreUnavailable, InvalidSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def _prune(settings: Settings, since: float, known: argparse.Namespace) -> str:
    """Delete runs that were not used after `since`, or only count them with `dry_run`. Return a sentence about them."""
    from mhc_scope.extension import open_database
    from mhc_scope.presets import OPENING
    from mhc_scope.store import retention

    spare, traces_since = [spec.id for spec in OPENING.specs], since if known.traces else 0.0
    database = open_database(settings, is_secondary=not known.vacuum)
    try:
        count, size = await retention.count_unused(database, since, traces_since, spare)
        if known.dry_run:
            return f"{count} runs of {size} bytes would be deleted"
        dropped = await retention.drop_unused(database, since, traces_since, spare)
        pages = await (retention.vacuum(database) if known.vacuum else retention.release_pages(database))
        return f"deleted {dropped} runs of {size} bytes; {pages} pages returned to the disk"
    finally:
        await database.close()
