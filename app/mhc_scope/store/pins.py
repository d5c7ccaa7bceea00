"""List the runs of views, and unpin runs that no view refers to any more."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, or_, select, update

from mhc_scope.store.tables import runs, snapshots


def list_runs_of_view(run_ids: Iterable[str], sweep: dict[str, Any] | None) -> list[str]:
    """Return the ids of the runs of a view: those that it compares, and the finished ones of its sweep."""
    states: dict[str, str] = {} if sweep is None else sweep["states"]
    return [*run_ids, *(run_id for run_id, state in states.items() if state == "done")]


def unpin_unreferenced(connection: Connection, run_ids: Collection[str]) -> None:
    """Unpin those of these runs that no view refers to any more."""
    free = set(run_ids)
    has_sweep = and_(snapshots.c.sweep.is_not(None), cast(snapshots.c.sweep, Text) != "null")
    names_one = [cast(snapshots.c.runs, Text).contains(f'"{run_id}"') for run_id in run_ids]
    holders = select(snapshots.c.runs, snapshots.c.sweep).where(or_(has_sweep, *names_one))
    for compared, sweep in connection.execute(holders):
        free -= set(list_runs_of_view(compared, sweep))
    connection.execute(update(runs).where(runs.c.id.in_(free)).values(pinned=False))
