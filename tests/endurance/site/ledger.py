"""What clients were told, held against what servers and the database say afterwards."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
from sqlalchemy import create_engine, func, select

from mhc_scope.store.checking import CheckCounts, check
from mhc_scope.store.schema import open_current
from mhc_scope.store.tables import runs
from tests.endurance.site.viewers import Followed

NDJSON = {"Accept": "application/x-ndjson"}
SETTLE_S = 60.0
CLEAR = (400, 404, 409, 422, 429, 503)


class Ledger:
    """Filled by many threads.

    Attributes
    ----------
    taken: runs that a server has taken, with their specs.
    told: what viewers were sent of each.
    wrong: what must not happen, one sentence each.
    refused: how often which problem was answered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken: dict[str, dict[str, Any]] = {}
        self.told: list[Followed] = []
        self.wrong: list[str] = []
        self.refused: Counter[str] = Counter()

    def note_taken(self, run_id: str, spec: dict[str, Any]) -> None:
        """A server has taken a run."""
        with self._lock:
            self.taken[run_id] = spec

    def note_followed(self, followed: Followed) -> None:
        """A viewer has seen a run's end, or has given up."""
        with self._lock:
            self.told.append(followed)
            self.wrong += followed.torn
            if not followed.status and not followed.torn:
                self.wrong.append(f"run {followed.run_id} had no end for {followed.seconds:.0f} s")

    def note_answer(self, answer: httpx.Response) -> None:
        """A request was answered; what is no success must be a clear problem."""
        if answer.is_success:
            return
        is_clear = answer.status_code in CLEAR and answer.headers["content-type"] == "application/problem+json"
        kind = answer.json()["type"].partition("#problem-")[2] if is_clear else "unclear"
        with self._lock:
            self.refused[f"{answer.status_code} {kind}"] += 1
            if not is_clear or not answer.json()["detail"]:
                self.wrong.append(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")

    def note_wrong(self, sentence: str) -> None:
        """Something that must not happen has happened."""
        with self._lock:
            self.wrong.append(sentence)

    @property
    def ends(self) -> Counter[str]:
        """How many runs were told to have ended how."""
        return Counter(followed.status for followed in self.told)

    @property
    def reasons(self) -> Counter[str]:
        """Why runs failed, without what is particular to each."""
        return Counter(str(one.end.get("reason")) for one in self.told if one.status == "failed")

    @property
    def cuts(self) -> int:
        """How many streams were cut before their run's end."""
        return sum(followed.cuts for followed in self.told)

    def find_lost(self, urls: Sequence[str]) -> list[str]:
        """Runs that were told to have ended, and are not so with the same bytes at every server."""
        lost = []
        with httpx.Client(timeout=60) as http:
            for followed in self.told:
                for url in urls if followed.status else ():
                    lost += _compare(http, f"{url}/api/v1/runs/{followed.run_id}", followed)
        return lost


def _compare(http: httpx.Client, address: str, followed: Followed) -> list[str]:
    status = http.get(address).json().get("status")
    if status != followed.status:
        return [f"{address} is {status}, and was told to be {followed.status}"]
    lines = http.get(f"{address}/events", headers=NDJSON).text.splitlines()
    return [] if lines == followed.lines else [f"{address} has other frames than were sent"]


def find_live(database_url: str) -> list[str]:
    """Runs that still wait or are said to be computed after a while; none, where nothing is stuck."""
    engine = create_engine(database_url)
    query = select(runs.c.id, runs.c.status).where(runs.c.status.in_(("queued", "running")))
    deadline = time.monotonic() + SETTLE_S
    try:
        while True:
            with engine.connect() as connection:
                live = [f"run {row.id} is {row.status}" for row in connection.execute(query)]
            if not live or time.monotonic() > deadline:
                return live
            time.sleep(0.5)
    finally:
        engine.dispose()


def find_damage(database_url: str) -> list[str]:
    """What `mhc-scope check` finds."""
    with open_current(database_url) as connection:
        return list(check(connection, CheckCounts()))


def count_runs(database_url: str) -> int:
    """How many runs the database holds."""
    with open_current(database_url) as connection:
        return int(connection.execute(select(func.count()).select_from(runs)).scalar_one())
