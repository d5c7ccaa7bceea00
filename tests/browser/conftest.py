"""The page in a real Chromium against a real server process. A console error or a request elsewhere fails the test."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.conftest import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
READY_MS = 60_000  # the first comparison is computed while other tests share the machine

OpenPage = Callable[..., Page]

expect.set_options(timeout=20_000)


def find_chromium() -> str | None:
    """The system's Chromium, or None for the one that playwright has installed."""
    named = os.environ.get("MHC_TEST_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
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
        assert left == []


@pytest.fixture
def watch(server: Server) -> Watch:
    """What the test's pages did."""
    return Watch(server.url)


@pytest.fixture
def open_page(browser: Browser, server: Server, watch: Watch) -> Iterator[OpenPage]:
    """Open an address of the server, by default at 1440 px in the dark theme, and wait until all runs are shown."""
    contexts: list[BrowserContext] = []

    def build(
        path: str = "/", *, width: int = 1440, height: int = 1000, theme: str = "dark", wait: bool = True
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", watch.on_console)
        page.on("pageerror", lambda error: watch.faults.append(f"exception: {error}"))
        page.on("request", watch.on_request)
        page.goto(server.url + path)
        if wait:
            wait_until_done(page)
        return page

    yield build
    for context in contexts:
        context.close()
    watch.check()


def wait_until_done(page: Page) -> None:
    """Until every run has said what it found, and what is in sight is drawn."""
    expect(page.locator(".topbar .status")).to_contain_text(re.compile(r"\d runs? (stored|in )"), timeout=READY_MS)
    expect(page.locator("[data-panel=gain] .plot .main-svg").first).to_be_attached()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(".stale")).to_have_count(0)


def wait_until_drawn(page: Page, panel: str) -> None:
    """Until a figure shows what came last: one that is out of sight follows a moment after all is done."""
    expect(page.locator(f"[data-panel={panel}] .plot-box:not([data-waits])")).to_be_attached()


def save(page: Page, path: Path) -> None:
    """A picture for whoever looks into a failure."""
    page.screenshot(path=path)
