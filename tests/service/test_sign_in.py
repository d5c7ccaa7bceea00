"""Signing in with a token: what the cookie lets through, and what the form refuses."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Server
from tests.service.conftest import start_service
from tests.service.ownership.conftest import give_token

COOKIE = re.compile(r"mhc_token=mhc_[\w-]+; HttpOnly; Path=/; SameSite=lax")
AWAY = "//elsewhere.example"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, str]]:
    """A server that shows nothing without a token, a token that may run, and one of an admin."""
    data = tmp_path_factory.mktemp("hidden")
    running = start_service(data, "--no-precompute", "--workers", "1", "--anonymous", "none", ready="/livez")
    yield running, give_token(data), give_token(data, "--rights", "admin")
    running.kill()


def send(http: httpx.Client, server: Server, token: str, after: str = "", origin: str | None = "") -> httpx.Response:
    """The form, as a browser sends it."""
    headers = {} if origin is None else {"Origin": origin or server.url}
    return http.post("/sign-in", data={"token": token, "next": after}, headers=headers)


def test_a_person_signs_in_works_and_signs_out(hidden: tuple[Server, str, str]) -> None:
    server, token, _ = hidden
    with httpx.Client(base_url=server.url) as http:
        shut = http.get("/p/mhc_fig_2", headers=HTML)
        assert shut.status_code == 401
        assert 'href="/sign-in?next=/p/mhc_fig_2"' in shut.text
        answer = send(http, server, f" {token}\n", "/p/mhc_fig_2#v=1&depth=8")
        assert (answer.status_code, answer.headers["location"]) == (303, "/p/mhc_fig_2#v=1&depth=8")
        assert COOKIE.search(answer.headers["set-cookie"])
        assert http.get("/api/v1/snapshots").status_code == 200
        key = f"token:{token.split('_')[1]}"
        assert f"You are signed in as {key} with the right to run." in http.get("/sign-in").text
        assert http.get("/admin").status_code == 401  # that right does not reach so far
        out = http.post("/sign-in/out", headers={"Origin": server.url})
        assert out.status_code == 303
        assert http.get("/api/v1/snapshots").status_code == 401


def test_an_admin_reaches_the_operators_page_so(hidden: tuple[Server, str, str]) -> None:
    server, _, token = hidden
    with httpx.Client(base_url=server.url) as http:
        assert send(http, server, token).status_code == 303
        assert http.get("/admin").status_code == 200


@pytest.mark.sample(3)
@pytest.mark.attack("forged token")
@pytest.mark.parametrize("token", ["", "x", "mhc_0123456789abcdef_" + "x" * 43, "\x00", "é" * 50])
def test_a_wrong_token_is_kept_nowhere(hidden: tuple[Server, str, str], token: str) -> None:
    server, _, _ = hidden
    with httpx.Client(base_url=server.url) as http:
        answer = send(http, server, token)
        assert answer.status_code == 401
        assert "This server does not know the token." in answer.text
        assert "mhc_token" not in http.cookies


@pytest.mark.sample(3)
@pytest.mark.attack("open redirect")
@pytest.mark.parametrize(
    "after",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)", "/\r\nX: y"],
)
def test_it_leads_to_no_other_site(hidden: tuple[Server, str, str], after: str) -> None:
    server, token, _ = hidden
    with httpx.Client(base_url=server.url) as http:
        assert send(http, server, token, after).headers["location"] == "/"
        assert "elsewhere" not in http.get("/sign-in", params={"next": after}).text


@pytest.mark.sample(3)
@pytest.mark.attack("CSRF")
@pytest.mark.parametrize("origin", [None, "null", "https://elsewhere.example"])
def test_another_sites_page_signs_no_one_in_or_out(hidden: tuple[Server, str, str], origin: str | None) -> None:
    server, token, _ = hidden
    with httpx.Client(base_url=server.url) as http:
        assert send(http, server, token, origin=origin).status_code == 403
        headers = {} if origin is None else {"Origin": origin}
        assert http.post("/sign-in/out", headers=headers).status_code == 403


@pytest.mark.full
@pytest.mark.attack("forged token")
def test_a_cookie_with_a_wrong_token_is_not_taken_for_none(server: Server) -> None:
    with httpx.Client(base_url=server.url, cookies={"mhc_token": "x"}) as http:
        assert http.get("/api/v1/snapshots").status_code == 401
        assert 'action="/sign-in/out"' in http.get("/sign-in").text
    with httpx.Client(base_url=server.url) as http:
        assert http.get("/api/v1/snapshots").status_code == 200


@pytest.mark.full
def test_below_a_path_the_cookie_and_the_links_stay_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    data, below = tmp_path_factory.mktemp("below"), "/tools/mhc"
    server = start_service(data, "--no-precompute", "--root-path", below, ready=f"{below}/livez")
    try:
        with httpx.Client(base_url=server.url) as http:
            fields = {"token": give_token(data), "next": "/other"}
            told = http.post(f"{below}/sign-in", data=fields, headers={"Origin": server.url})
        assert told.headers["location"] == "/tools/mhc/"
        assert "Path=/tools/mhc;" in told.headers["set-cookie"]
    finally:
        server.kill()
