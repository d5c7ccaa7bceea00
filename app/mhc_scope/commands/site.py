"""Define the command `site`, which writes the page as static files for any file server."""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mhc_scope.commands import data_folder
from mhc_scope.commands.configuration import InvalidSettings

if TYPE_CHECKING:
    from mhc_core.spec import RunSpec
    from mhc_scope.pages.site import Grid, StaticSite, WrittenRun
    from mhc_scope.store.snapshots import StoredSnapshot

# Settings for which runs of the opening view are written. The sliders of the site have these values.
GRIDS: dict[str, "Grid"] = {
    "small": {
        "depth": [8, 16, 32, 64, 128],
        "connection.streams": [2, 4, 8],
        "connection.noise": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0],
    },
    "none": {},
}


class ViewNotFound(Exception):
    """A requested view is not in the database, or not all of its runs are."""


def add_parser(commands: Any) -> None:
    """Add the command `site`, which writes the instrument as static files, to the command line."""
    parser = commands.add_parser("site", help="write the page as static files for any file server")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write: new, empty, or an earlier site")
    parser.add_argument(
        "--grid", choices=list(GRIDS), default="small", help="runs to compute for the sliders; small by default"
    )
    parser.add_argument("--view", action="append", default=[], metavar="ID", help="a snapshot to add; can be repeated")
    data_folder.add_data(parser)
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Write the static site as the flags of the command state; return the exit code."""
    from mhc_scope.files import MissingAsset
    from mhc_scope.store.errors import StoreUnavailable, UnusableDatabase

    try:
        print(write_site(known))
    except (ViewNotFound, MissingAsset, StoreUnavailable, UnusableDatabase, InvalidSettings) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def write_site(known: argparse.Namespace) -> str:
    """Write the static site; return a sentence that describes it."""
    from mhc_scope.pages.site import StaticSite, list_grid
    from mhc_scope.presets.records import SPECS

    site = StaticSite(known.folder)
    grid = GRIDS[known.grid]
    views, records = asyncio.run(_read_views(data_folder.to_settings(known), known.view)) if known.view else ([], {})
    runs = {run_id: site.write_record(run_id, lines) for run_id, lines in records.items()}
    wanted = {**SPECS, **{spec.id: spec for spec in list_grid(grid)}}
    missing = [spec for run_id, spec in wanted.items() if run_id not in runs]
    runs |= {run.id: run for run in _write_runs(site, missing)}
    site.write_answers(runs.values(), _compare_costs(grid))
    site.write_pages(grid, views)
    return f"{known.folder}: {len(runs)} runs, {site.bytes / 1e6:.1f} MB. Serve it with any file server."


def _write_runs(site: "StaticSite", specs: Iterable["RunSpec"]) -> Iterable["WrittenRun"]:
    """Write the records of runs to the site: those in the package or in an earlier site, and newly computed ones."""
    for spec in tqdm(specs, unit="run", desc="runs"):
        yield site.write_record(spec.id, _read_shipped(spec.id) or site.find_record(spec.id) or _compute_record(spec))


def _read_shipped(run_id: str) -> list[bytes] | None:
    """Return the encoded frames of a run whose record is part of the package; None for other runs."""
    from mhc_core.record import codec
    from mhc_scope.presets.records import read_record

    lines = read_record(run_id)
    return None if lines is None else [*lines, codec.encode_end(run_id, len(lines), "done", None)]


def _compute_record(spec: "RunSpec") -> list[bytes]:
    """Compute a run, and return its encoded frames, including `end`."""
    import torch

    from mhc_core.cost.threads import choose_threads
    from mhc_core.measure.run import run as measure
    from mhc_core.record import codec

    torch.set_num_threads(choose_threads(spec, torch.get_num_threads()))
    lines = [codec.encode_frame(frame, spec.id, index) for index, frame in enumerate(measure(spec))]
    return [*lines, codec.encode_end(spec.id, len(lines), "done", None)]


def _compare_costs(grid: "Grid") -> dict["RunSpec", Any]:
    """Return the predicted costs of all connections for each stack of the grid."""
    from mhc_core.cost.estimates import compare_connections
    from mhc_core.cost.rates import calibrate
    from mhc_scope.pages.site import list_grid
    from mhc_scope.presets import OPENING

    stacks = list_grid({path: values for path, values in grid.items() if path != "connection.noise"})
    widest = OPENING.specs[-1].connection.kind  # its settings include those of all others
    rates = calibrate()
    return {spec: compare_connections(spec, rates) for spec in stacks if spec.connection.kind == widest}


async def _read_views(settings: Any, ids: Iterable[str]) -> tuple[list["StoredSnapshot"], dict[str, list[bytes]]]:
    """Return snapshots, and the frames of their runs by id."""
    from mhc_scope.extension import open_database
    from mhc_scope.store.frame_log import FrameLog
    from mhc_scope.store.notifications import Hub
    from mhc_scope.store.runs import RunStore
    from mhc_scope.store.snapshots import SnapshotStore

    database = open_database(settings, is_secondary=True)
    try:
        store, snapshots = RunStore(database), SnapshotStore(database)
        log = FrameLog(store, Hub(), 0)
        views, records = [], {}
        for name in ids:
            if (view := await snapshots.get(name)) is None:
                raise ViewNotFound(f"--view: there is no snapshot {name} in this database")
            for run_id in view.runs:
                stored = await store.get(run_id)
                if stored is None or stored.status != "done":
                    raise ViewNotFound(f"--view: run {run_id} of snapshot {name} is not complete")
                records[run_id] = [line async for line in log.read_all(run_id)]
            views.append(view)
        return views, records
    finally:
        await database.close()
