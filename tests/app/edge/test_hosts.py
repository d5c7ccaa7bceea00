"""Names that a request may call the server by: a page of a foreign site cannot make it its own."""

import socket

import httpx
import pytest
from pydantic import ValidationError

from mhc_scope.api.hosts import is_allowed
from mhc_scope.settings import Settings
from tests.app.edge.sockets import ask, build, to_status
from tests.conftest import Server, StartServer

EVIL = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "a@127.0.0.1",
    "[::1",
    "",
)


@pytest.mark.attack("rebinding")
@pytest.mark.parametrize("host", EVIL)
def test_another_name_is_refused(server: Server, host: str) -> None:
    for method, path in (("GET", "/"), ("GET", "/livez"), ("POST", "/api/v1/runs"), ("DELETE", "/api/v1/runs/x")):
        origin = f"Origin: http://{host}"  # as a page has it after rebinding: its own
        assert to_status(ask(server, build(method, path, [origin, "Content-Length: 0"], host=host))) == 421
    answer = ask(server, build("GET", "/api/v1/presets", host=host))
    assert b"application/problem+json" in answer
    assert b"--allowed-hosts" in answer


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "scope.localhost:8000", "127.0.0.1", "[::1]:8000", "10.0.0.7:9"]
)
def test_addresses_and_this_machine_are_allowed(server: Server, host: str) -> None:
    assert to_status(ask(server, build("GET", "/livez", host=host))) == 200


def test_a_request_without_a_name_comes_from_no_browser(server: Server) -> None:
    assert to_status(ask(server, b"GET /livez HTTP/1.0\r\n\r\n")) == 200
    assert to_status(ask(server, b"GET /livez HTTP/1.1\r\n\r\n")) == 400, "HTTP 1.1 needs one"


@pytest.mark.full
def test_listed_names_and_the_public_one_are_allowed(launch: StartServer) -> None:
    names = ("--allowed-hosts", "scope.lab,Lab.Example", "--public-url", "https://scope.example.org")
    server = launch("--workers", "1", *names, ready="/livez")
    with httpx.Client(base_url=server.url) as http:
        for host in ("scope.lab", "lab.example:99", "scope.example.org", socket.gethostname()):
            assert http.get("/livez", headers={"Host": host}).status_code == 200
        assert http.get("/livez", headers={"Host": "example.org"}).status_code == 421
        headers = {"Origin": "https://scope.example.org", "Host": "10.0.0.1:8000"}  # a proxy that keeps no Host
        assert http.post("/api/v1/estimate", json={}, headers=headers).status_code == 200
        headers["Origin"] = "https://evil.example.org"
        assert http.post("/api/v1/estimate", json={}, headers=headers).status_code == 403


def test_listed_names_and_the_public_one_are_names_of_the_server() -> None:
    names = Settings(allowed_hosts="scope.lab,Lab.Example", public_url="https://scope.example.org").host_names
    for host in ("scope.lab", "lab.example:99", "scope.example.org", socket.gethostname()):
        assert is_allowed(host, names), host
    assert not is_allowed("example.org", names)


def test_a_star_allows_all() -> None:
    names = Settings(allowed_hosts="*").host_names
    assert "*" in names
    assert not is_allowed("evil.example", names - {"*"})


@pytest.mark.parametrize("text", ["a b", "http://a.example", "a.example:80", "*.example", "a.example,/"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="wanted names by commas, such as"):
        Settings(allowed_hosts=text)
