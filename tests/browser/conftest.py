"""The page in a real Chromium against a real server process. A console error or a request elsewhere fails the test."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    expect,
    sync_playwright,
)

from mhc_core.record.codec import decode_line
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from tests.conftest import Server
from tests.traced import add_trace

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
# One process for all pages of a profile: it compiles the page's code once, and not for each test.
SHARED = "--process-per-site"
PERMISSIONS = ["clipboard-read", "clipboard-write"]
READY_MS = 60_000  # the first comparison is computed while other tests share the machine

OpenPage = Callable[..., Page]

expect.set_options(timeout=20_000)


SHELL = "chromium-headless-shell"  # Chromium without windows: the same page for a sixth less processor time
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium(*preferred: str) -> str | None:
    """The first of these programs that is installed, or else a Chromium; None for the one of playwright."""
    names = (os.environ.get("MHC_TEST_CHROMIUM", ""), *preferred, *BROWSERS, SHELL)
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_chromium(SHELL), args=[*FLAGS, SHARED])
        yield launched
        launched.close()


class Watch:
    """Collects what a page must not do."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.faults: list[str] = []
        self.allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        """Expect a console line, such as the browser's own about a refusal that the test provokes."""
        self.allowed.append(pattern)

    def on_console(self, message: ConsoleMessage) -> None:
        """Errors and warnings count."""
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        """Nothing is loaded from elsewhere."""
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.faults.append(f"request to {request.url}")

    def check(self) -> None:
        """Fail on what was not expected."""
        left = [fault for fault in self.faults if not any(re.search(pattern, fault) for pattern in self.allowed)]
        self.faults.clear()
        assert left == []


@pytest.fixture
def watch(server: Server) -> Watch:
    """What the test's pages did."""
    return Watch(server.url)


@pytest.fixture(scope="session")
def profile(browser: Browser, server: Server) -> BrowserContext:
    """The profile that pages of the server share; one page of it stays open, for its process ends with the last."""
    context = browser.new_context(permissions=PERMISSIONS)
    context.new_page().goto(f"{server.url}/livez")
    return context


@pytest.fixture(scope="session")
def traced(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The shared server, which has the trace of `tests/traced.py` from now on."""
    add_trace(server, tmp_path_factory.mktemp("traced"))
    return server


@pytest.fixture(scope="session")
def kept() -> set[Page]:
    """Pages that outlive a test, for others of its file."""
    return set()


@pytest.fixture
def visitor(profile: BrowserContext, kept: set[Page]) -> Iterator[BrowserContext]:
    """An unused profile; afterwards nothing of the test is left in it."""
    yield profile
    first, *others = profile.pages
    for page in others:
        if page not in kept:
            page.close()
    first.evaluate("localStorage.clear()")
    profile.set_offline(False)
    profile.clear_permissions()
    profile.grant_permissions(PERMISSIONS)


@pytest.fixture
def open_page(visitor: BrowserContext, watch: Watch) -> Iterator[OpenPage]:
    """Open an address of the server, by default at 1440 px in the dark theme, and wait until all runs are shown."""
    yield partial(load_page, visitor, watch)
    watch.check()


def load_page(
    context: BrowserContext,
    watch: Watch,
    path: str = "/",
    *,
    width: int = 1440,
    height: int = 1000,
    theme: str = "dark",
    wait: bool = True,
) -> Page:
    """A new page at an address of the watched server."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.on("console", watch.on_console)
    page.on("pageerror", lambda error: watch.faults.append(f"exception: {error}"))
    page.on("request", watch.on_request)
    page.goto(watch.origin + path)
    if wait:
        wait_until_done(page)
    return page


class Shown:
    """Pages that the tests of one file look at, by address and look, and what they did."""

    def __init__(self, context: BrowserContext, watch: Watch, kept: set[Page]) -> None:
        self.watch = watch
        self._context, self._kept = context, kept
        self._pages: dict[object, Page] = {}

    def see(self, path: str = "/", **look: Any) -> Page:
        """The page that shows this, at its top; loaded if no test has looked at it yet."""
        key = (path, *sorted(look.items()))
        if key not in self._pages:
            self._pages[key] = load_page(self._context, self.watch, path, **look)
            self._kept.add(self._pages[key])
        page = self._pages[key]
        page.evaluate("scrollTo(0, 0)")
        return page

    def close(self) -> None:
        """Close all of them."""
        for page in self._pages.values():
            self._kept.discard(page)
            page.close()
        self._pages.clear()


@pytest.fixture(scope="module")
def shown(profile: BrowserContext, server: Server, kept: set[Page]) -> Iterator[Shown]:
    """The pages of this file."""
    pages = Shown(profile, Watch(server.url), kept)
    yield pages
    pages.close()


@pytest.fixture
def see_page(visitor: BrowserContext, shown: Shown, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """As `open_page`, for tests that only look or undo what they did: those of one file get the same page."""
    failed = request.session.testsfailed
    yield shown.see
    if request.session.testsfailed > failed:
        shown.close()  # Who knows what was left undone.
    shown.watch.check()


# Two frames: by then the page has rendered what was done to it, and what is to be drawn anew says that it waits.
SETTLED = """() => new Promise((done) => {
    setTimeout(done, 500); // should no frame come
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
})"""


# Resolves soon after the conditions of `wait_until_done` hold; `expect` looks once a second in the end.
DONE = """(limit) => new Promise((done) => {
    const end = performance.now() + limit;
    const look = () => {
        const isIdle = document.querySelector('.topbar .status')?.dataset.phase === 'idle';
        const waits = document.querySelector('[aria-busy=true], .stale');
        if ((isIdle && !waits && document.querySelector('.plot .main-svg')) || performance.now() > end) done();
        else setTimeout(look, 20);
    };
    look();
})"""


def wait_until_done(page: Page) -> None:
    """Until every run has said what it found, and what is in sight is drawn."""
    status = page.locator(".topbar .status")
    expect(status).to_be_attached()
    page.evaluate(SETTLED)
    with contextlib.suppress(Error):  # the page goes elsewhere meanwhile: the checks below wait for it too
        page.evaluate(DONE, READY_MS)
    expect(status).to_have_attribute("data-phase", "idle", timeout=READY_MS)
    expect(page.locator(".plot .main-svg").first).to_be_attached()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".stale")).to_have_count(0)


