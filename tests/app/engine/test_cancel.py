"""Cancelling: fast, idempotent, and not over the heads of others who watch."""

import json
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import Server, compute, wait_for_end

FreshSpec = Callable[..., dict[str, Any]]
CANCEL_S = 0.25
# Some seconds long, quick to start, quick from layer to layer; admitted by the default limits.
LONG = {"depth": 512, "width": 32, "input": {"batch": 16, "tokens": 128}}


def start_long(http: httpx.Client, spec: dict[str, Any]) -> str:
    """Start a long run and return once its first layers are out."""
    run_id: str = http.post("/runs", json=spec).json()["id"]
    while http.get(f"/runs/{run_id}").json()["frames"] < 4:
        time.sleep(0.01)
    return run_id


def time_cancel(http: httpx.Client, run_id: str) -> float:
    """Seconds from DELETE to its answer, by when the run has ended."""
    started = time.monotonic()
    answer = http.delete(f"/runs/{run_id}").json()
    took = time.monotonic() - started
    assert answer["status"] == "cancelled"
    assert wait_for_end(http, run_id)["status"] == "cancelled"
    return took


@pytest.mark.full
def test_cancel_within_the_promise(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    took = [time_cancel(client, start_long(client, fresh_spec(**LONG))) for _ in range(3)]
    assert statistics.median(took) < CANCEL_S, took


@pytest.mark.full
def test_a_worker_that_answers_late_is_kept_and_not_waited_for(
    lone_client: httpx.Client, lone_server: Server, fresh_spec: FreshSpec
) -> None:
    run_id = start_long(lone_client, fresh_spec(**LONG))
    (worker,) = lone_server.worker_pids()
    os.kill(worker, signal.SIGSTOP)  # as silent as in the middle of a layer that takes long
    assert time_cancel(lone_client, run_id) < 1
    os.kill(worker, signal.SIGCONT)
    compute(lone_client, fresh_spec())
    assert lone_server.worker_pids() == [worker]


@pytest.mark.full
def test_a_worker_that_does_not_answer_is_killed(
    lone_client: httpx.Client, lone_server: Server, fresh_spec: FreshSpec
) -> None:
    run_id = start_long(lone_client, fresh_spec(**LONG))
    (worker,) = lone_server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    assert time_cancel(lone_client, run_id) < 1
    compute(lone_client, fresh_spec())  # on a replacement
    assert worker not in lone_server.worker_pids()


def test_cancel_is_idempotent_and_leaves_a_finished_run(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = start_long(client, fresh_spec(**LONG))
    answers = [client.delete(f"/runs/{run_id}") for _ in range(3)]
    assert [answer.json()["status"] for answer in answers] == ["cancelled"] * 3
    done = client.post("/runs", json=fresh_spec()).json()["id"]
    wait_for_end(client, done)
    assert client.delete(f"/runs/{done}").json()["status"] == "done"
    assert client.delete("/runs/unknown").status_code == 404


@pytest.mark.full
def test_a_cancelled_spec_starts_again(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(**LONG)
    run_id = start_long(client, spec)
    assert client.delete(f"/runs/{run_id}").json()["status"] == "cancelled"
    again = client.post("/runs", json=spec)
    assert again.status_code == 202
    assert again.json()["id"] == run_id
    assert wait_for_end(client, run_id)["status"] == "done"
    text = client.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert client.post("/runs", json=spec).status_code == 200


@pytest.mark.full
def test_a_run_that_waits_is_cancelled_in_the_queue(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    first = start_long(lone_client, fresh_spec(**LONG))
    second = lone_client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    third = lone_client.post("/runs", json=fresh_spec()).json()["id"]
    assert lone_client.delete(f"/runs/{second}").json()["status"] == "cancelled"
    assert lone_client.get(f"/runs/{third}").json()["position"] == 1
    lone_client.delete(f"/runs/{first}")
    assert wait_for_end(lone_client, third)["status"] == "done"


@pytest.mark.full
@pytest.mark.parametrize(("viewer", "status"), [("me", "cancelled"), ("other", "running")])
def test_streams_of_others_keep_a_run_going(
    client: httpx.Client, server: Server, fresh_spec: FreshSpec, viewer: str, status: str
) -> None:
    run_id = start_long(client, fresh_spec(**LONG))
    with (
        httpx.Client(base_url=server.api) as second,
        second.stream("GET", f"/runs/{run_id}/events", params={"viewer": viewer}) as stream,
    ):
        chunks = stream.iter_raw()  # named, for the stream closes with it
        next(chunks)
        answer = client.delete(f"/runs/{run_id}", params={"viewer": "me"}).json()
        assert answer["status"] == status
        assert answer["watchers"] == (viewer != "me")
    if status == "running":
        deadline = time.monotonic() + 2
        while client.delete(f"/runs/{run_id}").json()["status"] != "cancelled":
            assert time.monotonic() < deadline, "the closed stream still counts"
            time.sleep(0.02)


@pytest.mark.full
def test_a_cancelled_run_that_waits_again_has_no_end(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec, other = fresh_spec(**LONG), fresh_spec(**LONG)
    run_id = start_long(lone_client, spec)
    lone_client.delete(f"/runs/{run_id}")
    busy = start_long(lone_client, other)
    assert lone_client.post("/runs", json=spec).json()["status"] == "queued"
    with lone_client.stream("GET", f"/runs/{run_id}/events") as stream:
        lines = stream.iter_lines()  # closes the stream where nothing holds it
        found = next(line for line in lines if line.startswith("event: "))
    assert found == "event: status"
    for live in (run_id, busy):
        lone_client.delete(f"/runs/{live}")
