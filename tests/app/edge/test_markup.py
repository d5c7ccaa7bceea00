"""Markup in whatever a request says: no page repeats it as markup, and no answer with it can be taken for a page."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import Server

pytestmark = pytest.mark.full

MARKUP = "<svg/onload=alert(1)>"
ENDS = "</script><script>alert(1)</script>"
BREAKS = '"><img src=x onerror=alert(1)>'
PLACES = (
    "/s/{}",
    "/embed/{}",
    "/p/{}",
    "/nothing/{}",
    "/?x={}",
    "/docs?x={}",
    "/api/v1/runs/{}",
    "/api/v1/runs/events?ids={}",
    "/api/v1/runs/x/figures/{}",
    "/api/v1/panels?theme={}",
)
HEADERS = ("X-Request-ID", "Accept", "Referer", "User-Agent", "Cookie", "Last-Event-ID")


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the server, with patience."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def check(answer: httpx.Response, text: str) -> None:
    """It is no page that a browser would run the text in."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'unsafe-inline'" not in answer.headers["content-security-policy"]
    assert all(text not in value for value in answer.headers.values())
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert text not in answer.text
    else:
        assert "json" in answer.headers.get("content-type", "json")


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("place", PLACES)
def test_an_address_is_not_repeated_as_markup(web: httpx.Client, place: str) -> None:
    for text in (MARKUP, ENDS, BREAKS):
        for accepted in ("text/html", "application/json"):
            check(web.get(place.format(quote(text, safe="")), headers={"Accept": accepted}), text)


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_not_repeated_as_markup(web: httpx.Client, name: str) -> None:
    for path in ("/", "/nothing", "/api/v1/runs/x"):
        for text in (MARKUP, ENDS):
            check(web.get(path, headers={name: text}), text)


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("field", ["depth", "connection", "input", MARKUP])
def test_a_refused_body_is_repeated_as_json_alone(web: httpx.Client, field: str) -> None:
    answer = web.post("/api/v1/runs", json={field: MARKUP}, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
