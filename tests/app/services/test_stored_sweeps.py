"""A snapshot holds the sweep behind its map: the same numbers in a year, and what was missing stays missing."""

import time
from typing import Any

import httpx
import pytest

from tests.app.api.test_bodies import check_problem
from tests.app.api.test_sweeps import SLOW, SWEEP, FreshSpec, build_grid, finish, wait_until
from tests.conftest import StartServer, compute


def store(http: httpx.Client, run: str, sweep: str, state: str = "v=1&map=A") -> httpx.Response:
    """A view of one run with a map."""
    return http.post("/snapshots", json={"runs": [run], "state": state, "sweep": sweep})


def read(http: httpx.Client, snapshot: dict[str, Any], route: str, **query: str) -> dict[str, Any]:
    """What a stored view answers of its sweep."""
    answer = http.get(snapshot["sweep"][route].removeprefix("/api/v1"), params=query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.full
def test_a_stored_map_outlives_its_sweep_and_the_day(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run, other = compute(http, fresh_spec()), compute(http, fresh_spec())
        body = http.post(SWEEP, json=build_grid(fresh_spec())).json()
        finish(http, body["id"])
        live = http.get(f"{SWEEP}/{body['id']}/values").json()
        drawn = http.get(f"{SWEEP}/{body['id']}/figure", params={"theme": "dark"}).json()
        answer = store(http, run, body["id"])
        snapshot = answer.json()
        assert (answer.status_code, snapshot["sweep"]["counts"]) == (201, {"done": 6})
        assert store(http, run, body["id"]).status_code == 200, "the same view is the same snapshot"
        assert all(http.get(f"/runs/{run_id}").json()["pinned"] for row in body["ids"] for run_id in row)
    own.kill()
    with httpx.Client(
        base_url=launch("--workers", "1", "--keep-s", "0.1", "RETENTION_INTERVAL_S=0.2").api, timeout=60
    ) as http:
        deadline = time.monotonic() + 30
        for path in (f"/runs/{other}", f"{SWEEP}/{body['id']}"):
            while http.get(path).status_code != 404:
                assert time.monotonic() < deadline, f"{path}: nothing holds it, and it is not dropped"
                time.sleep(0.1)
        del snapshot["key"]  # which only the POST tells
        assert http.get(f"/snapshots/{snapshot['id']}").json() == snapshot
        assert read(http, snapshot, "values") == live
        assert read(http, snapshot, "figure", theme="dark") == drawn
        # Another number of the same runs, not asked for before.
        ranks = read(http, snapshot, "values", metric="effective_rank", reduce="last")
        layers = http.get(f"/runs/{body['ids'][1][2]}/result").json()["layers"]
        assert ranks["values"][1][2] == layers["effective_rank"][-1]
        # Who shares a stored view again gives the snapshot's own name, for the sweep is forgotten.
        assert store(http, run, snapshot["id"]).json() == {**snapshot, "key": None}
        assert store(http, run, snapshot["id"], "v=1&map=A&layer=2").json()["sweep"]["counts"] == {"done": 6}


@pytest.mark.full
def test_what_has_not_ended_is_missing_and_stays_so(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = compute(lone_client, fresh_spec())
    grid = {"spec": fresh_spec(**SLOW), "x": {"field": "depth", "values": [2, 400, 401]}}
    body = lone_client.post(SWEEP, json=grid).json()
    wait_until(lone_client, body["id"], lambda now: now["counts"].get("done", 0) == 1)
    early = store(lone_client, run, body["id"]).json()
    assert early["sweep"]["counts"] == {"done": 1, "missing": 2}
    lone_client.delete(f"{SWEEP}/{body['id']}")
    later = store(lone_client, run, body["id"]).json()
    assert later["id"] != early["id"]
    assert later["sweep"]["counts"] == {"done": 1, "cancelled": 2}
    lone_client.post(SWEEP, json=grid)
    finish(lone_client, body["id"])
    found = read(lone_client, early, "values")
    assert (found["status"], found["is_open"]) == ([["done", "missing", "missing"]], False)
    assert [value is None for value in found["values"][0]] == [False, True, True]


def test_a_sweep_that_is_not_there_cannot_be_stored_or_read(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = compute(client, fresh_spec())
    assert store(client, run, "nothing").status_code == 404
    plain = client.post("/snapshots", json={"runs": [run]}).json()
    assert plain["sweep"] is None
    assert store(client, run, plain["id"]).status_code == 404
    for route in ("values", "figure"):
        assert client.get(f"/snapshots/{plain['id']}/sweep/{route}").status_code == 404
        assert client.get(f"/snapshots/nothing/sweep/{route}").status_code == 404


def test_a_stored_map_is_asked_as_a_sweep_is(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = compute(client, fresh_spec())
    body = client.post(SWEEP, json={"spec": fresh_spec(), "x": {"field": "depth", "values": [2, 4]}}).json()
    finish(client, body["id"])
    snapshot = store(client, run, body["id"]).json()
    url = f"/snapshots/{snapshot['id']}/sweep/values"
    check_problem(client.get(url, params={"metric": "gain"}), 422, "metric", "composite_gain_fwd")
    check_problem(client.get(url, params={"reduce": "mean"}), 422, "reduce", "median")
