"""The operator's page: what it says, who may see it, and that only its own buttons are obeyed."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mhc_service.admin import format_bytes, format_s
from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, StartServer, compute, wait_for_end
from tests.service.ownership.conftest import give_token

FreshSpec = Callable[..., dict[str, Any]]


def test_it_says_what_runs_and_stops_it_whoever_watches(lone_server: Server, fresh_spec: FreshSpec) -> None:
    with httpx.Client(base_url=lone_server.api, timeout=60) as http:
        done = compute(http, fresh_spec())
        run_id = http.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        page = httpx.get(f"{lone_server.url}/admin")
        assert page.status_code == 200
        (action,) = re.findall(rf'action="(admin/runs/{run_id}/stop)"', page.text)
        assert done in page.text
        assert "1 of 1" in page.text
        with http.stream("GET", f"/runs/{run_id}/events") as stream:
            lines = stream.iter_lines()
            next(lines)
            stopped = httpx.post(
                f"{lone_server.url}/{action}", headers={"Origin": lone_server.url}, follow_redirects=True, timeout=60
            )
        assert wait_for_end(http, run_id)["status"] == "cancelled"
    assert str(stopped.url) == f"{lone_server.url}/admin?done=stopped"
    assert "The run was stopped." in stopped.text
    assert f"admin/runs/{run_id}/stop" not in stopped.text


def test_written_results_can_be_deleted(server: Server) -> None:
    (server.data / "encoded").mkdir(exist_ok=True)
    kept = server.data / "encoded" / "left"
    kept.write_bytes(bytes(100))
    told = httpx.post(f"{server.url}/admin/results/clear", headers={"Origin": server.url}, follow_redirects=True)
    assert "were deleted" in told.text
    assert not kept.exists()


@pytest.mark.full
def test_old_runs_are_dropped_when_asked(launch: StartServer, fresh_spec: FreshSpec) -> None:
    server = launch("--workers", "1", "--keep-s", "0.1", "RETENTION_INTERVAL_S=3600")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, fresh_spec())
        time.sleep(0.2)
        told = httpx.post(f"{server.url}/admin/prune", headers={"Origin": server.url}, follow_redirects=True)
        assert "will be deleted within seconds" in told.text
        deadline = time.monotonic() + 60
        while http.get(f"/runs/{run_id}").status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.sample(6)
@pytest.mark.attack("CSRF")
@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}]
)
@pytest.mark.parametrize("path", ["runs/none/stop", "results/clear", "prune"])
def test_only_the_page_itself_is_obeyed(server: Server, path: str, headers: dict[str, str]) -> None:
    told = httpx.post(f"{server.url}/admin/{path}", headers=headers)
    assert told.status_code == 403
    assert told.json()["type"].endswith("foreign-origin")


@pytest.mark.sample(4)
@pytest.mark.attack("spoofed address")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_nobody_comes_in_through_a_proxy(server: Server, header: str) -> None:
    headers = {header: "127.0.0.1", "Origin": server.url}
    assert httpx.get(f"{server.url}/admin", headers=headers).status_code in (401, 403)
    assert httpx.post(f"{server.url}/admin/results/clear", headers=headers).status_code in (401, 403)


def test_an_admin_comes_in_from_elsewhere_by_token(server: Server) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    tokens = {rights: give_token(server.data, "--rights", rights) for rights in ("run", "admin")}
    for given in (None, tokens["run"], "no-token-of-this-server", tokens["admin"][:-1]):
        told = httpx.get(f"{server.url}/admin", headers=elsewhere, auth=None if given is None else ("anyone", given))
        assert told.status_code == 401, given
        assert told.headers["www-authenticate"].startswith("Basic "), given
        page = httpx.get(f"{server.url}/admin", headers={**elsewhere, "Accept": "text/html"})
        assert page.headers["www-authenticate"].startswith("Basic ")
    assert httpx.get(f"{server.url}/admin", headers=elsewhere, auth=("", tokens["admin"])).status_code == 200
    bearer = {**elsewhere, "Authorization": f"Bearer {tokens['admin']}"}
    assert httpx.get(f"{server.url}/admin", headers=bearer).status_code == 200
    assert tokens["admin"] not in server.log.read_text()


@pytest.mark.attack("forged token")
def test_what_is_no_password_lets_no_one_in(server: Server) -> None:
    for given in ("Basic", "Basic !", "Basic /w==", "Basic Og==", "Digest a"):
        headers = {"Authorization": given, "X-Forwarded-For": "203.0.113.9"}
        assert httpx.get(f"{server.url}/admin", headers=headers).status_code == 401, given


def test_a_browser_sends_the_origin_with_its_buttons_and_no_script_runs(server: Server) -> None:
    page = httpx.get(f"{server.url}/admin")
    # With no-referrer a browser would send `Origin: null`.
    assert page.headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "no-store" in page.headers["cache-control"]
    assert "<script" not in page.text


def test_an_unknown_run_is_not_found(server: Server) -> None:
    told = httpx.post(f"{server.url}/admin/runs/none/stop", headers={"Origin": server.url})
    assert told.status_code == 404


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (18_350_000, "18.4 MB"), (5e12, "5 TB")]
)
def test_bytes_in_words(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.012 s"), (9.96, "10 s"), (61, "61 s"), (300, "5 min"), (7300, "2 h"), (400_000, "5 days")],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert format_s(seconds) == text
