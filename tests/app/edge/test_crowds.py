"""More connections than the server has room for: those that work are served all the same."""

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.app.edge.crowded import count_descriptors, start_with_descriptors
from tests.app.edge.sockets import build, connect, read_all, to_status
from tests.conftest import Server, StartServer

pytestmark = pytest.mark.full

DESCRIPTORS = 256
ALLOWED = 256  # connections of one address, by default


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with few descriptors, which waits long for a head."""
    flags = ("--no-precompute", "--workers", "1", "HEADER_S=120", "BODY_S=120")
    running = start_with_descriptors(tmp_path_factory.mktemp("narrow"), DESCRIPTORS, *flags)
    yield running
    running.kill()


def open_many(server: Server, count: int, sent: bytes) -> list[socket.socket]:
    """Connections that each have sent something."""
    found = []
    for _ in range(count):
        sock = connect(server)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            sock.sendall(sent)
        found.append(sock)
    return found


def close_all(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def test_half_open_connections_give_way(narrow: Server) -> None:
    before = len(narrow.log.read_text())
    socks = open_many(narrow, 2 * DESCRIPTORS, b"GET / HTT")
    try:
        for _ in range(20):
            assert httpx.get(f"{narrow.url}/livez", timeout=10).status_code == 200
        assert httpx.get(f"{narrow.url}/api/v1/schema", timeout=10).status_code == 200
        assert count_descriptors(narrow) < DESCRIPTORS - 16
    finally:
        close_all(socks)
    said = [line for line in narrow.log.read_text()[before:].splitlines() if "mhc.request" not in line]
    assert len(said) < 20, said


def test_where_all_are_at_work_one_may_still_ask_whether_the_server_lives(narrow: Server) -> None:
    half = build("POST", "/api/v1/runs", ["Content-Length: 900000"], b"{")
    socks = open_many(narrow, DESCRIPTORS, half)
    try:
        assert httpx.get(f"{narrow.url}/livez", timeout=10).status_code == 200
        refused = httpx.get(f"{narrow.url}/api/v1/schema", timeout=10)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["title"] == "Too many open connections"
    finally:
        close_all(socks)
    deadline = time.monotonic() + 20
    while httpx.get(f"{narrow.url}/api/v1/schema", timeout=10).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert httpx.get(f"{narrow.url}/api/v1/schema", timeout=10).status_code == 200


def test_one_address_may_have_so_many(launch: StartServer) -> None:
    server = launch("--workers", "1", "--connections-per-address", "3", "--forwarded-allow-ips", "", ready="/livez")
    time.sleep(0.2)  # the connection that asked whether it is alive has ended
    socks = open_many(server, 3, b"GET")
    with connect(server) as fourth:
        fourth.sendall(build("GET", "/docs"))
        said = read_all(fourth)
    assert to_status(said) == 429
    assert b"127.0.0.1 has 3 connections" in said
    socks += open_many(server, 13, b"GET")
    assert httpx.get(f"{server.url}/livez").status_code == 200
    close_all(socks)
    time.sleep(0.2)
    assert httpx.get(f"{server.url}/docs").status_code == 200


def test_a_proxy_may_have_more(launch: StartServer) -> None:
    server = launch("--workers", "1", "--connections-per-address", "3", ready="/livez")
    socks = open_many(server, 30, b"GET")
    assert httpx.get(f"{server.url}/docs").status_code == 200
    close_all(socks)


def test_every_connection_above_the_limit_of_an_address_is_told_so(launch: StartServer) -> None:
    server = launch("--workers", "1", "--forwarded-allow-ips", "192.0.2.1", ready="/livez")
    time.sleep(0.2)  # the connection that asked whether it is alive has ended
    socks = open_many(server, ALLOWED + 50, b"")
    time.sleep(0.5)
    for sock in socks[ALLOWED:]:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it may be closed, behind its answer
            sock.sendall(build("GET", "/docs"))
    refused = [read_all(sock) for sock in socks[ALLOWED:]]
    assert {to_status(said) for said in refused} == {429}
    assert all(b"\r\nretry-after: 5\r\n" in said.lower() for said in refused)
    assert all(b"127.0.0.1 has 256 connections" in said for said in refused)
    for sock in socks[:ALLOWED]:
        sock.sendall(build("GET", "/livez"))
    assert {to_status(read_all(sock)) for sock in socks[:ALLOWED]} == {200}
    close_all(socks)
