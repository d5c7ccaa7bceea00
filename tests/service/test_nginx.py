"""The server behind a real nginx, over TLS: at the root and below a path, with the Host header kept and not."""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.app.edge.nginx import PROGRAM, run_nginx
from tests.browser.conftest import FLAGS, SHELL, Watch, find_chromium, load_page
from tests.conftest import Server, compute, start_server
from tests.ports import free_port

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(PROGRAM is None, reason="nginx is missing: apt-get install nginx"),
]
ROOT = "/tools/mhc"
FreshSpec = Callable[..., dict[str, Any]]

# Lines of the file that other sites have otherwise.
NO_HOST = {"proxy_set_header Host $http_host;": ""}
STRIPPED = {"proxy_pass http://mhc-scope;": "proxy_pass http://mhc-scope/;"}
SITES: dict[str, tuple[str, dict[str, str]]] = {
    "path stripped, no host": (ROOT, STRIPPED | NO_HOST),
    "below a path": (ROOT, {}),
    "at the root": ("", {}),
    "path stripped": (ROOT, STRIPPED),
    "no host": ("", NO_HOST),
}


@dataclass
class Site:
    """A server and the address of nginx before it."""

    server: Server
    url: str
    folder: Path

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/")[:3])

    def open(self) -> httpx.Client:
        """HTTP that trusts its certificate."""
        trusting = ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))
        return httpx.Client(base_url=self.url, verify=trusting, timeout=60)


@pytest.fixture(scope="module", params=list(SITES.values()), ids=list(SITES))
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of each kind."""
    root_path, changes = request.param
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    is_host_kept = not NO_HOST.keys() & changes.keys()
    # Where the server is not told by what name it was asked, it must be told once and for all.
    names = [] if is_host_kept else ["--allowed-hosts", "mhc-scope", "--public-url", f"https://localhost:{port}"]
    flags = ("--no-precompute", "--workers", "1", "--root-path", root_path, *names)
    server = start_server(folder / "data", "--service", *flags)
    with run_nginx(server, folder, port, root_path, changes) as url:
        yield Site(server, url, folder)
    server.kill()


def on_first(count: int) -> pytest.MarkDecorator:
    """On so many kinds of site, the first of the list: tests of one kind stay together."""
    return pytest.mark.parametrize("site", list(SITES.values())[:count], ids=list(SITES)[:count], indirect=True)


@on_first(2)
def test_the_page_works_in_a_browser(site: Site) -> None:
    watch = Watch(site.url)  # a console error, or a request that is not below the path, is a fault
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(SHELL), args=FLAGS)
        page = load_page(browser.new_context(ignore_https_errors=True), watch, "/#v=1&depth=4&width=16")
        assert page.evaluate("location.pathname") == f"{site.url.removeprefix(site.origin)}/"
        assert page.locator(".brand").get_attribute("href") == f"{site.url.removeprefix(site.origin)}/"
        browser.close()
    watch.check()


def test_runs_start_and_frames_arrive_while_they_are_made(site: Site, fresh_spec: FreshSpec) -> None:
    with site.open() as http:
        answer = http.post("/api/v1/runs", json=fresh_spec(depth=8), headers={"Origin": site.origin})
        assert answer.status_code == 202
        links = answer.json()["links"]
        times = []
        spec = fresh_spec(depth=4, train={"steps": 20})
        with http.stream(
            "POST", "/api/v1/runs/compare", json=[spec], headers={"Accept": "text/event-stream"}
        ) as stream:
            for chunk in stream.iter_raw():
                times.append(time.monotonic())
                assert chunk
        assert len(times) > 3
        assert times[-1] - times[0] > 0.02, "they come one by one, and not when all are there"
        assert http.get(site.origin + links["self"]).status_code == 200
        assert answer.headers["location"] == links["self"]


def test_a_foreign_page_may_not_write(site: Site, fresh_spec: FreshSpec) -> None:
    with site.open() as http:
        for origin in ("https://evil.example", "https://mhc-scope.evil.example", "null"):
            assert http.post("/api/v1/runs", json=fresh_spec(), headers={"Origin": origin}).status_code == 403


def test_the_client_is_who_nginx_says_and_not_who_it_says_itself(site: Site) -> None:
    with site.open() as http:
        forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "127.0.0.1"}
        assert http.get("/metrics", headers=forged).status_code == 404
        assert http.get("/livez", headers=forged).status_code == 200
    log = site.server.log.read_text()
    assert "203.0.113.9" not in log


def test_files_are_compressed_and_kept(site: Site) -> None:
    with site.open() as http:
        page = http.get("/", headers={"Accept-Encoding": "br"})
        address = re.search(r'src="([^"]*/service/index\.js)"', page.text)
        assert address is not None
        for coding in ("br", "gzip"):
            answer = http.get(site.origin + address[1], headers={"Accept-Encoding": coding})
            assert answer.headers["content-encoding"] == coding
            assert "immutable" in answer.headers["cache-control"]
        assert http.get("/api/v1/schema", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
        cookie = page.headers.get("set-cookie", "")
        assert "Secure" in cookie
        assert f"Path={site.url.removeprefix(site.origin) or '/'}" in cookie


@on_first(1)
def test_a_trace_of_64_mb_passes(site: Site) -> None:
    with site.open() as http:
        answer = http.post("/api/v1/traces", content=b"x" * 63_000_000)
        assert (answer.status_code, json.loads(answer.text)["type"].rpartition("#")[2]) == (
            422,
            "problem-invalid-trace",
        )


def test_stored_views_and_previews_lead_back_through_nginx(site: Site, fresh_spec: FreshSpec) -> None:
    with site.open() as http:
        with site.open() as api:
            api.base_url = httpx.URL(f"{site.url}/api/v1")
            run_id = compute(api, fresh_spec())
        stored = http.post("/api/v1/snapshots", json={"runs": [run_id]}).json()
        page = http.get(site.origin + stored["url"])
        assert page.status_code == 200
        picture = re.search(r'property="og:image" content="([^"]*)"', page.text)
        assert picture is not None
        assert picture[1].startswith(f"{site.url}/s/")
        assert http.get(picture[1]).headers["content-type"] == "image/png"
