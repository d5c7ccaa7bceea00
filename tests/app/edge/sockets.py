"""Requests by hand, byte by byte: what no HTTP client would send."""

import contextlib
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from tests.conftest import Server

WAIT_S = 20.0


def connect(server: Server, receive_bytes: int = 0) -> socket.socket:
    """A connection; with a small buffer, what is not read soon stays with the server."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(WAIT_S)
    sock.connect((parts.hostname, parts.port))
    return sock


def read_all(sock: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):  # the end of a connection that is cut off
        while chunk := sock.recv(2**16):
            found += chunk
    return found


def ask(server: Server, request: bytes, *more: bytes) -> bytes:
    """The raw answer to raw bytes; the server must close the connection."""
    with connect(server) as sock:
        sock.sendall(request)
        for part in more:
            sock.sendall(part)
        return read_all(sock)


def to_status(answer: bytes) -> int:
    """The status of a raw answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def build(method: str, path: str, headers: Iterable[str] = (), body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """A request after which the server closes the connection."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def time_until_closed(sock: socket.socket) -> tuple[float, bytes]:
    """Seconds until the server closes, and what it said."""
    started = time.monotonic()
    said = read_all(sock)
    return time.monotonic() - started, said
