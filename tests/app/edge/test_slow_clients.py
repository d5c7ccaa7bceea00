"""A client that is too slow loses its connection, and nobody else notices."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.app.edge.sockets import build, connect, read_all, time_until_closed, to_status
from tests.conftest import Server, compute, start_server

pytestmark = pytest.mark.full

LIMIT_S = 1.0
LATE_S = 8.0  # on a busy machine
MOST_UNREAD = 500_000  # bytes that are made for a client that reads nothing
HALF_HEAD = b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits a second."""
    times = [f"{name}_S=1" for name in ("HEADER", "BODY", "UNREAD", "IDLE")]
    running = start_server(tmp_path_factory.mktemp("hasty"), "--no-precompute", "--workers", "1", *times)
    yield running
    running.kill()


def test_a_head_that_does_not_end_is_given_up(hasty: Server) -> None:
    with connect(hasty) as sock:
        sock.sendall(HALF_HEAD)
        seconds, said = time_until_closed(sock)
    assert to_status(said) == 408
    assert b"application/problem+json" in said
    assert b"the head of the request was not complete after 1 s" in said
    assert LIMIT_S <= seconds < LATE_S


def test_a_head_in_drops_gains_no_time(hasty: Server) -> None:
    with connect(hasty) as sock:
        sock.sendall(HALF_HEAD)
        assert drip(sock, b"X-More: 1\r\n") < LATE_S


def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Server) -> None:
    with connect(hasty) as sock:
        seconds, said = time_until_closed(sock)
    assert said == b""
    assert LIMIT_S <= seconds < LATE_S


def test_after_an_answer_the_next_head_has_its_own_time(hasty: Server) -> None:
    with connect(hasty) as sock:
        for _ in range(3):
            time.sleep(0.6)
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            said = b""
            while not said.endswith(b"}"):
                said += sock.recv(2**12)
            assert to_status(said) == 200
        sock.sendall(b"GET ")
        _, said = time_until_closed(sock)
    assert b"HTTP/1.1 408" in said


@pytest.mark.parametrize("chunked", [False, True])
def test_half_a_body_is_given_up(hasty: Server, chunked: bool) -> None:
    header, body = ("Transfer-Encoding: chunked", b"1\r\n{\r\n") if chunked else ("Content-Length: 100", b"{")
    with connect(hasty) as sock:
        sock.sendall(build("POST", "/api/v1/runs", [header], body))
        seconds, said = time_until_closed(sock)
    assert to_status(said) == 408
    assert json.loads(said.split(b"\r\n\r\n")[1])["type"] == "/docs#problem-timeout"
    assert LIMIT_S <= seconds < LATE_S


def test_a_body_in_drops_is_given_up_and_a_steady_one_is_taken(hasty: Server) -> None:
    with connect(hasty) as sock:
        sock.sendall(build("POST", "/api/v1/runs", ["Content-Length: 100000"]))
        assert drip(sock, b" ") < LATE_S
    with connect(hasty) as sock:
        sock.sendall(build("POST", "/api/v1/estimate", ["Content-Length: 5000"]))
        for _ in range(24):  # 2.4 s, and 2000 bytes a second
            sock.sendall(b" " * 200)
            time.sleep(0.1)
        sock.sendall(b" " * 198 + b"{}")
        assert to_status(read_all(sock)) == 200


def test_a_stream_that_is_not_read_is_cut_off_and_resumes(
    hasty: Server, fresh_spec: Callable[..., dict[str, Any]]
) -> None:
    with httpx.Client(base_url=hasty.api, timeout=60) as http:
        run_id = compute(http, fresh_spec(depth=512, width=16))
        whole = http.get(f"/runs/{run_id}/events", headers={"Accept-Encoding": "identity"}).text
        path = f"/api/v1/runs/{run_id}/events"
        with connect(hasty, 4096) as sock:
            sock.sendall(build("GET", path, ["X-Request-ID: unread"]))
            for count in (1, 0):  # it is closed although its client never did
                deadline = time.monotonic() + LATE_S
                while count_streams(http) != count and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert count_streams(http) == count
            got = read_all(sock)
        assert to_status(got) == 200
        line = next(line for line in hasty.log.read_text().splitlines() if "request=unread" in line)
        made = int(line.partition("bytes=")[2].split()[0])
        assert made < MOST_UNREAD < len(whole)  # the rest is not in the kernel, and not made for one who has gone
        last = got.rpartition(b"\nid: ")[0].rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
        rest = http.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": last, "Accept-Encoding": "identity"}).text
        first = f"id: {int(last) + 1}\n"
        assert whole[whole.index(first) :] == rest[rest.index(first) :]


def drip(sock: socket.socket, part: bytes) -> float:
    """Send a part now and then until the server has closed; seconds until then."""
    started = time.monotonic()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() - started < LATE_S:
            sock.sendall(part)
            time.sleep(0.05)
    return time.monotonic() - started


def count_streams(http: httpx.Client) -> int:
    """Streams that the server has open."""
    streams: int = http.get(str(http.base_url).removesuffix("/api/v1/") + "/readyz").json()["streams"]
    return streams


def test_a_slow_reader_that_reads_gets_all(hasty: Server, fresh_spec: Callable[..., dict[str, Any]]) -> None:
    with httpx.Client(base_url=hasty.api, timeout=60) as http:
        run_id = compute(http, fresh_spec(depth=256, width=16))
        size = len(http.get(f"/runs/{run_id}/result.json", headers={"Accept-Encoding": "identity"}).content)
    with connect(hasty, 4096) as sock:
        sock.sendall(build("GET", f"/api/v1/runs/{run_id}/result.json", ["Accept-Encoding: identity"]))
        got, started = b"", time.monotonic()
        while chunk := sock.recv(max(4096, size // 60)):
            got += chunk
            time.sleep(0.05)
    assert time.monotonic() - started > 2 * LIMIT_S
    assert len(got.partition(b"\r\n\r\n")[2]) == size
