"""Pages of the service repeat nothing that a request says as markup: the checks of the instrument's pages."""

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from tests.app.edge.test_markup import BREAKS, ENDS, MARKUP, check
from tests.conftest import Server

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the server, with patience."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("place", ["/r/{}", "/sign-in?next=/{}", "/?room={}"])
def test_an_address_is_not_repeated_as_markup(web: httpx.Client, place: str) -> None:
    for text in (MARKUP, ENDS, BREAKS):
        for accepted in ("text/html", "application/json"):
            check(web.get(place.format(quote(text, safe="")), headers={"Accept": accepted}), text)


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("text", [MARKUP, ENDS, BREAKS])
def test_the_name_of_a_room_is_not_repeated_as_markup(web: httpx.Client, text: str) -> None:
    for path in ("/", "/nothing", "/api/v1/runs/x"):
        for accepted in ("text/html", "application/json"):
            check(web.get(path, headers={"X-Room": text, "Accept": accepted}), text)
