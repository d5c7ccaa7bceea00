"""Traces by HTTP: what is posted is a run like any other, what is broken is refused by its field and not stored."""

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from mhc_core.figures import PANELS
from mhc_core.record.container import PublishError
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from tests.app.api.test_bodies import check_problem
from tests.broken_traces import BROKEN, build_with_atlas, pack, read_lines
from tests.conftest import Server, StartServer, start_server, wait_for_end
from tests.core.conftest import build_spec, run_frames
from tests.traced import Trace

OCTETS = {"content-type": "application/octet-stream"}
NDJSON = {"Accept": "application/x-ndjson"}
# Below the largest of the broken ones, above all that is whole.
MAX_BYTES = 30_000_000
TWO_GIGABYTES = 2_000_000_000
CHUNK = b"\0" * 2**20
FLAT_BYTES = 100_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes many traces; it computes nothing."""
    flags = ("--no-precompute", "--workers", "1", f"MAX_TRACE_BYTES={MAX_BYTES}")
    running = start_server(tmp_path_factory.mktemp("traces"), *flags, ready="/livez")
    yield running
    running.kill()


@pytest.fixture(scope="module")
def content(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file that `Result.save` writes of it."""
    path = tmp_path_factory.mktemp("saved") / "ours.mhct"
    trace.result.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def posted(http: httpx.Client, content: bytes) -> httpx.Response:
    """The answer to the first POST of the trace."""
    return http.post("/traces", content=content, headers=OCTETS)


def count_records(server: Server) -> int:
    """Runs and traces that are stored, by the server's own database: its metrics are a moment behind."""
    with closing(sqlite3.connect(server.data / "mhc-scope.db", timeout=30)) as database:
        (count,) = database.execute("select count(*) from runs").fetchone()
    return int(count)


def test_a_posted_trace_is_a_run_like_any_other(posted: httpx.Response, http: httpx.Client, trace: Trace) -> None:
    assert posted.status_code == 201, posted.text
    body = posted.json()
    assert (body["id"], body["frames"]) == (trace.id, len(trace.lines) + 1), "the id is a hash of the frames"
    run = http.get(f"/runs/{trace.id}").json()
    assert (run["status"], run["spec"], run["frames"]) == ("done", None, len(trace.lines) + 1)
    assert posted.headers["location"] == body["links"]["self"]
    lines = http.get(f"/runs/{trace.id}/events", headers=NDJSON).content.splitlines(keepends=True)
    assert lines[:-1] == trace.lines
    assert json.loads(lines[-1])["type"] == "end"
    layers = http.get(f"/runs/{trace.id}/result").json()["layers"]
    assert layers["act_rms"] == pytest.approx(trace.result.layers["act_rms"].tolist(), rel=1e-6)
    figures = http.get(f"/runs/{trace.id}/figures").json()
    assert {figure["key"] for figure in figures} == PANELS.keys()
    assert http.get(f"/runs/{trace.id}/figures/gain").json()["data"]


def test_a_trace_has_the_atlas_that_came_with_it(http: httpx.Client, posted: httpx.Response) -> None:
    sent = http.post("/traces", content=build_with_atlas(), headers=OCTETS)
    assert sent.status_code == 201, sent.text
    body = http.get(f"/runs/{sent.json()['id']}/atlas").json()
    assert (body["status"], body["loss_base"], body["seeds"]) == ("done", 0.25, 1)
    assert body["cuts"] == [{"what": "stream", "do": "zero"}, {"what": "stream", "do": "mean"}]
    assert np.shape(body["loss"]) == (2, 6, 4)
    assert http.get(f"/runs/{posted.json()['id']}/atlas").status_code == 404
    computed = http.post(f"/runs/{sent.json()['id']}/atlas")
    assert (computed.status_code, computed.json()["type"].rpartition("#")[2]) == (409, "problem-no-spec")


def test_the_same_trace_is_stored_once(posted: httpx.Response, http: httpx.Client, content: bytes) -> None:
    again = http.post("/traces", content=content, headers=OCTETS)
    assert (again.status_code, again.json()) == (200, posted.json())


@pytest.mark.full
def test_the_same_frames_under_another_id_are_the_same_trace(http: httpx.Client, posted: httpx.Response) -> None:
    frames = [{**frame, "run": "mine", "unknown to this version": 1} for frame in read_lines()]
    again = http.post("/traces", content=pack(frames), headers=OCTETS)
    assert (again.status_code, again.json()["id"]) == (200, posted.json()["id"])


def test_an_end_is_taken_and_not_stored_twice(http: httpx.Client, posted: httpx.Response) -> None:
    end = {"run": "", "index": 24, "type": "end", "status": "done", "reason": None}
    frames = [{**frame, "run": ""} for frame in read_lines()]
    assert http.post("/traces", content=pack([*frames, end]), headers=OCTETS).json() == posted.json()


