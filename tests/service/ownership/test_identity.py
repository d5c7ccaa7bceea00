"""Who asks: cookies, tokens with their rights, and names that a trusted proxy gives."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, compute
from tests.service.conftest import start_service
from tests.service.ownership.conftest import SSO, FreshSpec, give_token, join

COOKIE = re.compile(r"mhc_client=([\w-]{32}); HttpOnly; Max-Age=\d+; Path=/; SameSite=Lax")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server that lets those without a token look only, and its tokens by their rights."""
    data = tmp_path_factory.mktemp("closed")
    running = start_service(data, "--no-precompute", "--workers", "1", "--anonymous", "read", "--sso-header", SSO)
    yield running, {rights: give_token(data, "--rights", rights) for rights in ("read", "run", "admin")}
    running.kill()


def test_a_page_gives_a_browser_its_cookie_once(server: Server) -> None:
    first = httpx.get(server.url)
    found = COOKIE.fullmatch(first.headers["set-cookie"])
    assert found
    again = httpx.get(server.url, cookies={"mhc_client": found[1]})
    assert "set-cookie" not in again.headers
    # What this server never gives out is replaced.
    assert "set-cookie" in httpx.get(server.url, cookies={"mhc_client": "token:abc"}).headers


def test_an_answer_to_a_page_gives_it_one_and_a_script_gets_none(server: Server) -> None:
    assert "set-cookie" in httpx.get(f"{server.api}/presets", headers={"Sec-Fetch-Site": "same-origin"}).headers
    assert "set-cookie" not in httpx.get(f"{server.api}/presets").headers
    assert "set-cookie" not in httpx.get(f"{server.api}/presets", headers={"Sec-Fetch-Site": "cross-site"}).headers
    assert "set-cookie" not in httpx.get(f"{server.url}/embed/nothing", headers={"Accept": "text/html"}).headers


def test_over_https_the_cookie_is_sent_over_https_alone(server: Server) -> None:
    answer = httpx.get(server.url, headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.sample(3)
@pytest.mark.attack("forged token")
@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer x", "bearer mhc_", "Bearer mhc_0123456789abcdef_" + "x" * 43, "Bearer ' OR 1=1 --"],
)
def test_a_wrong_token_is_not_taken_for_none(server: Server, header: str) -> None:
    for method, path in (("GET", "/presets"), ("POST", "/runs"), ("GET", "/snapshots")):
        answer = httpx.request(method, f"{server.api}{path}", headers={"Authorization": header}, json={})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs"),
        ("POST", "/runs/compare"),
        ("POST", "/runs/sweep"),
        ("POST", "/runs/nothing/verify"),
        ("DELETE", "/runs/nothing"),
        ("DELETE", "/runs/sweep/nothing"),
        ("POST", "/snapshots"),
        ("POST", "/traces"),
        ("POST", "/traces/live"),
    ],
)
def test_who_may_only_look_starts_and_changes_nothing(
    closed: tuple[Server, dict[str, str]], method: str, path: str
) -> None:
    server, tokens = closed
    refused = httpx.request(method, f"{server.api}{path}")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    reader = httpx.request(method, f"{server.api}{path}", headers={"Authorization": f"Bearer {tokens['read']}"})
    assert (reader.status_code, reader.json()["type"]) == (403, "/docs#problem-no-right")
    allowed = httpx.request(method, f"{server.api}{path}", headers={"Authorization": f"Bearer {tokens['run']}"})
    assert allowed.status_code not in (401, 403)


def test_who_may_look_sees_the_page(closed: tuple[Server, dict[str, str]]) -> None:
    server, _ = closed
    assert httpx.get(server.url).status_code == 200
    assert httpx.get(f"{server.api}/presets").status_code == 200
    assert httpx.post(f"{server.api}/estimate", json={}).status_code == 200  # it starts nothing


def test_an_admin_cancels_any_run_and_deletes_any_view(
    closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec
) -> None:
    server, tokens = closed
    http = httpx.Client(base_url=server.api, timeout=60)
    with http, join(http, Authorization=f"Bearer {tokens['run']}") as ann:
        run_id = compute(ann, fresh_spec())
        view = ann.post("/snapshots", json={"runs": [run_id]}).json()
        assert view["expires_at"] is None  # a token keeps for good
        long = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        with join(http, Authorization=f"Bearer {tokens['admin']}") as admin:
            assert admin.delete(f"/runs/{long}").json()["status"] == "cancelled"
            assert admin.delete(f"/snapshots/{view['id']}").status_code == 200


@pytest.mark.full
def test_where_nobody_may_look_without_a_token(tmp_path: Path, fresh_spec: FreshSpec) -> None:
    server = start_service(tmp_path, "--no-precompute", "--workers", "1", "--anonymous", "none", ready="/livez")
    try:
        token = give_token(tmp_path, "--rights", "read", "--days", "1")
        for path in ("/", "/docs", "/api/v1/presets", "/api/v1/runs/x", "/s/x", "/embed/x", "/api/v1/schema"):
            assert httpx.get(f"{server.url}{path}").status_code == 401, path
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert httpx.get(f"{server.api}/presets", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    finally:
        server.kill()


def test_a_trusted_proxy_names_the_client(closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec) -> None:
    server, _ = closed
    with httpx.Client(base_url=server.api, headers={SSO: "ann"}, timeout=60) as ann:
        run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        assert ann.delete(f"/runs/{run_id}", headers={SSO: "ben"}).json()["status"] != "cancelled"
        assert ann.delete(f"/runs/{run_id}").json()["status"] == "cancelled"


@pytest.mark.attack("spoofed address")
def test_two_names_are_no_name(closed: tuple[Server, dict[str, str]]) -> None:
    server, _ = closed
    answer = httpx.post(f"{server.api}/runs", headers=[(SSO, "mallory"), (SSO, "ann")], json={})
    assert answer.status_code == 400


def test_a_trusted_proxy_and_no_one_else_says_the_address(
    closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec
) -> None:
    server, _ = closed
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1", SSO: ""}
    refused = httpx.post(f"{server.api}/runs", headers=headers, json=fresh_spec())
    assert refused.status_code == 401  # an empty name is none
