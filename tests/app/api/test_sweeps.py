"""Sweeps: grids of runs over one or two fields, over HTTP."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import plotly.io
import pytest

from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_crash import wait_for_worker
from tests.conftest import Server, StartServer, compute

FreshSpec = Callable[..., dict[str, Any]]
SWEEP = "/runs/sweep"
DEPTHS, STREAMS = [2, 4, 6], [1, 3]
SLOW = {"depth": 128, "width": 32, "input": {"batch": 4, "tokens": 64}}  # half a second


def build_grid(spec: dict[str, Any]) -> dict[str, Any]:
    """Depth by expansion rate."""
    x, y = {"field": "depth", "values": DEPTHS}, {"field": "connection.streams", "values": STREAMS}
    return {"spec": spec | {"connection": {"kind": "hc"}}, "x": x, "y": y}


def finish(http: httpx.Client, sweep_id: str) -> dict[str, Any]:
    """The sweep once nothing of it is open."""
    deadline = time.monotonic() + 90
    while (body := http.get(f"{SWEEP}/{sweep_id}").json())["is_open"]:
        assert time.monotonic() < deadline, body["counts"]
        time.sleep(0.05)
    found: dict[str, Any] = body
    return found


def is_running(body: dict[str, Any]) -> bool:
    return bool(body["counts"].get("running"))


def wait_until(http: httpx.Client, sweep_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The sweep once something holds of it."""
    deadline = time.monotonic() + 60
    while not holds(body := http.get(f"{SWEEP}/{sweep_id}").json()):
        assert time.monotonic() < deadline, body
        time.sleep(0.01)
    found: dict[str, Any] = body
    return found


