"""A server below a path of a larger site: every address begins with it, whether or not the proxy takes it off."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from mhc_scope.settings import Settings
from tests.conftest import Server, compute, start_server

pytestmark = pytest.mark.full

ROOT = "/tools/mhc"
# Attributes and strings that hold an address of a site: one that begins with a slash.
ADDRESS = re.compile(r"""(?:href|src|content)="(/[^"]*)"|"(/(?:static|vendor|api|s|p|embed|docs)\b[^"]*)\"""")


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server below a path."""
    running = start_server(tmp_path_factory.mktemp("below"), "--no-precompute", "--workers", "1", "--root-path", ROOT)
    yield running
    running.kill()


@pytest.fixture(params=["", ROOT], ids=["stripped", "kept"])
def site(request: pytest.FixtureRequest, below: Server) -> Iterator[httpx.Client]:
    """The server as a proxy asks it that takes the path off, and as one that does not."""
    with httpx.Client(base_url=below.url + request.param, timeout=60) as http:
        yield http


@pytest.fixture
def stored(site: httpx.Client, fresh_spec: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A stored view of one run."""
    with httpx.Client(base_url=str(site.base_url).rstrip("/") + "/api/v1", timeout=60) as api:
        run_id = compute(api, fresh_spec())
        answer = api.post("/snapshots", json={"runs": [run_id]})
    assert answer.headers["location"] == answer.json()["url"]
    snapshot: dict[str, Any] = answer.json()
    return snapshot


@pytest.mark.parametrize("page", ["/", "/docs", "/p/laws", "/s/{id}", "/embed/{id}", "/nowhere"])
def test_every_address_of_a_page_begins_with_it(site: httpx.Client, stored: dict[str, Any], page: str) -> None:
    answer = site.get(page.format(id=stored["id"]), headers={"Accept": "text/html"})
    addresses = [one or other for one, other in ADDRESS.findall(answer.text)]
    assert len(addresses) > 2
    assert [address for address in addresses if not address.startswith(f"{ROOT}/")] == []
    for address in {address for address in addresses if "/static/" in address or "/vendor/" in address}:
        assert site.get(str(site.base_url.copy_with(path=address))).status_code == 200, address


def test_links_of_previews_and_pictures_begin_with_it(site: httpx.Client, stored: dict[str, Any]) -> None:
    page = site.get(f"/s/{stored['id']}").text
    found = dict(re.findall(r'<meta property="(og:url|og:image)" content="([^"]*)">', page))
    origin = f"http://{site.base_url.netloc.decode()}"
    assert found["og:url"] == f"{origin}{ROOT}/s/{stored['id']}"
    assert httpx.get(found["og:image"], timeout=60).headers["content-type"] == "image/png"


def test_links_in_answers_begin_with_it(site: httpx.Client, fresh_spec: Callable[..., dict[str, Any]]) -> None:
    answer = site.post("/api/v1/runs", json=fresh_spec())
    links = answer.json()["links"]
    assert answer.headers["location"] == links["self"]
    assert all(link.startswith(f"{ROOT}/api/v1/runs/") for link in links.values())
    site.get(f"/api/v1/runs/{answer.json()['id']}/events", timeout=60)
    items = site.get(f"/api/v1/runs/{answer.json()['id']}/figures").json()
    assert all(item["href"].startswith(f"{ROOT}/api/v1/runs/") for item in items)
    sweep = site.post("/api/v1/runs/sweep", json={"spec": fresh_spec(), "x": {"field": "depth", "values": [2, 3]}})
    assert sweep.headers["location"].startswith(f"{ROOT}/api/v1/runs/sweep/")
    assert all(link.startswith(f"{ROOT}/api/v1/runs/") for link in sweep.json()["links"].values())
    streamed = site.post("/api/v1/runs/compare", json=[fresh_spec()], headers={"Accept": "text/event-stream"}).text
    submitted = json.loads(streamed.partition("data: ")[2].partition("\n")[0])
    assert submitted[0]["links"]["self"].startswith(f"{ROOT}/api/v1/runs/")


def test_problems_and_the_description_begin_with_it(site: httpx.Client) -> None:
    problem = site.get("/api/v1/runs/nothing").json()
    assert problem["type"] == f"{ROOT}/docs#problem-not-found"
    assert problem["instance"] == f"{ROOT}/api/v1/runs/nothing"
    refused = site.post("/api/v1/runs", content=b" " * 1_000_001).json()
    assert refused["type"] == f"{ROOT}/docs#problem-too-large"
    assert site.get("/openapi.json").json()["servers"] == [{"url": ROOT}]


def test_a_slash_too_much_leads_back_below_it(site: httpx.Client) -> None:
    assert site.get("/docs/").headers["location"].endswith(f"{ROOT}/docs")


def test_the_bare_path_leads_to_the_page(below: Server) -> None:
    answer = httpx.get(below.url + ROOT)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{below.url}{ROOT}/")


def test_what_only_begins_alike_is_not_below(below: Server) -> None:
    assert httpx.get(f"{below.url}{ROOT}ful/livez").status_code == 404
    assert httpx.get(f"{below.url}/tools/livez").status_code == 404


def test_traces_may_be_long_below_a_path(site: httpx.Client) -> None:
    answer = site.post("/api/v1/traces", content=b"x" * 2_000_000)
    assert answer.status_code == 422, "it is read, and is no trace"


def test_one_path_is_enough() -> None:
    assert Settings(public_url="https://a.example/tools/mhc/").root == ROOT
    both = Settings(public_url="https://a.example", root_path=f"{ROOT}/")
    assert (both.root, both.public_base) == (ROOT, f"https://a.example{ROOT}")
    assert Settings(public_url="https://a.example/tools/mhc", root_path=ROOT).public_base == f"https://a.example{ROOT}"
    assert Settings().public_base == ""


@pytest.mark.parametrize("path", ["tools", "//evil.example", "/a b", '/"><b>', "/..", "/a/../b", "/a//b", "/%2e"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="wanted a path such as"):
        Settings(root_path=path)


def test_two_paths_are_refused() -> None:
    with pytest.raises(ValidationError, match="wanted the path of MHC_PUBLIC_URL"):
        Settings(public_url="https://a.example/other", root_path=ROOT)
