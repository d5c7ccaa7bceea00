"""Files that are answered on the connection: as through all layers, and only where nothing is doubtful."""

import gzip
import re
import socket
from collections.abc import Iterator

import brotli
import httpx
import pytest

from tests.app.edge.sockets import connect, to_status
from tests.conftest import Server

HOST = "Host: 127.0.0.1"
LONG_WAY = "X-Request-ID: mine"
UNPACKED = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """A file that is there in all codings."""
    page = httpx.get(server.url).text
    found = re.search(r'"(/static/[^"]+/js/app\.js)"', page)
    assert found is not None
    for coding in UNPACKED:
        httpx.get(server.url + found[1], headers={"Accept-Encoding": coding})
    return found[1]


@pytest.fixture
def sock(server: Server) -> Iterator[socket.socket]:
    """A connection."""
    with connect(server) as opened:
        yield opened


def build(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def read_one(sock: socket.socket, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += sock.recv(2**16)
    head, _, body = said.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
    headers = {name.lower(): value for name, _, value in lines}
    while has_body and len(body) < int(headers["content-length"]):
        body += sock.recv(2**16)
    return to_status(said), headers, body


def ask(sock: socket.socket, request: bytes) -> tuple[int, dict[str, str], bytes]:
    sock.sendall(request)
    return read_one(sock)


@pytest.mark.parametrize("coding", UNPACKED)
def test_the_answer_is_that_of_the_long_way(sock: socket.socket, address: str, coding: str) -> None:
    accepts = f"Accept-Encoding: {coding}"
    status, headers, body = ask(sock, build(address, HOST, accepts))
    assert "x-request-id" not in headers
    other_status, others, other_body = ask(sock, build(address, HOST, accepts, LONG_WAY))
    assert others.pop("x-request-id") == "mine"
    headers.pop("date"), others.pop("date")
    others["vary"] = others["vary"].partition(",")[0]  # the layer that compresses says it once more
    assert (status, headers, body) == (other_status, others, other_body)
    assert headers.get("content-encoding", "") == coding
    assert b"import" in UNPACKED[coding](body)


def test_as_browsers_ask(sock: socket.socket, address: str) -> None:
    lines = ["Connection: keep-alive", 'sec-ch-ua: "Chromium";v="140"', "Sec-Fetch-Mode: cors", "Cookie: a=b"]
    for _ in range(3):
        status, headers, _ = ask(sock, build(address, HOST, *lines, "Accept-Encoding: gzip, deflate, br, zstd"))
        assert (status, "x-request-id" in headers, headers["content-encoding"]) == (200, False, "br")
    assert ask(sock, build("/livez", HOST))[0] == 200


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([HOST, "Content-Length: 0"], 200),
        ([HOST, "Content-Length: 5"], 200),
        ([HOST, "Transfer-Encoding: chunked"], 200),
        ([HOST, "transfer-encoding : chunked"], 400),
        ([HOST, "Origin: https://elsewhere.example"], 200),
        ([HOST, "Connection: close"], 200),
        ([HOST, "Connection: keep-alive, Upgrade"], 200),
        ([HOST, "Accept: a", "Accept: b"], 200),
        ([HOST, "Accept: a", " folded: b"], 200),
        ([HOST, "Accept: \x00"], 400),
        ([HOST, HOST], 400),
        ([], 400),
        (["Host: elsewhere.example"], 421),
    ],
)
def test_what_is_doubtful_takes_the_long_way(sock: socket.socket, address: str, lines: list[str], status: int) -> None:
    sock.sendall(build(address, *lines))
    assert read_one(sock)[0] == status


def test_a_body_behind_a_head_is_no_request(sock: socket.socket, address: str) -> None:
    sock.sendall(build(address, HOST, "Content-Length: 5") + b"GET /")
    assert read_one(sock)[0] == 200
    assert ask(sock, build("/livez", HOST))[2] == b'{"status":"alive"}'


@pytest.mark.full
def test_two_requests_at_once_and_one_in_pieces(server: Server, sock: socket.socket, address: str) -> None:
    request = build(address, HOST)
    sock.sendall(build(address, HOST, LONG_WAY) + build("/livez", HOST, "Connection: close"))
    said = b""
    while chunk := sock.recv(2**16):
        said += chunk
    assert said.count(b"HTTP/1.1 200 OK") == 2
    with connect(server) as other:
        other.sendall(request[:20])
        other.sendall(request[20:])
        assert read_one(other)[0] == 200


def test_a_head_without_a_body(sock: socket.socket, address: str) -> None:
    sock.sendall(build(address, HOST, method="HEAD"))
    status, headers, body = read_one(sock, has_body=False)
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0
    assert ask(sock, build("/livez", HOST))[0] == 200
