"""A body that is too large is refused by its announced length, at once, and its sender can read the answer."""

import socket
from collections.abc import Iterator

import pytest

from tests.app.edge.sockets import build, connect, read_all, time_until_closed, to_status
from tests.conftest import Server, start_server

pytestmark = pytest.mark.full

TERABYTES = 10 * 10**12
SOON_S = 4.0  # on a busy machine; it was ten seconds and more
PATHS = ("/api/v1/runs", "/api/v1/traces", "/api/v1/traces/nothing/frames?index=0", "/api/v1/nothing")
MEGABYTE = bytes(2**20)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nothing is computed on."""
    running = start_server(
        tmp_path_factory.mktemp("target"), "--no-precompute", "--workers", "1", "BODY_S=30", ready="/livez"
    )
    yield running
    assert "Traceback" not in running.log.read_text()
    running.kill()


def announce(server: Server, path: str, *headers: str) -> socket.socket:
    """A connection on which a body of ten terabytes is announced, and nothing of it sent."""
    sock = connect(server)
    request = build("POST", path, [f"Content-Length: {TERABYTES}", *headers])
    sock.sendall(request.replace(b"Connection: close\r\n", b""))
    return sock


@pytest.mark.attack("size")
@pytest.mark.parametrize("headers", [("Expect: 100-continue",), ()], ids=["waits", "does not wait"])
@pytest.mark.parametrize("path", PATHS)
def test_a_length_that_is_too_large_is_refused_before_the_body(
    target: Server, path: str, headers: tuple[str, ...]
) -> None:
    with announce(target, path, *headers) as sock:
        seconds, answer = time_until_closed(sock)
    assert to_status(answer) == 413
    assert b"100 Continue" not in answer
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert seconds < SOON_S


def test_who_sends_on_can_read_the_answer(target: Server) -> None:
    """With unread data the kernel would reset the connection, and the answer could be lost on its way."""
    with announce(target, "/api/v1/runs") as sock:
        for _ in range(20):
            sock.sendall(MEGABYTE)
        assert to_status(read_all(sock)) == 413


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/traces"])
def test_a_body_in_chunks_that_passes_the_limit_is_refused_there(target: Server, path: str) -> None:
    with connect(target) as sock:
        sock.sendall(build("POST", path, ["Transfer-Encoding: chunked"]))
        for _ in range(70):  # more than a trace may have, and no end
            sock.sendall(b"100000\r\n" + MEGABYTE + b"\r\n")
        seconds, answer = time_until_closed(sock)
    assert to_status(answer) == 413
    assert seconds < SOON_S


def test_a_body_within_the_limit_is_waited_for(target: Server) -> None:
    with connect(target) as sock:
        sock.sendall(build("POST", "/api/v1/estimate", ["Content-Length: 2", "Expect: 100-continue"]))
        assert sock.recv(2**16).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"{}")
        assert to_status(read_all(sock)) == 200
