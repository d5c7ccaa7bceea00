"""Compare two checkouts value by value: `python -m tests.contract.compare_checkouts BEFORE AFTER`.

Both are started as they stand and asked over HTTP and the command line only, so their files may lie anywhere. Compared
are run ids, frame logs, result files, all figures, descriptions, hash links, and what the first one has stored, opened
by the second. Texts may be worded otherwise and are then listed; the numbers in them may not differ. Exit code 1 where
something differs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.contract import fresh, stored
from tests.contract.checkouts import Checkout, do_both, serve_both
from tests.contract.report import Report


def main(arguments: Sequence[str]) -> int:
    """Compare, print, and say by the exit code whether all is equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.compare_checkouts", description=__doc__)
    parser.add_argument("before", type=Path, help="folder of the checkout to hold the other against")
    parser.add_argument("after", type=Path, help="folder of the other checkout")
    parser.add_argument("--out", type=Path, help="write everything that was found to this JSON file")
    known = parser.parse_args(arguments)
    before, after = Checkout(known.before.resolve()), Checkout(known.after.resolve())
    started, report = time.monotonic(), Report()
    with tempfile.TemporaryDirectory() as folder:
        compare_checkouts(report, before, after, Path(folder))
    print(*report.show(), sep="\n")
    print(f"\n{'equal' if report.is_equal else 'NOT EQUAL'}, after {time.monotonic() - started:.0f} s")
    if known.out is not None:
        known.out.write_text(json.dumps(report.to_plain(), indent=2, ensure_ascii=False))
    return 0 if report.is_equal else 1


def compare_checkouts(report: Report, before: Checkout, after: Checkout, folder: Path) -> None:
    """First on fresh data folders, then on the data that the first has stored."""
    do_both(Checkout.require_own_packages, before, after)
    old = folder / "before"
    with serve_both((before, old), (after, folder / "after")) as pair:
        ids = fresh.compare_runs(pair, report)
        fresh.compare_results(pair, report, ids)
        views = fresh.compare_panels(pair, report)
        fresh.compare_figures(pair, report, ids, views)
        fresh.compare_answers(pair, report, ids)
        sweep = fresh.compare_sweep(pair, report)
        snapshots = fresh.store_snapshots(pair, report, ids, sweep)
        fresh.compare_links(pair, report, before, after)
    fresh.compare_command_lines(report, before, after)
    shutil.copytree(old, folder / "copy")
    with serve_both((before, old), (after, folder / "copy")) as pair:
        stored.compare_stored_runs(pair, report, ids)
        stored.compare_stored_views(pair, report, ids, views, snapshots)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
