"""Traces that grow while a model trains elsewhere: fed by index, through gaps, repeats, faults and a killed server."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from mhc_core.record.codec import encode_frame
from mhc_core.record.frames import AnyFrame
from tests.app.api.test_bodies import check_problem
from tests.conftest import Server, StartServer, start_server
from tests.core.conftest import build_spec, run_frames
from tests.ports import free_port
from tests.records import anonymise
from tests.traced import read_trace

OCTETS = {"content-type": "application/octet-stream"}
NDJSON = {"Accept": "application/x-ndjson"}
FLAGS = ("--no-precompute", "--workers", "1")
LIVE = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("live"), *FLAGS, f"MAX_LIVE_TRACES={LIVE}", ready="/livez")
    yield running
    running.kill()


def encode(frames: Sequence[AnyFrame], first: int = 0) -> list[bytes]:
    """Lines as the trainer has them, before it knows the id."""
    return [encode_frame(frame, "", first + index) for index, frame in enumerate(frames)]


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """A trace of one pass, whole."""
    return encode(read_trace().result.frames)


class Owner:
    """Who writes a live trace."""

    def __init__(self, http: httpx.Client, lines: list[bytes]) -> None:
        answer = http.post("/traces/live", content=b"".join(lines), headers=OCTETS)
        assert answer.status_code == 201, answer.text
        self.http, self.body = http, answer.json()
        self.id: str = self.body["id"]
        self.headers = {**OCTETS, "Authorization": f"Bearer {self.body['token']}"}

    def feed(self, index: int, lines: Sequence[bytes], **headers: str) -> httpx.Response:
        address = f"/traces/{self.id}/frames"
        return self.http.post(address, params={"index": index}, content=b"".join(lines), headers=self.headers | headers)

    def end(self, **how: Any) -> httpx.Response:
        body = {"status": "failed", "reason": "tested"} | how
        return self.http.post(
            f"/traces/{self.id}/end", json=body, headers={"Authorization": self.headers["Authorization"]}
        )

    def read(self) -> list[dict[str, Any]]:
        """What is stored; only of a trace that has ended does this come to an end."""
        answer = self.http.get(f"/runs/{self.id}/events", headers=NDJSON)
        return [json.loads(line) for line in answer.text.splitlines()]

    def status(self) -> str:
        status: str = self.http.get(f"/runs/{self.id}").json()["status"]
        return status


@pytest.fixture
def owner(http: httpx.Client, lines: list[bytes]) -> Iterator[Owner]:
    """A trace of which the start frame is there."""
    found = Owner(http, lines[:1])
    yield found
    found.end()


def test_a_trace_grows_and_becomes_a_run_like_any_other(owner: Owner, lines: list[bytes], server: Server) -> None:
    assert owner.body["url"] == f"{server.url}/#v=1&runs=trace&A.trace={owner.id}"
    assert (owner.body["due"], owner.status()) == (1, "running")
    for first in range(1, len(lines), 5):
        batch = lines[first : first + 5]
        assert owner.feed(first, batch).json() == {"id": owner.id, "status": "running", "due": first + len(batch)}
    assert owner.end(status="done", reason=None).json() == {"id": owner.id, "status": "done", "due": len(lines) + 1}
    frames = owner.read()
    assert [frame["index"] for frame in frames] == list(range(len(lines) + 1))
    assert {frame["run"] for frame in frames} == {owner.id}
    expected = [{**json.loads(line), "run": owner.id} for line in lines]
    assert frames[:-1] == expected
    assert owner.http.get(f"/runs/{owner.id}/figures/gain").json()["data"]
    assert owner.http.get(f"/runs/{owner.id}").json()["summary"]["headline"]


@pytest.mark.full
def test_a_viewer_sees_it_grow(owner: Owner, lines: list[bytes]) -> None:
    """The stream stays open between observations, and a frame comes as soon as it is stored."""
    with owner.http.stream("GET", f"/runs/{owner.id}/events", headers=NDJSON) as stream:
        rows = stream.iter_lines()
        assert json.loads(next(rows))["type"] == "start"
        for index in (1, 2, 3):
            owner.feed(index, [lines[index]])
            assert json.loads(next(rows))["index"] == index
        owner.end(status="failed", reason="stopped by hand")
        assert json.loads(next(rows)) | {"run": ""} == {
            "run": "", "index": 4, "type": "end", "status": "failed", "reason": "stopped by hand",
        }  # fmt: skip
        assert list(rows) == []


@pytest.mark.full
def test_what_is_there_is_passed_over(owner: Owner, lines: list[bytes]) -> None:
    assert owner.feed(1, lines[1:4]).json()["due"] == 4
    assert owner.feed(1, lines[1:4]).json()["due"] == 4
    assert owner.feed(0, lines[:6]).json()["due"] == 6
    assert owner.feed(2, []).json()["due"] == 6
    owner.end()
    assert [frame["index"] for frame in owner.read()] == list(range(7))


def test_a_gap_is_refused_with_what_is_due(owner: Owner, lines: list[bytes]) -> None:
    answer = owner.feed(3, lines[3:5])
    problem = check_problem(answer, 409, "index", "1")
    assert (problem["due"], problem["type"]) == (1, "/docs#problem-gap")
    assert owner.feed(1, lines[1:5]).json()["due"] == 5


def test_a_batch_is_taken_whole_or_not_at_all(owner: Owner, lines: list[bytes]) -> None:
    broken = lines[4].replace(b'"act_rms":', b'"karma":', 1)
    check_problem(owner.feed(1, [*lines[1:4], broken]), 422, "frames[4].values.karma", "metric of forward")
    assert owner.feed(1, lines[1:6]).json()["due"] == 6, "what the broken batch began is forgotten"
    check_problem(owner.feed(6, lines[7:8]), 422, "frames[6].index", "6")
    check_problem(owner.feed(6, [b"frames\n"]), 422, "frames[6]", "JSON")


@pytest.mark.full
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic x", "Bearer " + "a" * 32])
def test_only_its_owner_writes(authorization: str, owner: Owner, lines: list[bytes]) -> None:
    answer = owner.feed(1, lines[1:2], Authorization=authorization)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    ended = owner.http.post(
        f"/traces/{owner.id}/end", json={"status": "done"}, headers={"Authorization": authorization}
    )
    assert ended.status_code == 401
    assert (owner.status(), owner.http.get(f"/runs/{owner.id}").json()["frames"]) == ("running", 1)


@pytest.mark.full
def test_a_token_is_nowhere_stored(owner: Owner, server: Server) -> None:
    token = owner.body["token"].encode()
    files = [path for path in server.data.iterdir() if path.is_file()]
    assert any(owner.id.encode() in path.read_bytes() for path in files)
    assert not any(token in path.read_bytes() for path in files)


@pytest.mark.full
def test_an_unknown_trace_is_not_found(owner: Owner, lines: list[bytes]) -> None:
    answer = owner.http.post("/traces/nothing/frames?index=0", content=lines[0], headers=owner.headers)
    assert answer.status_code == 404


@pytest.mark.full
def test_a_posted_trace_cannot_be_fed(owner: Owner, lines: list[bytes], server: Server) -> None:
    link = read_trace().result.publish(server.url)
    address = f"/traces/{link.rpartition('=')[2]}/frames?index=1"
    assert owner.http.post(address, content=lines[1], headers=owner.headers).status_code == 404


@pytest.mark.full
@pytest.mark.parametrize("body", [b"", b"\n", b"{}", b"[]", b"frames"])
def test_what_does_not_begin_with_a_start_frame_begins_nothing(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/traces/live", content=body, headers=OCTETS)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("frames")


@pytest.mark.full
def test_a_run_is_no_live_trace(http: httpx.Client) -> None:
    answer = http.post("/traces/live", content=encode(run_frames(build_spec())[:1])[0], headers=OCTETS)
    check_problem(answer, 422, "frames[0].source", "/runs")


@pytest.mark.full
def test_a_trace_that_is_not_whole_is_not_done(owner: Owner, lines: list[bytes]) -> None:
    owner.feed(1, lines[1:5])
    check_problem(owner.end(status="done", reason=None), 422, "frames", "whole record")
    check_problem(owner.end(status="lost"), 422, "status", "")
    check_problem(owner.end(reason="\x1b[2J"), 422, "reason", "control")
    assert owner.status() == "running"


@pytest.mark.full
def test_an_end_among_the_lines_ends_it(owner: Owner, lines: list[bytes]) -> None:
    end = b'{"run":"","index":24,"type":"end","status":"done","reason":null}\n'
    assert owner.feed(1, [*lines[1:], end]).json() == {"id": owner.id, "status": "done", "due": len(lines) + 1}
    assert owner.read()[-1]["status"] == "done"
    assert owner.feed(1, [*lines[1:], end]).json()["due"] == len(lines) + 1, "sent again, as no answer came"


@pytest.mark.full
def test_a_trace_that_has_ended_takes_nothing_more(owner: Owner, lines: list[bytes]) -> None:
    owner.end(status="failed", reason="out of memory")
    answer = owner.feed(2, lines[2:4])
    assert (answer.status_code, answer.json()["type"]) == (409, "/docs#problem-has-ended")
    again = owner.end(status="failed", reason="another")
    assert (again.status_code, again.json()["status"]) == (200, "failed")
    assert owner.read()[-1]["reason"] == "out of memory"


@pytest.mark.full
def test_one_more_than_are_allowed_is_refused(http: httpx.Client, lines: list[bytes]) -> None:
    owners = [Owner(http, lines[:1]) for _ in range(LIVE)]
    refused = http.post("/traces/live", content=lines[0], headers=OCTETS)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    for owner in owners:
        owner.end()
    Owner(http, lines[:1]).end()


@pytest.mark.full
def test_a_body_above_the_limit_is_refused(owner: Owner) -> None:
    check_problem(owner.feed(1, [b" " * (2**24 + 1)]), 413, "body", "at most")


@pytest.mark.full
def test_others_cannot_end_it(owner: Owner) -> None:
    """DELETE is for runs that are computed here."""
    owner.http.delete(f"/runs/{owner.id}")
    assert owner.status() == "running"


@pytest.mark.full
def test_a_trace_without_news_fails(launch: StartServer, lines: list[bytes]) -> None:
    server = launch("--workers", "1", "LIVE_TRACE_S=1", ready="/livez")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        silent, heard = Owner(http, lines[:1]), Owner(http, lines[:1])
        until, index = time.monotonic() + 2.5, 1
        while time.monotonic() < until:
            heard.feed(index, lines[index : index + 1])
            index = min(index + 1, 5)
            time.sleep(0.2)
        assert (silent.status(), heard.status()) == ("failed", "running")
        assert "no frame was received" in silent.read()[-1]["reason"]
        assert silent.feed(1, lines[1:2]).status_code == 409


@pytest.mark.full
def test_a_killed_server_goes_on_where_it_was(launch: StartServer, lines: list[bytes]) -> None:
    """The owner repeats what it has no answer for; the trace comes out whole, each frame once."""
    port = free_port()
    first = launch("--workers", "1", port=port, ready="/livez")
    with httpx.Client(base_url=first.api, timeout=60) as http:
        owner = Owner(http, lines[:1])
        owner.feed(1, lines[1:9])
        first.kill()
        with pytest.raises(httpx.TransportError):
            owner.feed(9, lines[9:12])
        launch("--workers", "1", port=port, ready="/livez")
        assert owner.status() == "running"
        assert owner.feed(12, lines[12:]).json()["due"] == 9
        check_problem(owner.feed(9, [lines[9].replace(b'"cka"', b'"karma"', 1)]), 422, "frames[9].cka", "")
        assert owner.feed(5, lines[5:]).json()["due"] == len(lines)
        assert owner.end(status="done", reason=None).json()["status"] == "done"
        assert [frame["index"] for frame in owner.read()] == list(range(len(lines) + 1))
        assert owner.http.get(f"/runs/{owner.id}/result").json()["layers"]["act_rms"]


def test_a_trained_record_grows_step_by_step(http: httpx.Client) -> None:
    """Frames of training, as a monitor sends them: steps without end, then the last pass once more."""
    frames = anonymise(run_frames(build_spec(train={"steps": 4})))
    lines = encode(frames)
    steps = [index for index, frame in enumerate(frames) if frame.type == "step"]
    owner = Owner(http, lines[: steps[0]])
    for index in steps:
        assert owner.feed(index, lines[index : index + 1]).json()["due"] == index + 1
    assert owner.feed(steps[-1] + 1, lines[steps[-1] + 1 :]).json()["due"] == len(lines)
    owner.end(status="done", reason=None)
    assert [frame["type"] for frame in owner.read()].count("step") == len(steps)
