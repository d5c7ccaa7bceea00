"""Frames: the same bytes live, afterwards, and in two halves; computed once, watched by many."""

import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import brotli
import httpx
import pytest

from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, StartServer, compute, read_sse, wait_for_end

NDJSON = {"Accept": "application/x-ndjson"}
FreshSpec = Callable[..., dict[str, Any]]


def frames_of(text: str) -> list[dict[str, str]]:
    """Logged events: those with an id."""
    return [event for event in read_sse(text) if "id" in event]


def test_live_replay_and_two_halves_are_the_same_bytes(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(depth=48)).json()["id"]
    live = frames_of(client.get(f"/runs/{run_id}/events").text)
    replay = frames_of(client.get(f"/runs/{run_id}/events").text)
    assert live == replay
    assert len(live) > 100

    cut = len(live) // 2
    first: list[dict[str, str]] = []
    with client.stream("GET", f"/runs/{run_id}/events") as stream:
        received = ""
        for piece in stream.iter_text():
            received += piece
            first = frames_of(received[: received.rindex("\n\n") + 2])[: cut + 1]
            if len(first) > cut:
                break
    for second in (
        client.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": str(cut)}),
        client.get(f"/runs/{run_id}/events", params={"after": cut}),
    ):
        assert first + frames_of(second.text) == live

    lines = client.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines()
    assert lines == [event["data"] for event in live]
    assert [int(event["id"]) for event in live] == list(range(len(live)))


@pytest.mark.full
def test_a_cut_in_a_live_stream_loses_nothing(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(depth=256, width=64)).json()["id"]
    with client.stream("GET", f"/runs/{run_id}/events", headers=NDJSON) as stream:
        lines = stream.iter_lines()
        first = [next(lines) for _ in range(20)]
    status = client.get(f"/runs/{run_id}").json()["status"]
    second = client.get(f"/runs/{run_id}/events", params={"after": 19}, headers=NDJSON).text.splitlines()
    whole = client.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines()
    assert status == "running"
    assert first + second == whole


def build_unpacker(coding: str) -> Callable[[bytes], bytes]:
    """Return a function that decompresses the chunks of a stream one by one."""
    return zlib.decompressobj(wbits=31).decompress if coding == "gzip" else brotli.Decompressor().process


@pytest.mark.full
@pytest.mark.parametrize(("accept", "coding"), [({}, "gzip"), ({}, "br"), (NDJSON, "gzip")])
def test_a_compressed_stream_is_the_same_and_waits_for_nothing(
    client: httpx.Client, fresh_spec: FreshSpec, accept: dict[str, str], coding: str
) -> None:
    run_id = client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    url = f"/runs/{run_id}/events"
    unpack = build_unpacker(coding)
    with client.stream("GET", url, headers=accept | {"Accept-Encoding": coding}) as stream:
        assert stream.headers["content-encoding"] == coding
        chunks = stream.iter_raw()
        text = ""
        while '"type":"start"' not in text:  # readable while the run goes on and much is still to come
            text += unpack(next(chunks)).decode()
    assert client.get(f"/runs/{run_id}").json()["status"] == "running"
    client.delete(f"/runs/{run_id}")
    packed, plain = (
        client.get(url, headers=accept | {"Accept-Encoding": encoding}) for encoding in (coding, "identity")
    )
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert packed.num_bytes_downloaded < plain.num_bytes_downloaded


@pytest.mark.full
@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_compressed_stream_holds_nothing_back(lone_client: httpx.Client, fresh_spec: FreshSpec, coding: str) -> None:
    first, second = (lone_client.post("/runs", json=fresh_spec(**LONG)).json()["id"] for _ in range(2))
    unpack = build_unpacker(coding)
    with lone_client.stream("GET", f"/runs/{second}/events", headers={"Accept-Encoding": coding}) as stream:
        chunks = stream.iter_raw()
        text = ""
        while "event: status" not in text:  # a hundred bytes, far fewer than a compressor gathers by itself
            text += unpack(next(chunks)).decode()
    assert lone_client.get(f"/runs/{second}").json()["position"] == 1
    for run_id in (second, first):
        lone_client.delete(f"/runs/{run_id}")


def test_frames_come_in_the_order_of_the_contract(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(depth=3))
    events = frames_of(client.get(f"/runs/{run_id}/events").text)
    frames = [json.loads(event["data"]) for event in events]
    assert [event["event"] for event in events] == [frame["type"] for frame in frames]
    assert all(frame["run"] == run_id for frame in frames)
    order = list(dict.fromkeys(frame["type"] for frame in frames))
    assert order == ["start", "forward", "similarity", "loss", "backward", "mixing", "summary", "end"]
    assert [f["layer"] for f in frames if f["type"] == "forward"] == [-1, 0, 1, 2]
    assert [f["layer"] for f in frames if f["type"] == "backward"] == [2, 1, 0, -1]
    assert frames[-1]["status"] == "done"
    assert frames[-1]["reason"] is None


