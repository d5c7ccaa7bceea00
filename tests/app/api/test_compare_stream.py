"""A comparison that is started and followed by one request: the stream that the answer to its POST goes on as."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.api.test_bodies import check_problem
from tests.app.api.test_stream import NDJSON, frames_of
from tests.app.edge.sockets import build, connect
from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, StartServer, compute, read_sse

SSE = {"Accept": "text/event-stream"}
FreshSpec = Callable[..., dict[str, Any]]
SECONDS = {"seconds_low", "seconds_likely", "seconds_high"}


def compare(base: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    """Specs that differ in their connection."""
    return [base | {"connection": {"kind": kind}} for kind in kinds]


def split(text: str) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """What the POST did, which comes first, and the frames by run."""
    first, *_ = read_sse(text)
    assert first["event"] == "submitted"
    frames: dict[str, list[str]] = {}
    for event in frames_of(text):
        frames.setdefault(json.loads(event["data"])["run"], []).append(event["data"])
    return json.loads(first["data"]), frames


def test_the_answer_goes_on_with_every_frame(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    specs = compare(fresh_spec(depth=24), "residual", "hc", "mhc")
    answer = client.post("/runs/compare", json=specs, headers=SSE)
    assert (answer.status_code, answer.headers["content-type"]) == (202, "text/event-stream; charset=utf-8")
    submitted, frames = split(answer.text)
    assert [run["id"] for run in submitted] == [run["id"] for run in client.post("/runs/compare", json=specs).json()]
    for run in submitted:
        assert frames[run["id"]] == client.get(f"/runs/{run['id']}/events", headers=NDJSON).text.splitlines()
    again = client.post("/runs/compare", json=specs, headers=SSE)
    assert again.status_code == 200
    assert split(again.text)[1] == frames


@pytest.mark.full
def test_an_id_of_an_event_resumes_the_other_stream(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    specs = compare(fresh_spec(depth=24), "residual", "mhc")
    text = client.post("/runs/compare", json=specs, headers=SSE).text
    events = frames_of(text)
    half = len(events) // 2
    params = {"ids": ",".join(run["id"] for run in split(text)[0]), "after": events[half]["id"]}
    rest = frames_of(client.get("/runs/events", params=params).text)
    assert sorted(event["data"] for event in rest) == sorted(event["data"] for event in events[half + 1 :])


@pytest.mark.full
def test_frames_that_the_caller_has_are_left_out(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    base = fresh_spec()
    known = compute(client, compare(base, "hc")[0])
    submitted, frames = split(
        client.post("/runs/compare", json=compare(base, "hc", "mhc"), headers=SSE, params={"have": known}).text
    )
    assert submitted[0]["id"] == known
    assert list(frames) == [submitted[1]["id"]]


@pytest.mark.full
def test_what_takes_too_long_is_told_and_nothing_follows(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    answer = client.post("/runs/compare", json=[fresh_spec()], headers=SSE, params={"limit_s": 1e-9})
    submitted, frames = split(answer.text)
    assert (answer.status_code, submitted[0]["status"], frames) == (200, "unstarted", {})


@pytest.mark.parametrize("headers", [{}, SSE])
def test_a_comparison_says_what_its_runs_cost(
    client: httpx.Client, fresh_spec: FreshSpec, headers: dict[str, str]
) -> None:
    specs = compare(fresh_spec(), "residual", "mhc")
    estimates = [client.post("/estimate", json=spec).json() for spec in specs]
    for _ in ("new", "known"):
        answer = client.post("/runs/compare", json=specs, headers=headers)
        submitted = split(answer.text)[0] if headers else answer.json()
        for run, estimate in zip(submitted, estimates, strict=True):
            # What is expected as the machine is busy is learned meanwhile from other runs.
            told = {key: value for key, value in run["cost"].items() if not key.startswith("seconds_")}
            assert told == pytest.approx({key: estimate[key] for key in told})
            assert {*run["cost"]} - {*told} == SECONDS
            assert all(type(value) is type(estimate[key]) for key, value in run["cost"].items())
            assert {key for key, value in estimate.items() if type(value) is float} == {"seconds", *SECONDS}


def test_what_is_refused_is_no_stream(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    specs = [fresh_spec(), fresh_spec(depth=0)]
    check_problem(client.post("/runs/compare", json=specs, headers=SSE), 422, "1.depth", "")


@pytest.mark.full
def test_too_many_streams_start_nothing(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "MAX_STREAMS=1", ready="/livez")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        spec, long = fresh_spec(), fresh_spec(**LONG)
        with http.stream("POST", "/runs/compare", json=[long], headers=SSE) as only:
            chunks = only.iter_raw()  # named, for a stream closes with its iterator
            assert next(chunks)
            refused = http.post("/runs/compare", json=[spec], headers=SSE)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
        assert http.post("/runs", json=spec).status_code == 202, "it was not known"


def post_and_leave(server: Server, specs: list[dict[str, Any]]) -> None:
    """Post a comparison, and close the connection before any of the answer can arrive."""
    body = json.dumps(specs).encode()
    headers = ["Accept: text/event-stream", f"Content-Length: {len(body)}"]
    with connect(server) as sock:
        sock.sendall(build("POST", "/api/v1/runs/compare", headers, body))


def read_gauges(server: Server) -> dict[str, int]:
    """Return how many runs wait, how many are computed, and how many streams are open."""
    body = httpx.get(f"{server.url}/readyz", timeout=60).json()
    return {name: body[name] for name in ("waiting", "running", "streams")}


@pytest.mark.full
def test_runs_of_clients_that_disconnect_at_once_are_not_computed(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    for _ in range(60):
        post_and_leave(own, compare(fresh_spec(depth=128, width=64), "residual", "hc", "mhc"))
    deadline = time.monotonic() + 20
    while any((gauges := read_gauges(own)).values()):
        assert time.monotonic() < deadline, gauges
        time.sleep(0.1)
    assert "Traceback" not in own.log.read_text()


@pytest.mark.full
def test_pending_submissions_take_no_place_of_a_stream(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "MAX_STREAMS=2")
    with contextlib.closing(sqlite3.connect(own.data / "mhc-scope.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # so that submissions wait
        for _ in range(8):
            post_and_leave(own, [fresh_spec(**LONG)])
        time.sleep(0.3)
        with connect(own) as sock:
            body = json.dumps([fresh_spec()]).encode()
            headers = ["Accept: text/event-stream", f"Content-Length: {len(body)}"]
            sock.sendall(build("POST", "/api/v1/runs/compare", headers, body))
            time.sleep(0.3)
            other.execute("ROLLBACK")
            answer = sock.recv(2**16)
    assert answer.startswith(b"HTTP/1.1 202 "), answer
