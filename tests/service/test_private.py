"""What is for operators alone, and for the user who runs the server."""

import stat

import httpx
import pytest

from tests.conftest import Call, Server, StartServer
from tests.ports import free_port

pytestmark = pytest.mark.full


def test_this_machine_reads_metrics_unless_a_proxy_asks(server: Server) -> None:
    assert "mhc_runs" in httpx.get(f"{server.url}/metrics").text
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via"):
        answer = httpx.get(f"{server.url}/metrics", headers={name: "127.0.0.1"})
        assert (answer.status_code, answer.json()["type"]) == (401, "/docs#problem-private")


def test_with_a_private_port_only_that_shows_metrics(launch: StartServer) -> None:
    port = free_port()
    server = launch("--workers", "1", "--private-port", str(port), ready="/livez")
    assert "mhc_runs" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    refused = httpx.get(f"{server.url}/metrics", headers={"Host": f"127.0.0.1:{port}"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert str(port) in refused.json()["detail"]
    assert httpx.get(f"{server.url}/livez").status_code == 200


@pytest.mark.parametrize("has_port", [False, True])
def test_an_admins_token_reads_metrics_from_everywhere(call: Call, launch: StartServer, has_port: bool) -> None:
    flags = ("--private-port", str(free_port())) if has_port else ()
    server = launch("--workers", "1", *flags, ready="/livez")
    for rights, status in (("admin", 200), ("run", 403), ("read", 403)):
        added = call("token", "add", rights, "--rights", rights, "--data", str(server.data))
        headers = {"X-Forwarded-For": "192.0.2.7", "Authorization": f"Bearer {added.stdout.strip()}"}
        answer = httpx.get(f"{server.url}/metrics", headers=headers)
        assert answer.status_code == status, rights
        assert ("mhc_runs" in answer.text) == (status == 200)


@pytest.mark.parametrize("is_old", [False, True])
def test_only_its_user_reads_the_database(launch: StartServer, is_old: bool) -> None:
    server = launch("--workers", "1", ready="/livez")
    if is_old:
        server.terminate()
        (server.data / "mhc-scope.db").chmod(0o644)
        server = launch("--workers", "1", ready="/livez")
    for path in server.data.iterdir():
        if path.name != "server.log":  # which the test made
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_a_folder_that_it_makes_is_for_its_user_alone(launch: StartServer) -> None:
    server = launch("--workers", "1", ready="/livez")
    server.terminate()
    again = launch("--workers", "1", "--data", str(server.data / "new"), ready="/livez")
    assert stat.S_IMODE((again.data / "new").stat().st_mode) == 0o700