@pytest.mark.full
def test_twenty_viewers_share_one_computation(server: Server, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    before = _count_frames(server)
    spec = fresh_spec(depth=128)
    gate = threading.Barrier(20)

    def watch(_: int) -> tuple[int, str]:
        with httpx.Client(base_url=server.api, timeout=60) as http:
            gate.wait()
            posted = http.post("/runs", json=spec)
            stream = http.get(f"/runs/{posted.json()['id']}/events", headers=NDJSON)
            return posted.status_code, stream.text

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(watch, range(20)))
    assert sorted(status for status, _ in answers) == [200] * 19 + [202]
    assert len({text for _, text in answers}) == 1
    frames = answers[0][1].splitlines()
    assert _count_frames(server) - before == len(frames) - 1  # `end` is not computed


@pytest.mark.full
def test_a_slow_viewer_holds_nobody_back(server: Server, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(depth=256, width=64)).json()["id"]
    with client.stream("GET", f"/runs/{run_id}/events"):  # opened, never read
        started = time.monotonic()
        with httpx.Client(base_url=server.api, timeout=60) as other:
            assert wait_for_end(other, run_id)["status"] == "done"
        assert time.monotonic() - started < 20


def test_several_runs_on_one_connection(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    base = fresh_spec(depth=24)
    specs = [base | {"connection": {"kind": kind}} for kind in ("residual", "hc", "mhc")]
    posted = client.post("/runs/compare", json=specs)
    assert posted.status_code == 202
    ids = [run["id"] for run in posted.json()]
    text = client.get("/runs/events", params={"ids": ",".join(ids)}).text
    events, last = frames_of(text), {}
    for index, run_id in enumerate(ids):
        own = [event["data"] for event in events if json.loads(event["data"])["run"] == run_id]
        assert own == client.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines()
        last[run_id] = len(own) - 1
        assert int(events[-1]["id"].split(",")[index]) == last[run_id]

    cut = events[len(events) // 2]["id"]
    for headers, after in (({"Last-Event-ID": cut}, {}), ({}, {"after": cut})):
        params = {"ids": ",".join(ids)} | after
        rest = frames_of(client.get("/runs/events", params=params, headers=headers).text)
        seen = {run_id: int(k) for run_id, k in zip(ids, cut.split(","), strict=True)}
        frames = [json.loads(event["data"]) for event in rest]
        for run_id in ids:
            indices = [frame["index"] for frame in frames if frame["run"] == run_id]
            assert indices == list(range(seen[run_id] + 1, last[run_id] + 1))
    assert client.post("/runs/compare", json=specs).status_code == 200


def test_nothing_left_to_send_is_204(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec())
    last = client.get(f"/runs/{run_id}").json()["frames"] - 1
    answer = client.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": str(last)})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.sample(3)
@pytest.mark.parametrize("after", ["x", "1,2", "-2", "1.5", ",", "9" * 30])
def test_a_bad_cursor_is_refused_before_the_stream(client: httpx.Client, fresh_spec: FreshSpec, after: str) -> None:
    run_id = compute(client, fresh_spec())
    answer = client.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": after})
    check_problem(answer, 422, "after", "frame indices")


@pytest.mark.sample(2)
@pytest.mark.parametrize("ids", ["", "unknown", "a,a", ",".join("abcdefghi")])
def test_bad_ids_are_refused_before_the_stream(client: httpx.Client, ids: str) -> None:
    answer = client.get("/runs/events", params={"ids": ids})
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.full
def test_who_waits_is_told_the_place(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    http = lone_client
    first = http.post("/runs", json=fresh_spec(depth=480, width=64)).json()["id"]  # it still runs when the third waits
    second = http.post("/runs", json=fresh_spec(depth=160, width=64)).json()
    third = http.post("/runs", json=fresh_spec()).json()
    assert (second["status"], second["position"]) == ("queued", 1)
    assert (third["status"], third["position"]) == ("queued", 2)
    shown = http.get(f"/runs/{third['id']}").json()
    assert shown["position"] == 2
    assert re.fullmatch(
        r"Place 2 of 2: 1 run is being computed, and those ahead of it need about [\d.]+ s; clients that used less "
        r"lately come first\.",
        shown["wait"],
    )
    assert http.get(f"/runs/{first}").json()["wait"] is None
    text = http.get(f"/runs/{third['id']}/events").text
    told = [json.loads(event["data"]) for event in read_sse(text) if event.get("event") == "status"]
    assert [status["position"] for status in told[:2]] == [2, 1]
    assert told[0] == {"run": third["id"], "status": "queued", "position": 2}
    assert ": heartbeat" in text
    assert wait_for_end(http, first)["status"] == "done"


@pytest.mark.full
def test_too_many_streams_are_refused(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "MAX_STREAMS=2", ready="/livez")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = http.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        url = f"/runs/{run_id}/events"
        with http.stream("GET", url) as one, http.stream("GET", url) as two:
            chunks = [one.iter_raw(), two.iter_raw()]  # named, for a stream closes with its iterator
            assert all(next(chunk) for chunk in chunks)
            refused = http.get(url)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0


def _count_frames(server: Server) -> int:
    frames: int = httpx.get(f"{server.url}/readyz").json()["frames_stored"]
    return frames
