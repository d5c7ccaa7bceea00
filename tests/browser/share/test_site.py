"""A site that `mhc-scope site` wrote, on a plain file server and in a folder of it: everything but computing works."""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect

from mhc_scope.commands import site
from mhc_scope.presets import OPENING, PRESETS
from mhc_scope.presets.records import read_result
from tests.browser.conftest import wait_until, wait_until_done
from tests.browser.look.test_access import audit
from tests.conftest import Server, compute
from tests.ports import free_port

pytestmark = pytest.mark.full

GRID = {"depth": [8, 64], "connection.streams": [4], "connection.noise": [0.1, 0.3]}
SPECS = [{"depth": 6, "width": 16, "connection": {"kind": kind}} for kind in ("hc", "mhc")]
LUCIDRAINS = "v=1&connection.init=lucidrains"
STOPS = "This page has no server: its sliders stop at settings that were computed before."
MISSING = "This page has no server. Run mhc-scope serve to compute this."
TITLE = "A stored view"
# Of HC in the opening view.
SHIPPED = f"×{read_result(OPENING.specs[1].id).layers['composite_gain_fwd'].max():.0f}"


class Site:
    """Pages of the site in a profile that reaches nothing else; what they did."""

    def __init__(self, browser: Browser, url: str, view: str) -> None:
        self.url, self.view, self.faults = url, view, list[str]()
        self.context = browser.new_context(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
        self.context.route("**/*", self._let_through)
        self.context.new_page().goto(f"{url}api/schema.json")  # stays: with its last page the process ends

    def open(self, path: str = "") -> Page:
        """A page of the site, once all runs are shown."""
        page = self.context.new_page()
        page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("response", self._note_status)
        page.goto(self.url + path)
        wait_until_done(page)
        return page

    def check(self) -> None:
        """Close the pages of a test; nothing was wrong with any."""
        for page in self.context.pages[1:]:
            page.close()
        faults, self.faults = self.faults, []
        assert faults == []

    def _let_through(self, route: Route) -> None:
        if route.request.url.startswith((self.url, "data:", "blob:")):
            route.continue_()
        else:
            self.faults.append(f"request to {route.request.url}")
            route.abort()

    def _note_status(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What a file server serves, with the site in a folder of it, and the id of its stored view."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, spec) for spec in SPECS]
        view = {"runs": runs, "state": "v=1&depth=6&width=16&runs=hc,mhc", "title": TITLE}
        stored = http.post("/snapshots", json=view).json()["id"]
    top = tmp_path_factory.mktemp("www")
    known = argparse.Namespace(folder=top / "course" / "scope", grid="test", view=[stored], data=server.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(site.GRIDS, "test", GRID)
        with ThreadPoolExecutor() as thread:  # this one has the browser's event loop
            assert thread.submit(site.run, known).result() == 0
    return top, stored


@pytest.fixture(scope="module")
def file_server(folder: tuple[Path, str]) -> Iterator[str]:
    """The address of the site."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder[0])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/course/scope/"
    try:
        for _ in range(100):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url)
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def opened(browser: Browser, folder: tuple[Path, str], file_server: str) -> Iterator[Site]:
    """The site in a browser profile of this file."""
    site = Site(browser, file_server, folder[1])
    yield site
    site.context.close()


@pytest.fixture
def pages(opened: Site) -> Iterator[Site]:
    """The site, without open pages."""
    yield opened
    opened.check()


def read_gain(page: Page, run: str) -> str:
    """The forward gain of a run, as the table of results says it."""
    row = page.locator(".results-table tbody tr").filter(has_text=run)
    return row.locator("td").first.inner_text().strip()


def test_the_story_opens_with_its_curves(pages: Site) -> None:
    page = pages.open()
    assert read_gain(page, "B HC") == SHIPPED
    assert read_gain(page, "C mHC") == "×1.00"
    for _ in range(5):
        page.locator(".steps .next").click()
        wait_until_done(page)
    expect(page.locator(".site-note")).to_have_text(STOPS)


def test_sliders_stop_at_written_runs_and_show_all_of_them(pages: Site) -> None:
    page = pages.open()
    drift = page.get_by_role("slider", name="Drift σ")
    assert drift.get_attribute("max") == "1"
    box = drift.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2, steps=8)
    wait_until(page, lambda: read_gain(page, "B HC") != SHIPPED)  # while the button is held
    page.mouse.up()
    wait_until_done(page)
    expect(page.locator(".slider[data-path='connection.noise'] output")).to_have_text("0.10")
    low = read_gain(page, "B HC")
    page.get_by_role("slider", name="Depth").press("Home")
    wait_until_done(page)
    expect(page.locator("#headline")).to_have_text("One signal, 8 layers, three ways to connect them")
    assert read_gain(page, "B HC") != low
    page.go_back()
    wait_until_done(page)
    assert read_gain(page, "B HC") == low


def test_settings_between_the_written_ones_show_their_gains(pages: Site) -> None:
    page = pages.open()
    page.evaluate("(view) => { location.hash = view; }", f"{LUCIDRAINS}&depth=40&connection.noise=0.2")
    expect(page.locator(".site-note")).to_contain_text("only the gains of these settings are known")
    expect(page.locator("#headline")).to_have_text("One signal, 40 layers, three ways to connect them")
    assert read_gain(page, "C mHC") == "×1.00"
    expect(page.locator(".topbar .status")).to_have_attribute("data-phase", "idle")


def test_a_stack_deeper_than_all_written_ones_is_not_shown_in_part(pages: Site) -> None:
    page = pages.open()
    page.evaluate("(view) => { location.hash = view; }", f"{LUCIDRAINS}&depth=200")
    expect(page.locator(".site-note")).to_have_text(MISSING)
    assert read_gain(page, "B HC") == SHIPPED
    expect(page.locator(".results-table tr.stale")).to_have_count(3)


def test_what_was_not_computed_is_said_and_not_awaited(pages: Site) -> None:
    page = pages.open()
    page.evaluate("location.hash = 'v=1&width=32'")
    expect(page.locator(".site-note")).to_have_text(MISSING)
    expect(page.locator(".topbar .status")).to_have_text("")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_link_to_what_was_not_computed_shows_the_story_and_says_so(pages: Site) -> None:
    page = pages.open("#v=1&width=32")
    expect(page.get_by_role("alert")).to_contain_text("this page has no server and no runs of these settings")
    assert read_gain(page, "B HC") == SHIPPED


def test_the_gallery_opens_and_a_preset_of_it(pages: Site) -> None:
    page = pages.open()
    page.get_by_role("button", name="Examples").click()
    gallery = page.get_by_role("dialog", name="Examples")
    expect(gallery.locator(".gallery-card")).to_have_count(len(PRESETS))
    expect(gallery.locator("dd").filter(has_text="…")).to_have_count(0)
    preset = PRESETS[3]
    gallery.get_by_role("link", name=preset.title).click()
    wait_until_done(page)
    assert page.url == f"{pages.url}preset-{preset.name}.html"
    page.reload()
    wait_until_done(page)
    expect(page.get_by_role("region", name="Preset").get_by_role("heading")).to_have_text(preset.title)
    expect(page.locator(".preset-numbers")).not_to_contain_text("…")


def test_a_stored_view_has_its_page(pages: Site) -> None:
    page = pages.open(f"view-{pages.view}.html")
    expect(page.get_by_text(f"Snapshot {TITLE}")).to_be_visible()
    expect(page.locator(".results-table tbody tr:not(.findings)")).to_have_count(2)


def test_nothing_is_offered_that_needs_a_server(pages: Site) -> None:
    page = pages.open()
    for name in ("Share", "Sweep", "Run", "Another seed"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Verify")).to_have_count(0)
    page.get_by_role("button", name="All settings").click()
    expect(page.get_by_role("button", name="Import a recording")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More", exact=True).click()
    expect(page.get_by_role("button", name="API")).to_have_count(0)


def test_sections_open(pages: Site) -> None:
    page = pages.open()
    for summary in page.locator("details.section > summary").all():
        summary.click()
    wait_until_done(page)
    expect(page.locator(".error")).to_have_count(0)


def test_the_page_has_no_faults_of_access(pages: Site) -> None:
    audit(pages.open(), "a page without a server")