def open_settings(page: Page) -> Locator:
    """The drawer of all settings, with everything in it unfolded."""
    drawer = page.locator(".drawer")
    if drawer.count() == 0:
        page.get_by_role("button", name="All settings").click()
    expect(drawer.locator(".field").first).to_be_attached()
    drawer.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    return drawer


def type_setting(page: Page, name: str, value: object) -> None:
    """Enter a number in the field of a setting."""
    field = open_settings(page).get_by_role("spinbutton", name=f"{name}, exact").last
    field.fill(str(value))
    field.press("Enter")


def expect_layer(page: Page, layer: int, of: int) -> None:
    """That the cursor is at a layer, both from 1."""
    slider = page.get_by_role("slider", name="Layer", exact=True)
    expect(slider).to_have_attribute("aria-valuetext", f"layer {layer} of {of}")


# The section that has a panel; the strip has the others.
SECTIONS = {
    **dict.fromkeys(("mixing", "detail", "streams", "gates"), "mixing"),
    **dict.fromkeys(("similarity", "cka"), "similarity"),
    **dict.fromkeys(("unfolded", "theory", "gauge", "basis", "eigenvalues"), "expert"),
    "training": "training",
    "cost": "cost",
}


def open_section_of(page: Page, panel: str) -> None:
    """Open the section that has a panel, unless the panel is on the page already."""
    if panel in SECTIONS and page.locator(f"#panel-{panel}").count() == 0:
        page.locator(f"#section-{SECTIONS[panel]} > summary").click()
        expect(page.locator(f"#panel-{panel}")).to_be_attached()


PLOTTED = "key => document.querySelector(`[data-panel=${key}] .plot`)?.data !== undefined"


def wait_until_drawn(page: Page, panel: str) -> None:
    """Until a figure shows what came last: one that is out of sight follows a moment after all is done."""
    open_section_of(page, panel)
    page.evaluate(SETTLED)
    expect(page.locator(f"[data-panel={panel}] .plot-box:not([data-waits])")).to_be_attached()
    wait_until(page, lambda: page.evaluate(PLOTTED, panel))  # a sketch comes first


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    """Until it holds; asked over the debugger, for the page's policy lets nothing be evaluated in it."""
    deadline = time.monotonic() + READY_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def to_rgb(color: str) -> tuple[int, int, int]:
    """A colour #rrggbb as three numbers."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue


def to_css(color: str) -> str:
    """A colour #rrggbb as a computed style gives it."""
    return "rgb({}, {}, {})".format(*to_rgb(color))


def save(page: Page, path: Path) -> None:
    """A picture for the person who looks into a failure."""
    page.screenshot(path=path)


def read_result(server: Server, spec: RunSpec) -> Result:
    """A run that the server has, or is computing, from its frames."""
    address = f"{server.api}/runs/{spec.id}/events"
    result = Result()
    for line in httpx.get(address, headers={"Accept": "application/x-ndjson"}, timeout=120).text.splitlines():
        result.add(decode_line(line.encode()))
    return result


def choose_more(page: Page, item: str) -> None:
    """Take an item of the menu at the end of the top bar."""
    page.locator(".topbar").get_by_role("button", name="More", exact=True).click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{item}")).click()


def open_share(page: Page) -> Locator:
    """The dialog, before anything is stored."""
    page.get_by_role("button", name="Share", exact=True).click()
    dialog = page.get_by_role("dialog", name="Share")
    expect(dialog).to_be_visible()
    return dialog


def create_link(page: Page) -> str:
    """Create a snapshot link, in the dialog that is open or is opened for it."""
    dialog = page.get_by_role("dialog", name="Share")
    if not dialog.is_visible():
        open_share(page)
    dialog.get_by_role("button", name="Create link").click()
    link = dialog.get_by_label("Snapshot link")
    expect(link).to_contain_text("/s/")
    return link.text_content() or ""
