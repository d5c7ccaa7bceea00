"""Requests that mean harm, byte by byte: each is refused, nothing leaks, and the server goes on."""

from collections.abc import Iterator

import httpx
import pytest

from tests.app.edge.sockets import ask, build, to_status
from tests.conftest import Server, start_server

pytestmark = pytest.mark.full

TRAVERSALS = (
    "/static/../../etc/passwd",
    "/static/..%2f..%2f..%2fetc/passwd",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/vendor/..\\..\\etc\\passwd",
    "//etc/passwd",
    "/static//etc/passwd",
    "/s/..%2f..%2fapp/settings.py",
    "/embed/%00",
    "/api/v1/runs/..%2f..%2fmetrics",
    "/api/v1/runs/%0d%0aSet-Cookie:%20a=b",
)
BROKEN = {
    "two lengths": ["Content-Length: 2", "Content-Length: 3"],
    "length and chunks": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "no number": ["Content-Length: two"],
    "negative": ["Content-Length: -1"],
    "unknown coding": ["Transfer-Encoding: gzip"],
    "hidden coding": ["Transfer-Encoding: xchunked"],
    "space before the colon": ["Transfer-Encoding : chunked"],
    "folded": ["X-A: 1\r\n b"],
    "null": ["X-A: \x00"],
    "two hosts": ["Host: evil.example"],
    "huge": ["X-A: " + "a" * 100_000],
    "many": [f"X-{k}: a" for k in range(20_000)],
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nothing is computed on."""
    flags = ("--no-precompute", "--workers", "1", "BODY_S=2")
    running = start_server(tmp_path_factory.mktemp("target"), *flags, ready="/livez")
    yield running
    assert httpx.get(f"{running.url}/livez").status_code == 200
    assert "Traceback" not in running.log.read_text()
    running.kill()


@pytest.mark.attack("traversal")
@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out(target: Server, path: str) -> None:
    answer = ask(target, build("GET", path))
    assert 400 <= to_status(answer) < 500
    assert b"root:" not in answer
    assert b"\r\nset-cookie: a=b" not in answer.lower()


@pytest.mark.attack("smuggling")
@pytest.mark.parametrize("headers", BROKEN.values(), ids=list(BROKEN))
def test_a_head_that_two_readers_could_read_differently_is_refused(target: Server, headers: list[str]) -> None:
    smuggled = b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = ask(target, build("POST", "/api/v1/estimate", headers, smuggled))
    assert answer.count(b'"alive"') == 0, "what stands behind the head is no request of its own"
    assert to_status(answer) in (0, 400, 408, 422, 431, 501)


@pytest.mark.attack("smuggling")
@pytest.mark.parametrize(
    "start", [b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 20_000]
)
def test_what_is_no_http_is_refused(target: Server, start: bytes) -> None:
    assert to_status(ask(target, start + b"\r\n\r\n")) in (0, 400, 404)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "PROPFIND"])
def test_methods_that_there_are_not_are_refused(target: Server, method: str) -> None:
    assert to_status(ask(target, build(method, "/api/v1/runs"))) == 405
