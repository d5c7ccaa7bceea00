"""Runs of earlier numerics: finished ones open as before, one that was under way when the server was updated ends."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx

from tests.app.test_cancel import LONG, start_long
from tests.conftest import Server, StartServer, compute, wait_for_end

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


def test_old_runs_survive_an_update_and_those_under_way_say_why_they_end(
    launch: StartServer, fresh_spec: FreshSpec
) -> None:
    own, spec = launch("--workers", "1"), fresh_spec()
    with httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, spec)
        before = http.get(f"/runs/{done}/result").json()
        cut = start_long(http, fresh_spec(**LONG))
    own.kill()
    rename(own, done, OLD)
    rename(own, cut, CUT)
    again = launch("--workers", "1")
    with httpx.Client(base_url=again.api, timeout=60) as http:
        end = wait_for_end(http, CUT)
        assert end["status"] == "failed"
        assert "post the spec again" in end["reason"]
        lines = http.get(f"/runs/{CUT}/events", headers=NDJSON).text.splitlines()
        assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
        assert json.loads(lines[-1])["type"] == "end"
        old = http.get(f"/runs/{OLD}/result").json()
        assert old["layers"] == before["layers"]
        assert http.get(f"/runs/{OLD}/figures/cka").status_code == 200
        fresh = http.post("/runs", json=spec)
        assert (fresh.status_code, fresh.json()["id"]) == (202, done), "asked for again, the spec is computed anew"
