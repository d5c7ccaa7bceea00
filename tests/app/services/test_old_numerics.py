"""Runs of earlier numerics: finished ones open as before, one that was under way when the server was updated ends."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mhc_core.record import codec
from mhc_scope.store.frames import unpack_line
from tests.app.api.test_sweeps import SWEEP, build_grid, finish
from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, StartServer, compute, wait_for_end

pytestmark = pytest.mark.full

FreshSpec = Callable[..., dict[str, Any]]
NDJSON = {"Accept": "application/x-ndjson"}
OLD, CUT = "0123456789abcdef0123", "fedcba9876543210fedc"  # ids that no spec has


def rename(server: Server, run_id: str, name: str) -> None:
    """Give a stored run the id that it would have had of earlier numerics."""
    with sqlite3.connect(server.data / "mhc-scope.db") as database:
        database.execute("pragma foreign_keys = off")
        database.execute("update runs set id = ? where id = ?", (name, run_id))
        database.execute("update frames set run_id = ? where run_id = ?", (name, run_id))
    database.close()


def to_old(server: Server, run_ids: list[str]) -> dict[str, str]:
    """Make stored runs, and the stored maps over them, what numerics 1 stored; their old ids by the new ones."""
    old = {run_id: f"{index:020x}" for index, run_id in enumerate(run_ids, 1)}
    for run_id, name in old.items():
        rename(server, run_id, name)
    with sqlite3.connect(server.data / "mhc-scope.db") as database:
        for run_id, name in old.items():
            database.execute(
                "update snapshots set sweep = replace(sweep, ?, ?), runs = replace(runs, ?, ?)", (run_id, name) * 2
            )
        for name in old.values():
            for index, line in database.execute("select idx, line from frames where run_id = ?", (name,)).fetchall():
                frame = json.loads(unpack_line(line))
                if frame["type"] == "similarity":
                    del frame["status"]
                if frame["type"] == "start":
                    frame["versions"]["numerics"] = 1
                changed = (codec.to_json(frame | {"run": name}) + b"\n", name, index)
                database.execute("update frames set line = ? where run_id = ? and idx = ?", changed)
    database.close()
    return old


def test_a_stored_map_of_old_runs_opens_as_before(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    asked = [{}, {"metric": "cka", "reduce": "median"}, {"metric": "effective_rank", "reduce": "last"}]
    with httpx.Client(base_url=own.api, timeout=60) as http:
        grid = build_grid(fresh_spec())
        body = http.post(SWEEP, json=grid).json()
        finish(http, body["id"])
        run = body["ids"][0][0]
        view = {"runs": [run], "state": "v=1&map=A", "title": "old", "sweep": body["id"]}
        name = http.post("/snapshots", json=view).json()["id"]
        before = [http.get(f"/snapshots/{name}/sweep/values", params=query).json() for query in asked]
    own.kill()
    old = to_old(own, sorted({run_id for row in body["ids"] for run_id in row}))
    again = launch("--workers", "1")
    with httpx.Client(base_url=again.api, timeout=60) as http:
        for query, found in zip(asked, before, strict=True):
            now = http.get(f"/snapshots/{name}/sweep/values", params=query).json()
            assert now == found | {"ids": [[old[run_id] for run_id in row] for row in found["ids"]]}
            assert http.get(f"/snapshots/{name}/sweep/figure", params=query).status_code == 200
        assert http.get(f"/snapshots/{name}").json()["sweep"]["counts"] == {"done": 6}
        shared = http.post("/snapshots", json=view | {"runs": [old[run]], "sweep": name, "title": "shared again"})
        assert (shared.status_code, shared.json()["sweep"]["counts"]) == (201, {"done": 6})
        assert httpx.get(f"{again.url}/s/{name}").status_code == 200
        assert httpx.get(f"{again.url}/s/{name}/picture.png").status_code == 200
        assert http.post(SWEEP, json=grid).json()["ids"] == body["ids"], "asked for again it is computed anew"


def test_old_runs_survive_an_update_and_those_under_way_say_why_they_end(
    launch: StartServer, fresh_spec: FreshSpec
) -> None:
    own, spec = launch("--workers", "1"), fresh_spec()
    with httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, spec)
        before = http.get(f"/runs/{done}/result").json()
        cut = start_long(http, fresh_spec(**LONG))
        behind = http.post("/runs", json=fresh_spec()).json()["id"]
    own.kill()
    rename(own, done, OLD)
    rename(own, cut, CUT)
    again = launch("--workers", "1")
    with httpx.Client(base_url=again.api, timeout=60) as http:
        end = wait_for_end(http, CUT)
        assert end["status"] == "failed"
        assert "post the spec again" in end["reason"]
        assert wait_for_end(http, behind)["status"] == "done", "a run behind it goes on"
        lines = http.get(f"/runs/{CUT}/events", headers=NDJSON).text.splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
        assert json.loads(lines[-1])["type"] == "end"
        old = http.get(f"/runs/{OLD}/result").json()
        assert old["layers"] == before["layers"]
        assert http.get(f"/runs/{OLD}/figures/cka").status_code == 200
        fresh = http.post("/runs", json=spec)
        assert (fresh.status_code, fresh.json()["id"]) == (202, done), "asked for again, the spec is computed anew"
