"""One sequence of requests and faults: what was asked, what may come of it, and whether it did."""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from mhc_core.spec import parse_spec
from tests.conftest import Server
from tests.endurance.play.expected import explain_log, explain_part, read_end
from tests.endurance.play.sites import Site
from tests.endurance.play.viewers import Viewer

Spec = dict[str, Any]

OWNER, STRANGER = "owner", "stranger"  # two viewers of one client
PATIENCE_S = 90.0
LOOK_S = 5.0
STUCK_S = 90.0  # what takes longer is never to come, however loaded the machine is
LOST_WORKER = "the worker process was killed (SIGKILL)"
LIVE = ("queued", "running")
NDJSON = {"Accept": "application/x-ndjson"}


@dataclass
class Asked:
    """A run that was asked for: how often anew, whether it may be cancelled, and how often a worker was lost since."""

    spec: str
    generation: int = 0
    may_be_cancelled: bool = False
    losses: int = 0
    is_certain: bool = True  # False where the answer to the request was lost


@dataclass
class Session:
    """What the model knows. `finished` is of all sessions: logs of runs that were done."""

    site: Site
    workers: int
    tally: Counter[str]
    finished: dict[str, list[bytes]]
    asked: dict[str, Asked] = field(default_factory=dict)
    viewers: list[Viewer] = field(default_factory=list)
    lock: threading.Thread | None = None
    killed: list[int] = field(default_factory=list)  # workers
    ghosts: list[tuple[str, str, float]] = field(default_factory=list)  # run and name of a viewer, until when it counts

    # What is done.

    def submit(self, server: Server, specs: Sequence[Spec]) -> list[str]:
        """Post one spec, or several to be compared; ids of the runs."""
        body: Any = list(specs) if len(specs) > 1 else specs[0]
        path = "/runs/compare" if len(specs) > 1 else "/runs"
        answer = self._request("POST", server, path, json=body)
        ids = [parse_spec(spec).id for spec in specs]
        if answer is None:
            for run_id, spec in zip(ids, specs, strict=True):
                self.asked.setdefault(run_id, Asked(json.dumps(spec), is_certain=False))
            return ids
        assert answer.status_code in (200, 202), answer.text
        told = answer.json() if len(specs) > 1 else [answer.json()]
        assert [item["id"] for item in told] == ids
        for item, spec in zip(told, specs, strict=True):
            self._note_submitted(item, spec, answer.status_code == 202)
        return ids

    def _note_submitted(self, item: dict[str, Any], spec: Spec, is_new: bool) -> None:
        assert item["status"] in (*LIVE, "done"), item
        known = self.asked.get(item["id"])
        self.tally["submitted"] += 1
        if known is None:
            self.asked[item["id"]] = Asked(json.dumps(spec))
        else:
            known.is_certain = True
            if is_new:
                assert item["id"] not in self.finished, f"{item['id']} was done, and is computed anew"
                known.generation, known.losses, known.may_be_cancelled = known.generation + 1, 0, False

    def submit_again(self, server: Server, run_id: str) -> None:
        """Post a spec that was posted before."""
        self.submit(server, [json.loads(self.asked[run_id].spec)])

    def watch(self, server: Server, run_id: str, name: str) -> Viewer:
        """Open a stream."""
        viewer = Viewer(run_id, name, self.asked[run_id].generation)
        self.viewers.append(viewer)
        self.tally["streams"] += 1
        viewer.open(server)
        return viewer

    def cancel(self, server: Server, run_id: str, name: str) -> None:
        """Ask to cancel a run; others' open streams keep it going."""
        others = [one for one in self.viewers if one.run_id == run_id and one.name != name and one.is_open]
        self.asked[run_id].may_be_cancelled = True
        answer = self._request("DELETE", server, f"/runs/{run_id}", params={"viewer": name})
        if answer is None or (answer.status_code == 404 and not self.asked[run_id].is_certain):
            return
        assert answer.status_code == 200, answer.text
        told = answer.json()
        self.tally[f"told {told['status']} by DELETE"] += 1
        if told["watchers"]:
            now = time.monotonic()
            ghosts = [one for one, other, until in self.ghosts if one == run_id and other != name and now < until]
            assert others or ghosts, f"no one else watches: {told}"
        else:
            assert told["status"] not in LIVE, f"a run goes on that no one else watches: {told}"

    def hold_database(self, seconds: float) -> None:
        """Lock the database for a while, beside what comes next; two locks do not meet."""
        if self.lock is not None:
            self.lock.join()
        self.lock = threading.Thread(target=self.site.database.hold, args=(seconds,), daemon=True)
        self.lock.start()

    @property
    def is_locked(self) -> bool:
        """Whether the database is locked from outside."""
        return self.lock is not None and self.lock.is_alive()

    def note_loss(self) -> None:
        """A worker was killed: runs that have not ended may have lost an attempt."""
        for one in self.asked.values():
            one.losses += 1

    def note_ghosts(self, server: Server | None, lease_s: float) -> None:
        """A server is about to be killed: its viewers count at others until its lease is over, and a look later."""
        until = time.monotonic() + lease_s + LOOK_S
        self.ghosts += [(one.run_id, one.name, until) for one in self.viewers if one.is_open and one.server is server]

    def _request(self, method: str, server: Server, path: str, **more: Any) -> httpx.Response | None:
        """An answer; None where the database could not be used, which only a lock excuses."""
        was_locked = self.is_locked
        answer = httpx.request(method, f"{server.api}{path}", timeout=PATIENCE_S, **more)
        if answer.status_code == 503 and answer.json()["type"].endswith("store-unavailable"):
            assert was_locked or self.is_locked, answer.text
            self.tally["refused while locked"] += 1
            return None
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    # What must come of it.

    def settle(self) -> None:
        """End the disturbance, wait until all runs and streams have ended, and look at everything."""
        if self.lock is not None:
            self.lock.join()
        self.site.start_all()
        for run_id in self.asked:
            self._wait_for_end(run_id)
        for viewer in self.viewers:
            self._see_to_end(viewer)
            self._check_viewer(viewer)
        for run_id in self.asked:
            self._check_run(run_id)
        self._check_rows()
        self._wait_for_killed()
        for server in self.site.up:
            self._wait_for_workers(server)

    def _wait_for_end(self, run_id: str) -> None:
        began = time.monotonic()
        until, server = began + STUCK_S, self.site.up[0]
        while (answer := self._request("GET", server, f"/runs/{run_id}")) is None or (
            answer.status_code == 200 and answer.json()["status"] in LIVE
        ):
            assert time.monotonic() < until, f"run {run_id} does not end: {answer.text if answer else ''}"
            time.sleep(0.02)
        assert answer.status_code == 200 or not self.asked[run_id].is_certain, f"run {run_id} is lost"
        self.tally["slowest end, ms"] = max(self.tally["slowest end, ms"], round(1000 * (time.monotonic() - began)))

    def _wait_for_killed(self) -> None:
        """A process that was killed takes a while to end, and is given runs until then: those of the next sequence."""
        until = time.monotonic() + STUCK_S
        while left := [pid for pid in self.killed if Path(f"/proc/{pid}").exists()]:
            assert time.monotonic() < until, f"workers that were killed are there still: {left}"
            time.sleep(0.02)

    def _wait_for_workers(self, server: Server) -> None:
        until = time.monotonic() + STUCK_S
        while (told := httpx.get(f"{server.url}/readyz", timeout=PATIENCE_S).json())["workers"] < self.workers:
            assert time.monotonic() < until, f"workers are missing: {told}"
            time.sleep(0.05)

    def _see_to_end(self, viewer: Viewer) -> None:
        viewer.join()
        for attempt in range(5):
            if viewer.is_over:
                return
            self.tally["resumed"] += 1
            viewer.open(self.site.up[attempt % len(self.site.up)])
            viewer.join()

    def _check_viewer(self, viewer: Viewer) -> None:
        run_id, one = viewer.run_id, self.asked[viewer.run_id]
        assert viewer.wrong is None, f"a viewer of {run_id}: {viewer.wrong}"
        is_torn = one.generation > viewer.generation or not one.is_certain  # its log was begun anew under it
        if not is_torn:
            assert viewer.has_ended, f"a viewer of {run_id} has no end behind {len(viewer.lines)} frames"
        explain = explain_part if is_torn else explain_log
        wrong = explain(viewer.lines, one.spec)
        assert wrong is None, f"a viewer of {run_id}: {wrong}"

    def _check_run(self, run_id: str) -> None:
        one, logs = self.asked[run_id], [read_log(server, run_id) for server in self.site.up]
        if not one.is_certain and not logs[0]:
            return
        assert all(log == logs[0] for log in logs), f"servers show different logs of {run_id}"
        wrong = explain_log(logs[0], one.spec)
        assert wrong is None, f"the log of {run_id}: {wrong}"
        end = read_end(logs[0])
        self.tally[end["status"]] += 1
        if end["status"] == "done":
            assert self.finished.setdefault(run_id, logs[0]) == logs[0]
        else:
            assert run_id not in self.finished, f"run {run_id} was done, and is {end['status']}"
        if end["status"] == "cancelled":
            assert one.may_be_cancelled, f"no one cancelled {run_id}"
        if end["status"] == "failed":
            assert end["reason"].startswith(LOST_WORKER), end
            assert one.losses > 1, f"run {run_id} failed after {one.losses} losses: {end['reason']}"
        for viewer in self.viewers:
            if viewer.run_id == run_id and viewer.generation == one.generation and one.is_certain:
                assert viewer.lines == logs[0], f"a viewer saw another log of {run_id}"

    def _check_rows(self) -> None:
        select = self.site.database.select
        live = select("SELECT id, status FROM runs WHERE status IN ('queued', 'running')")
        assert not [row for row in live if row[0] in self.asked], f"runs that have ended are live: {live}"
        torn = select(
            "SELECT runs.id, runs.frames, count(*), min(idx), max(idx) FROM runs JOIN frames ON run_id = runs.id "
            "GROUP BY runs.id, runs.frames HAVING count(*) <> runs.frames OR min(idx) <> 0 OR max(idx) <> count(*) - 1"
        )
        assert torn == [], f"frames that are not contiguous: {torn}"


def read_log(server: Server, run_id: str) -> list[bytes]:
    """The whole log as a new viewer gets it; empty where there is no such run."""
    answer = httpx.get(f"{server.api}/runs/{run_id}/events", headers=NDJSON, timeout=PATIENCE_S)
    return answer.content.splitlines(keepends=True) if answer.status_code == 200 else []