def test_a_training_that_failed_is_shown_up_to_there(http: httpx.Client, posted: httpx.Response) -> None:
    end = {"run": "", "index": 24, "type": "end", "status": "failed", "reason": "out of memory"}
    content = pack([*({**frame, "run": ""} for frame in read_lines()), end])
    failed = http.post("/traces", content=content, headers=OCTETS)
    assert failed.status_code == 201
    run_id = failed.json()["id"]
    assert run_id != posted.json()["id"]
    run = http.get(f"/runs/{run_id}").json()
    assert (run["status"], run["reason"]) == ("failed", "out of memory")
    last = json.loads(http.get(f"/runs/{run_id}/events", headers=NDJSON).content.splitlines()[-1])
    assert (last["type"], last["status"], last["reason"]) == ("end", "failed", "out of memory")
    assert http.get(f"/runs/{run_id}/figures/gain").json()["data"]
    assert http.post("/traces", content=content, headers=OCTETS).status_code == 200


def test_a_result_publishes_itself(server: Server, trace: Trace, posted: httpx.Response) -> None:
    link = trace.result.publish(server.url)
    assert link == posted.json()["url"] == f"{server.url}/#v=1&runs=trace&A.trace={trace.id}"
    assert httpx.get(link).status_code == 200


@pytest.mark.full
def test_what_the_server_says_is_raised(server: Server) -> None:
    result = Result()
    for frame in run_frames(build_spec()):
        result.add(frame)
    with pytest.raises(PublishError, match=r"422: frames\[0\].source.*posting its spec"):
        result.publish(server.url)
    with pytest.raises(ValueError, match="address"):
        result.publish("file:///etc")


def test_a_twin_is_a_spec_that_the_server_takes(http: httpx.Client, posted: httpx.Response, trace: Trace) -> None:
    twin = http.get(f"/runs/{posted.json()['id']}/twin").json()
    assert (twin["spec"]["depth"], twin["spec"]["connection"]["streams"]) == (trace.result.depth, trace.result.streams)
    assert twin["spec"]["connection"]["init"] == "deepseek_v4"
    assert twin["unknown"]
    run = http.post("/runs", json=twin["spec"])
    assert run.json()["id"] == twin["id"]
    assert wait_for_end(http, twin["id"])["status"] == "done"  # later tests count records that do not change
    refused = http.get(f"/runs/{twin['id']}/twin")
    assert (refused.status_code, refused.json()["type"]) == (409, "/docs#problem-not-a-trace")


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_trace_is_refused_and_not_stored(name: str, server: Server, http: httpx.Client) -> None:
    build, field, wanted = BROKEN[name]
    before = count_records(server)
    answer = http.post("/traces", content=build(), headers=OCTETS)
    (error,) = answer.json()["errors"]
    assert error["field"].startswith(field)
    assert wanted in f"{error['got']} {error['wanted']}"
    problem = check_problem(answer, 422, error["field"], "")
    assert problem["type"].endswith("invalid-trace")
    assert count_records(server) == before


@pytest.mark.full
def test_a_trace_survives_a_restart(launch: StartServer, content: bytes, trace: Trace) -> None:
    first = launch("--workers", "1", ready="/livez")
    httpx.post(f"{first.api}/traces", content=content, headers=OCTETS, timeout=60).raise_for_status()
    first.kill()
    second = launch("--workers", "1", ready="/livez")
    lines = httpx.get(f"{second.api}/runs/{trace.id}/events", headers=NDJSON).content.splitlines(keepends=True)
    assert lines[:-1] == trace.lines


@pytest.mark.full
@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_a_body_above_the_limit_is_refused(announced: bool, http: httpx.Client) -> None:
    body = b"\0" * (MAX_BYTES + 1)
    sent = body if announced else iter([body[:MAX_BYTES], body[MAX_BYTES:]])
    check_problem(http.post("/traces", content=sent, headers=OCTETS), 413, "body", "at most")


def send_zeros(server: Server, announced: bool) -> bytes:
    """Send 2 GB, and read the answer meanwhile, until either side is done; the beginning of what came."""
    parts, received = urlsplit(server.url), bytearray()
    assert parts.hostname is not None
    assert parts.port is not None
    length = f"Content-Length: {TWO_GIGABYTES}" if announced else "Transfer-Encoding: chunked"
    head = (
        f"POST /api/v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n{length}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(head.encode())
        reader = threading.Thread(target=_receive, args=(connection, received))
        reader.start()
        piece = CHUNK if announced else f"{len(CHUNK):x}\r\n".encode() + CHUNK + b"\r\n"
        for _ in range(TWO_GIGABYTES // len(CHUNK)):
            try:
                connection.sendall(piece)
            except OSError:
                break  # the server has closed: it need not read what it refuses
        reader.join(60)
    return bytes(received)


def _receive(connection: socket.socket, received: bytearray) -> None:
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except OSError:
        pass  # closed with bytes on their way; the answer came before


@pytest.mark.full
@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_memory_stays_flat_while_two_gigabytes_come(announced: bool, server: Server) -> None:
    before = read_peak(server)
    answer = send_zeros(server, announced)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
    assert b'"field":"body"' in answer
    assert read_peak(server) - before < FLAT_BYTES
    assert httpx.get(f"{server.url}/livez").status_code == 200


def read_peak(server: Server) -> int:
    """Largest resident memory of the server's process so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.full
def test_a_file_that_was_refused_is_refused_by_its_reader_too(tmp_path: Path) -> None:
    build, field, _ = BROKEN["a matrix of another size"]
    (tmp_path / "broken.mhct").write_bytes(build())
    with pytest.raises(SpecError) as refused:
        Result.load(tmp_path / "broken.mhct")
    assert refused.value.field == field
