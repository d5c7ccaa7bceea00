"""The mixing of an interval of layers, multiplied, over HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core.record import codec
from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import LONG
from tests.conftest import compute

FreshSpec = Callable[..., dict[str, Any]]
DEPTH = 6


@pytest.fixture(scope="module")
def run_id(server: Any) -> str:
    spec = {"depth": DEPTH, "width": 16, "seed": 4243, "connection": {"kind": "hc"}, "input": {"tokens": 16}}
    with httpx.Client(base_url=server.api, timeout=30) as http:
        return compute(http, spec)


def multiply(client: httpx.Client, run_id: str, first: int, last: int) -> np.ndarray:
    """H_last ... H_first of the run's own matrices."""
    stored = client.get(f"/runs/{run_id}/result?arrays=packed").json()["matrices"]["h_res"]
    total: np.ndarray = np.eye(4)
    for matrix in codec.from_typed_array(stored).astype(float)[first : last + 1]:
        total = matrix @ total
    return total


@pytest.mark.parametrize(("first", "last"), [(0, 5), (2, 4), (3, 3)])
def test_an_interval(client: httpx.Client, run_id: str, first: int, last: int) -> None:
    body = client.get(f"/runs/{run_id}/composite", params={"first": first, "last": last}).json()
    wanted = multiply(client, run_id, first, last)
    assert (body["run"], body["first"], body["last"], body["scale_log10"]) == (run_id, first, last, 0)
    np.testing.assert_allclose(body["matrix"], wanted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(body["row_sums"], wanted.sum(1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(body["col_sums"], wanted.sum(0), rtol=1e-12, atol=1e-14)
    forward, backward = abs(wanted.sum(1)).max(), abs(wanted.sum(0)).max()
    assert body["gain_fwd"]["value"] == pytest.approx(forward)
    assert body["gain_fwd"]["log10"] == pytest.approx(np.log10(forward))
    assert body["gain_bwd"]["value"] == pytest.approx(backward)
    error = max(abs(wanted.sum(1) - 1).max(), abs(wanted.sum(0) - 1).max(), -wanted.min())
    assert body["ds_error"]["value"] == pytest.approx(error)


def test_without_an_interval_it_is_the_whole_stack(client: httpx.Client, run_id: str) -> None:
    body = client.get(f"/runs/{run_id}/composite").json()
    assert (body["first"], body["last"]) == (0, DEPTH - 1)
    layers = client.get(f"/runs/{run_id}/result").json()["layers"]
    assert body["gain_fwd"]["value"] == pytest.approx(layers["composite_gain_fwd"][-1], rel=1e-5)
    assert body["gain_bwd"]["value"] == pytest.approx(layers["composite_gain_bwd"][0], rel=1e-5)
    assert body["sigma2"]["value"] == pytest.approx(layers["composite_sigma2"][-1], rel=1e-5)


@pytest.mark.full
def test_beyond_float64_the_matrix_is_scaled(client: httpx.Client) -> None:
    spec = {"depth": 512, "width": 16, "seed": 7, "connection": {"kind": "hc", "noise": 10.0}, "input": {"tokens": 16}}
    run_id = compute(client, spec)
    body = client.get(f"/runs/{run_id}/composite").json()
    assert body["gain_fwd"]["value"] is None
    assert body["gain_fwd"]["log10"] > 308
    row = np.abs(body["row_sums"]).max()
    assert np.log10(row) + body["scale_log10"] == pytest.approx(body["gain_fwd"]["log10"])
    assert body["ds_error"] == {"value": None, "log10": None}


def test_one_stream_has_no_differences(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "residual"}))
    body = client.get(f"/runs/{run_id}/composite").json()
    assert body["matrix"] == [[1]]
    assert body["sigma2"] is None
    assert body["ds_error"] == {"value": 0, "log10": None}


def test_a_connection_without_h_res_is_refused(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "attnres"}))
    problem = check_problem(client.get(f"/runs/{run_id}/composite"), 409, "connection", "H_res")
    assert problem["title"] == "Not available for this run"


def test_bad_intervals_are_refused(client: httpx.Client, run_id: str, fresh_spec: FreshSpec) -> None:
    url = f"/runs/{run_id}/composite"
    check_problem(client.get(url, params={"last": DEPTH}), 422, "last", f"0 to {DEPTH - 1}")
    check_problem(client.get(url, params={"first": -1}), 422, "first", f"0 to {DEPTH - 1}")
    check_problem(client.get(url, params={"first": 3, "last": 2}), 422, "first", "0 to 2")
    check_problem(client.get(url, params={"first": "x"}), 422, "first", "integer")
    assert client.get("/runs/unknown/composite").status_code == 404
    waiting = client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    assert client.get(f"/runs/{waiting}/composite").status_code == 409
    client.delete(f"/runs/{waiting}")
