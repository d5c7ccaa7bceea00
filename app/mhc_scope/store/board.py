"""Read the state of the queue: the order of the waiting runs, and the running ones of all servers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Row, select

from mhc_scope.store.fairness import WaitingRun, order_fairly
from mhc_scope.store.tables import runs
from mhc_scope.store.usage import read_used

LIVE = ("queued", "running")


@dataclass(frozen=True)
class QueueState:
    """List waiting runs, the next one first; running ones; and the number of live runs per client.

    `seconds` maps each waiting run to its predicted time.
    """

    waiting: tuple[str, ...] = ()
    running: frozenset[str] = frozenset()
    of_client: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, int]:
        """Map each run to its place in the queue: 1 is the next; 0 means that the run is running."""
        return dict.fromkeys(self.running, 0) | {run_id: k for k, run_id in enumerate(self.waiting, 1)}

    def find_short(self, short_s: float, behind: int) -> tuple[str, ...]:
        """Return the first run after `behind` waiting ones that takes at most `short_s` s, or an empty tuple."""
        return tuple(run_id for run_id in self.waiting[behind:] if self.seconds[run_id] <= short_s)[:1]

    def without(self, run_id: str, client: str) -> "QueueState":
        """Return the state after the end of a running run of this client."""
        left = {**self.of_client, client: self.of_client.get(client, 1) - 1}
        return replace(self, running=self.running - {run_id}, of_client=left)


def read_live(connection: Connection) -> list[Row[Any]]:
    """Return the rows of runs that wait or run, oldest first."""
    columns = (runs.c.id, runs.c.client, runs.c.address, runs.c.status, runs.c.cost)
    query = select(*columns).where(runs.c.status.in_(LIVE)).order_by(runs.c.created_at, runs.c.id)
    return list(connection.execute(query))


def read_board(connection: Connection, now: float) -> QueueState:
    """Read the queue from the database, in fair order."""
    live = read_live(connection)
    waiting = [WaitingRun(row.id, row.client, predict_seconds(row.cost)) for row in live if row.status == "queued"]
    order = order_fairly(waiting, _sum_used(connection, live, now)) if waiting else []
    running = frozenset(row.id for row in live if row.status == "running")
    seconds = {run.id: run.seconds for run in waiting}
    return QueueState(tuple(order), running, Counter(row.client for row in live), seconds)


def predict_seconds(cost: Mapping[str, float]) -> float:
    """Return the predicted seconds of a run; 0 for a live recording."""
    return float(cost.get("seconds_likely", cost.get("seconds", 0.0)))


def _sum_used(connection: Connection, live: Iterable[Row[Any]], now: float) -> dict[str, float]:
    """Return the seconds that each client has used recently, including the predicted ones of its running runs."""
    used = defaultdict(float, read_used(connection, now))
    for row in live:
        if row.status == "running":
            used[row.client] += predict_seconds(row.cost)
    return used
