"""What a spec may cost, how many may wait, and what the estimate says beforehand."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mhc_core.findings.numerals import format_value
from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import LONG
from tests.conftest import StartServer

FreshSpec = Callable[..., dict[str, Any]]
HUGE = {"depth": 1024, "width": 4096, "input": {"batch": 64, "tokens": 1024}}


def test_the_estimate_says_what_it_costs_and_that_it_is_admitted(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    estimate = client.post("/estimate", json=fresh_spec()).json()
    assert estimate["admitted"] is True
    assert estimate["errors"] == []
    for figure in ("parameters", "flops", "bytes_moved", "peak_bytes", "seconds"):
        assert estimate[figure] > 0
    # An estimate starts nothing: the id is known only once the spec is posted.
    assert client.get(f"/runs/{estimate['id']}").status_code == 404


def test_a_spec_that_costs_too_much_is_refused_with_the_figure(lone_client: httpx.Client) -> None:
    client = lone_client  # one worker has reported its rates; a second might in between
    estimate = client.post("/estimate", json=HUGE).json()
    assert estimate["admitted"] is False
    problem = client.post("/runs", json=HUGE).json()
    assert problem["status"] == 422
    assert problem["errors"] == estimate["errors"]
    slow = {error["field"] for error in problem["errors"] if "at most 60 s" in error["wanted"]}
    assert slow == {"depth", "width", "input.batch", "input.tokens"}
    seconds = f"{format_value(estimate['seconds'], digits=3)} s predicted"
    assert problem["errors"][0]["got"] == seconds
    assert seconds.removesuffix(" predicted") in problem["detail"]
    memory = [error for error in problem["errors"] if "memory" in error["wanted"]]
    assert memory[0]["got"] == f"{format_value(estimate['peak_bytes'] / 1e9, digits=3)} GB predicted"


@pytest.mark.full
def test_the_limit_is_a_setting(launch: StartServer) -> None:
    own = launch("--workers", "1", "--max-run-seconds", "0.001", ready="/livez")
    answer = httpx.post(f"{own.api}/runs", json={})
    check_problem(answer, 422, "depth", "at most 0.001 s")
    assert httpx.post(f"{own.api}/estimate", json={}).json()["admitted"] is False


def test_a_comparison_is_admitted_whole_or_not_at_all(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    small = fresh_spec()
    wide = small | {"width": 4096, "depth": 1024}
    assert client.post("/runs/compare", json=[small, wide]).status_code == 422
    small_id = client.post("/estimate", json=small).json()["id"]
    assert client.get(f"/runs/{small_id}").status_code == 404


@pytest.mark.full
def test_what_would_take_longer_than_asked_is_not_started(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    specs = [fresh_spec(), fresh_spec()]
    specs[1]["seed"] = specs[0]["seed"]
    specs[1]["connection"] = {"kind": "hc"}
    predicted_s = sum(client.post("/estimate", json=spec).json()["seconds"] for spec in specs)
    limit_s = predicted_s / 2  # less than both, more than the smaller of them
    answer = client.post("/runs/compare", json=specs, params={"limit_s": limit_s})
    assert answer.status_code == 200
    assert [run["status"] for run in answer.json()] == ["unstarted", "unstarted"]
    assert {client.get(f"/runs/{run['id']}").status_code for run in answer.json()} == {404}
    assert client.post("/runs/compare", json=specs, params={"limit_s": 10 * predicted_s}).status_code == 202
    # What is known takes no time, however little is allowed.
    assert client.post("/runs/compare", json=specs, params={"limit_s": limit_s}).status_code == 200


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "soon"])
def test_a_limit_of_time_is_a_positive_number(client: httpx.Client, fresh_spec: FreshSpec, limit: str) -> None:
    answer = client.post("/runs/compare", json=[fresh_spec()], params={"limit_s": limit})
    check_problem(answer, 422, "limit_s", "")


@pytest.mark.full
def test_the_queue_is_bounded(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "QUEUE_SIZE=2", ready="/livez")
    with httpx.Client(base_url=own.api, timeout=30) as http:
        accepted, refused = [], None
        for _ in range(4):
            spec = fresh_spec(**LONG)
            refused = http.post("/runs", json=spec)
            if refused.status_code != 202:
                break
            accepted.append((refused.json()["id"], spec))
        assert refused is not None
        assert refused.status_code == 503
        assert refused.json()["type"].endswith("queue-full")
        assert int(refused.headers["retry-after"]) > 0
        assert len(accepted) >= 2
        # What is known is not new, and may be asked for again.
        assert http.post("/runs", json=accepted[0][1]).status_code == 200
        # Room is made by cancelling.
        http.delete(f"/runs/{accepted[-1][0]}")
        assert http.post("/runs", json=fresh_spec()).status_code == 202
