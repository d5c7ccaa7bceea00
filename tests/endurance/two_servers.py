"""Two servers on one PostgreSQL and one Ray cluster: what one is asked for, the other shows, stops and finishes."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Column, select

from benchmarks.rows import Row
from mhc_scope.store.tables import runs, servers
from tests.endurance.site.kinds import Place, open_cluster
from tests.endurance.site.ledger import find_damage, find_live
from tests.endurance.site.servers import mark, wait_until_gone
from tests.endurance.site.viewers import Followed, fill

# Long enough to be caught in the middle, and cheap enough to be admitted.
LONG: dict[str, Any] = {"depth": 512, "width": 64, "input": {"tokens": 16}}
END_S = 240.0


def run(arguments: Sequence[str]) -> list[Row]:
    """Watched, cancelled, and finished elsewhere, so many times each."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance two_servers", description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--lease-s", type=float, default=10)
    parser.add_argument("--forked", action="store_true", help="fork servers from one that has imported all: quicker")
    given = parser.parse_args(arguments)
    marked = mark()
    with (
        tempfile.TemporaryDirectory(prefix="mhc-two-") as folder,
        open_cluster(Path(folder), "--lease-s", f"{given.lease_s:g}", is_forked=given.forked) as place,
    ):
        trial = Trial(place, given.lease_s)
        for number in range(given.times):
            for seed, play in enumerate((trial.watch, trial.cancel, trial.kill), 3 * number):
                play(seed)
        stuck = find_live(place.database_url)
        damage = find_damage(place.database_url)
    left = wait_until_gone(marked)
    for sentence in (*trial.wrong, *stuck, *damage, *left.values()):
        print(sentence)
    return [
        *trial.to_rows(),
        Row("torn streams, missing ends, runs stuck", "viewers, database", len(trial.wrong) + len(stuck), "", 0),
        Row("findings of mhc-scope check", "the database", len(damage), "", 0),
        Row("processes left", "by a mark they inherit", len(left), "", 0),
    ]


class Trial:
    """What was done, and how long it took."""

    def __init__(self, place: Place, lease_s: float) -> None:
        self._place, self._limit_s = place, lease_s
        self._pool = ThreadPoolExecutor(1)
        self.wrong: list[str] = []
        self.seconds: dict[str, list[float]] = {"seen": [], "cancelled": [], "taken over": [], "ended": []}
        self.ends: list[str] = []

    def watch(self, seed: int) -> None:
        """A run posted to A is followed on B from its first frame to its end."""
        begun = time.monotonic()
        _, ending = self._view(self._post(seed), 1)
        self.seconds["seen"].append(time.monotonic() - begun)
        self._judge(ending, "done")

    def cancel(self, seed: int) -> None:
        """A run posted to A is stopped by a DELETE to B, whose own viewer does not hold it up."""
        run_id = self._post(seed)
        _, ending = self._view(run_id, 1)
        begun = time.monotonic()
        answer = httpx.delete(f"{self._place.site.urls[1]}/api/v1/runs/{run_id}", timeout=60).json()
        self.seconds["cancelled"].append(time.monotonic() - begun)
        if answer["status"] != "cancelled":
            self.wrong.append(f"run {run_id} after DELETE: {answer}")
        self._judge(ending, "cancelled")

    def kill(self, seed: int) -> None:
        """The server that computes a run is killed in the middle of it, while the other one shows it."""
        run_id = self._post(seed)
        owner = self._wait_for_owner(run_id)
        _, ending = self._view(run_id, 1 - owner)
        lost, begun = self._read(runs.c.server, run_id), time.monotonic()
        self._place.site.servers[owner].kill()
        while self._read(runs.c.server, run_id) == lost and time.monotonic() - begun < END_S:
            time.sleep(0.05)
        self.seconds["taken over"].append(time.monotonic() - begun)
        self._judge(ending, "done", "failed")
        self.seconds["ended"].append(time.monotonic() - begun)
        self._place.site.restart(owner)

    def to_rows(self) -> list[Row]:
        """The longest times."""
        ends = ", ".join(f"{self.ends.count(end)} {end}" for end in sorted(set(self.ends)))
        longest = {name: max(seconds, default=None) for name, seconds in self.seconds.items()}
        limits = {"taken over": self._limit_s}
        what = {
            "seen": "from POST to A to the first frame on B",
            "cancelled": "from DELETE on B to its answer",
            "taken over": "from the kill of a run's server to the other's lease",
            "ended": "from the kill to the end, for a viewer of the other",
        }
        return [
            Row("runs whose end a viewer of the other server saw", ends, len(self.ends), ""),
            *(
                Row(what[name], f"longest of {len(self.seconds[name])}", longest[name], "s", limits.get(name))
                for name in what
            ),
        ]

    def _post(self, seed: int) -> str:
        answer = httpx.post(f"{self._place.site.urls[0]}/api/v1/runs", json=LONG | {"seed": seed}, timeout=60)
        return str(answer.raise_for_status().json()["id"])

    def _view(self, run_id: str, number: int) -> tuple[Followed, Future[Followed]]:
        """A viewer at one server, once the first frame is there."""
        found, deadline = Followed(run_id), time.monotonic() + END_S
        ending = self._pool.submit(fill, found, [self._place.site.urls[number]], END_S)
        while not found.lines and time.monotonic() < deadline:
            time.sleep(0.01)
        return found, ending

    def _judge(self, ending: "Future[Followed]", *allowed: str) -> None:
        found = ending.result()
        self.wrong += found.torn
        self.ends.append(found.status or "no end")
        if found.status not in allowed:
            self.wrong.append(f"run {found.run_id}: {found.end or 'no end'}")

    def _wait_for_owner(self, run_id: str) -> int:
        deadline = time.monotonic() + END_S
        while (owner := self._find_owner(run_id)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no server computes run {run_id}")
            time.sleep(0.05)
        return owner

    def _find_owner(self, run_id: str) -> int | None:
        """Which server computes the run, by its process id."""
        name = self._read(servers.c.name, run_id)
        pids = [server.process.pid for server in self._place.site.servers]
        return None if name is None else pids.index(int(name.rpartition(":")[2]))

    def _read(self, column: "Column[str]", run_id: str) -> str | None:
        query = select(column).select_from(runs.outerjoin(servers, runs.c.server == servers.c.id))
        with self._place.connect() as connection:
            return connection.execute(query.where(runs.c.id == run_id)).scalar_one()
