"""Pages of listed origins may call the API; those of others may not."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from mhc_scope.settings import Settings
from tests.conftest import Server, start_server

NOTES, PAPER, STRANGER = "https://notes.example.org", "http://localhost:3000", "https://notes.example.org.evil.net"
FreshSpec = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lists two origins."""
    flags = ("--no-precompute", "--workers", "1", "--cors-origins", f"{NOTES},{PAPER}")
    running = start_server(tmp_path_factory.mktemp("cors"), *flags, ready="/livez")
    yield running
    running.kill()


def ask_first(server: Server, origin: str, headers: str) -> httpx.Response:
    """What a browser asks before a POST that is more than a form's."""
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
    return httpx.options(f"{server.api}/runs", headers=asked)


@pytest.mark.full
@pytest.mark.parametrize("origin", [NOTES, PAPER])
def test_a_listed_page_starts_a_run_and_reads_the_answer(listing: Server, origin: str, fresh_spec: FreshSpec) -> None:
    before = ask_first(listing, origin, "content-type,last-event-id,authorization")
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == origin
    assert {"POST", "DELETE"} <= set(before.headers["access-control-allow-methods"].split(", "))
    answer = httpx.post(f"{listing.api}/runs", json=fresh_spec(), headers={"Origin": origin})
    assert answer.status_code == 202
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]
    assert "Location" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.full
def test_a_refusal_can_be_read_as_well(listing: Server) -> None:
    for body, status in ((b'{"depth": 0}', 422), (b" " * 1_000_001, 413)):
        answer = httpx.post(f"{listing.api}/runs", content=body, headers={"Origin": NOTES})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, NOTES)


def test_a_listed_page_may_start_and_read(listing: Server) -> None:
    before = ask_first(listing, NOTES, "content-type,last-event-id,authorization")
    answer = httpx.get(f"{listing.api}/presets", headers={"Origin": NOTES})
    for found in (before, answer):
        assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, NOTES)


@pytest.mark.full
def test_a_listed_page_follows_a_run(listing: Server, fresh_spec: FreshSpec) -> None:
    run = httpx.post(f"{listing.api}/runs", json=fresh_spec()).json()["id"]
    answer = httpx.get(f"{listing.api}/runs/{run}/events", headers={"Origin": NOTES}, timeout=60)
    assert answer.headers["access-control-allow-origin"] == NOTES
    assert "event: end" in answer.text


@pytest.mark.attack("CSRF")
def test_a_strangers_page_is_turned_away(listing: Server) -> None:
    before = ask_first(listing, STRANGER, "content-type")
    assert before.status_code == 400
    assert "access-control-allow-origin" not in before.headers
    answer = httpx.post(f"{listing.api}/runs", json={}, headers={"Origin": STRANGER})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_by_default_none_is_listed(server: Server) -> None:
    assert ask_first(server, NOTES, "content-type").status_code == 405
    answer = httpx.get(f"{server.api}/presets", headers={"Origin": NOTES})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("text", ["*", "notes.example.org", "https://notes.example.org/", "ftp://a.b", "http://a.b,*"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="wanted origins by commas, such as"):
        Settings(cors_origins=text)