def test_a_cell_is_the_run_that_is_posted_alone(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    grid = build_grid(fresh_spec())
    answer = client.post(SWEEP, json=grid)
    sweep = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == sweep["links"]["self"]
    assert finish(client, sweep["id"])["counts"] == {"done": 6}
    values = client.get(f"{SWEEP}/{sweep['id']}/values").json()
    assert values["metric"]["key"] == "composite_gain_fwd"
    last = client.get(f"{SWEEP}/{sweep['id']}/values", params={"metric": "effective_rank", "reduce": "last"}).json()
    for row, streams in enumerate(STREAMS):
        for column, depth in enumerate(DEPTHS):
            alone = grid["spec"] | {"depth": depth, "connection": {"kind": "hc", "streams": streams}}
            posted = client.post("/runs", json=alone)
            assert posted.status_code == 200
            assert posted.json()["id"] == sweep["ids"][row][column] == values["ids"][row][column]
            layers = client.get(f"/runs/{posted.json()['id']}/result").json()["layers"]
            assert values["values"][row][column] == pytest.approx(max(layers["composite_gain_fwd"]), rel=1e-12)
            assert last["values"][row][column] == layers["effective_rank"][-1]
    # The same grid is the same sweep, and is computed once.
    again = client.post(SWEEP, json=grid)
    assert (again.status_code, again.json()["id"]) == (200, sweep["id"])


def test_one_field_is_enough_and_any_field_will_do(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    kinds = ["residual", "mhc", "hc"]
    body = client.post(SWEEP, json={"spec": fresh_spec(), "x": {"field": "connection.kind", "values": kinds}}).json()
    assert finish(client, body["id"])["counts"] == {"done": 3}
    found = client.get(f"{SWEEP}/{body['id']}/values").json()
    assert found["y"] is None
    (gains,) = found["values"]
    assert gains[0] == 1
    assert gains[1] == pytest.approx(1, abs=1e-5)
    assert gains[2] != pytest.approx(1, abs=1e-3)


def test_where_there_is_no_number_the_status_says_why(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(depth=250, connection={"kind": "hc", "streams": 8})
    body = client.post(SWEEP, json={"spec": spec, "x": {"field": "connection.noise", "values": [0.0, 10.0]}}).json()
    finish(client, body["id"])
    found = client.get(f"{SWEEP}/{body['id']}/values").json()
    assert found["status"] == [["done", "overflow"]]
    assert found["values"][0][1] is None
    assert found["log10"][0][1] > 308
    other = client.get(f"{SWEEP}/{body['id']}/values", params={"metric": "jacobian_sigma_max"}).json()
    assert other["status"] == [["absent", "absent"]]
    drawn = plotly.io.from_json(client.get(f"{SWEEP}/{body['id']}/figure").text)
    assert drawn.data[1].z[0][1] == found["log10"][0][1]
    assert drawn.layout.coloraxis.cmin == -drawn.layout.coloraxis.cmax, "a gain is coloured by its side of 1"


@pytest.mark.full
def test_what_a_killed_worker_computed_is_computed_again(
    lone_server: Server, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    grid = {"spec": fresh_spec(**SLOW), "x": {"field": "connection.noise", "values": [0.1, 0.2, 0.3]}}
    body = lone_client.post(SWEEP, json=grid).json()
    wait_until(lone_client, body["id"], is_running)
    os.kill(wait_for_worker(lone_server), signal.SIGKILL)
    assert finish(lone_client, body["id"])["counts"] == {"done": 3}


@pytest.mark.full
def test_a_run_in_between_waits_for_no_more_than_what_is_under_way(
    lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    body = lone_client.post(
        SWEEP, json={"spec": fresh_spec(**SLOW), "x": {"field": "connection.noise", "values": [0.1, 0.2, 0.3, 0.4]}}
    ).json()
    wait_until(lone_client, body["id"], is_running)
    compute(lone_client, fresh_spec())
    left = lone_client.get(f"{SWEEP}/{body['id']}").json()["counts"]
    assert left.get("held", 0) >= 1
    lone_client.delete(f"{SWEEP}/{body['id']}")


@pytest.mark.full
def test_cancel_and_go_on(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    grid = {"spec": fresh_spec(**SLOW), "x": {"field": "connection.noise", "values": [0.1, 0.2]}}
    body = lone_client.post(SWEEP, json=grid).json()
    wait_until(lone_client, body["id"], is_running)
    for _ in range(2):
        ended = lone_client.delete(f"{SWEEP}/{body['id']}").json()
        assert ended["counts"] == {"cancelled": 2}
    run = lone_client.get(f"/runs/{body['ids'][0][0]}")
    assert run.status_code == 404 or run.json()["status"] == "cancelled"
    assert lone_client.post(SWEEP, json=grid).status_code == 202
    assert finish(lone_client, body["id"])["counts"] == {"done": 2}


@pytest.mark.full
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_sweep_goes_on_after_a_restart(launch: StartServer, fresh_spec: FreshSpec, how: str) -> None:
    grid = {"spec": fresh_spec(**SLOW), "x": {"field": "connection.noise", "values": [0.1, 0.2, 0.3, 0.4]}}
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        sweep_id = http.post(SWEEP, json=grid).json()["id"]
        wait_until(http, sweep_id, lambda body: bool(body["counts"].get("done")))
    getattr(own, how)()
    with httpx.Client(base_url=launch("--workers", "1").api, timeout=60) as http:
        assert finish(http, sweep_id)["counts"] == {"done": 4}
        again = http.post(SWEEP, json=grid)
        assert (again.status_code, again.json()["id"]) == (200, sweep_id)


X = {"field": "depth", "values": [2, 4]}
BAD: dict[str, tuple[Any, str, str]] = {
    "no axis": ({"spec": {}}, "x", "required"),
    "no values": ({"x": {"field": "depth", "values": []}}, "x.values", "at least 1"),
    "an object for a value": ({"x": {"field": "depth", "values": [{}]}}, "depth", "integer"),
    "a wrong part": ({"x": {"field": "connection", "values": [{"kind": "hcc"}]}}, "connection.kind", "mhc"),
    "a text": ({"x": {"field": "depth", "values": "24"}}, "x.values", "a list"),
    "unknown key": ({"x": X, "z": X}, "z", "no field of this name"),
    "unknown field": ({"x": {"field": "dept", "values": [1]}}, "dept", "depth"),
    "unknown field inside": ({"x": {"field": "connection.n", "values": [1]}}, "connection.n", "streams"),
    "below a leaf": ({"x": {"field": "depth.x", "values": [1]}}, "depth", "integer"),
    "a fraction": ({"x": {"field": "depth", "values": [2, 2.5]}}, "depth", "integer"),
    "out of range": ({"x": {"field": "depth", "values": [2, 2000]}}, "depth", "1024"),
    "one cell alone": (
        {"spec": {"connection": {"kind": "kromhc"}}, "x": X, "y": {"field": "connection.streams", "values": [2, 3]}},
        "connection.streams",
        "power of two",
    ),
    "the base": ({"spec": {"width": "x"}, "x": X}, "width", "integer"),
    "one field twice": ({"x": X, "y": X}, "y.field", "another field"),
    "one value twice": ({"x": {"field": "depth", "values": [2, 4, 2]}}, "x.values.2", "once"),
    "too many cells": (
        {"x": {"field": "depth", "values": list(range(1, 30))}, "y": {"field": "seed", "values": list(range(10))}},
        "x.values",
        "at most 256 cells",
    ),
    "a cell too expensive": (
        {"spec": {"width": 4096, "input": {"batch": 64, "tokens": 1024}}, "x": {"field": "depth", "values": [2, 1024]}},
        "depth",
        "predicted",
    ),
}


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_grid_is_refused_by_name(client: httpx.Client, name: str) -> None:
    body, field, wanted = BAD[name]
    check_problem(client.post(SWEEP, json=body), 422, field, wanted)


def test_nan_is_refused_by_name(client: httpx.Client) -> None:
    body = b'{"x": {"field": "connection.noise", "values": [NaN]}}'
    check_problem(client.post(SWEEP, content=body), 422, "connection.noise", "finite")


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", BAD)
def test_the_estimate_refuses_in_the_same_words(client: httpx.Client, name: str) -> None:
    body = BAD[name][0]
    refused, estimated = (client.post(route, json=body).json() for route in (SWEEP, f"{SWEEP}/estimate"))
    # Workers that have just reported may have changed the predicted figures.
    assert [error["field"] for error in refused["errors"]] == [error["field"] for error in estimated["errors"]]


def test_the_estimate_is_that_of_all_cells_and_starts_nothing(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec()
    found = lone_client.post(f"{SWEEP}/estimate", json={"spec": spec, "x": X}).json()
    cells = [lone_client.post("/estimate", json=spec | {"depth": depth}).json() for depth in X["values"]]
    assert found == {"runs": 2, "seconds": pytest.approx(sum(cell["seconds"] for cell in cells)), "workers": 1}
    for cell in cells:
        assert lone_client.get(f"/runs/{cell['id']}").status_code == 404


def test_a_refused_grid_starts_nothing(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec()
    refused = client.post(SWEEP, json={"spec": spec, "x": {"field": "depth", "values": [4, 0]}})
    assert refused.status_code == 422
    good = client.post("/estimate", json=spec).json()["id"]
    assert client.get(f"/runs/{good}").status_code == 404


@pytest.mark.full
def test_limits_are_settings(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "GRID_CELLS=5", "MAX_GRID_SECONDS=0.001", ready="/livez")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        check_problem(http.post(SWEEP, json=build_grid(fresh_spec())), 422, "y.values", "at most 5 cells")
        small = {"spec": fresh_spec(), "x": X}
        check_problem(http.post(SWEEP, json=small), 422, "x.values", "at most 0.001 s of predicted time")


@pytest.mark.full
def test_sweeps_under_way_are_bounded(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    started = []
    try:
        for _ in range(4):
            grid = {"spec": fresh_spec(**SLOW), "x": {"field": "seed", "values": [1, 2]}}
            started.append(
                lone_client.post(SWEEP, json=grid | {"x": {"field": "width", "values": [32, 36]}}).json()["id"]
            )
        refused = lone_client.post(SWEEP, json={"spec": fresh_spec(**SLOW), "x": X})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
    finally:
        for sweep_id in started:
            lone_client.delete(f"{SWEEP}/{sweep_id}")


def test_questions_that_have_no_answer(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    body = client.post(SWEEP, json={"spec": fresh_spec(), "x": X}).json()
    for route in ("values", "figure"):
        url = f"{SWEEP}/{body['id']}/{route}"
        check_problem(client.get(url, params={"metric": "gain"}), 422, "metric", "composite_gain_fwd")
        check_problem(client.get(url, params={"reduce": "mean"}), 422, "reduce", "median")
        assert client.get(f"{SWEEP}/unknown/{route}").status_code == 404
    assert client.get(f"{SWEEP}/unknown").status_code == 404
    assert client.delete(f"{SWEEP}/unknown").status_code == 404
    finish(client, body["id"])
