"""A first visit: cold cache, default view, server on this machine. `python -m benchmarks.visit` prints rows.

The clock is the page's own and starts with the navigation. The story is drawn when every run has its gain, and
the view when nothing in sight waits to be drawn. Bytes are those of the responses as they travel, headers included.
Layout shift is the sum of what the browser reports without a hand on the page (web.dev/cls takes the worst 5 s of it).
"""

import statistics
import time

import httpx
from playwright.sync_api import Browser, ViewportSize, expect

from benchmarks.chromium import VIEWPORT, open_chromium
from benchmarks.rows import Row, print_rows
from mhc_scope.presets import OPENING
from tests.conftest import Server

VISITS = 11
STORED_S = 60.0
TARGET_STORY_S, TARGET_S, TARGET_MB, TARGET_SHIFT = 1.0, 2.0, 0.95, 0.05

CLOCK = """
window.visit = { story: null, all: null };
const look = () => {
  const gains = [...document.querySelectorAll('.results tbody tr:not(.stale) td:first-of-type')];
  const isTold = gains.length === 3 && gains.every((item) => /\\d/.test(item.textContent));
  const isDone = document.querySelector('.status')?.dataset.phase === 'idle';
  if (window.visit.story === null && isTold && isDone) window.visit.story = performance.now();
  const isDrawn = document.querySelector('[data-panel=gain] .main-svg') !== null;
  if (window.visit.story !== null && isDrawn && !document.querySelector('[aria-busy=true], .stale')) {
    window.visit.all = performance.now();
  } else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


# Moves of what is in sight, each as the share of the screen times how far; with what moved, for those who mend it.
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    const moved = sources.map(({ node, previousRect, currentRect }) =>
      `${node?.nodeName}.${node?.className ?? ''} ${previousRect?.y} > ${currentRect?.y}`);
    if (!hadRecentInput) window.shifts.push({ value, moved });
  }
}).observe({ type: 'layout-shift', buffered: true });
"""
SHIFTED_AGAINST = "the most of /, /#v=1 and a preset's page, at 1440 and 390 px, cold cache"
SHIFTED_PAGES = ("/", "/#v=1", "/p/mhc_fig_7")
SHIFTED_SIZES: tuple[ViewportSize, ...] = (VIEWPORT, {"width": 390, "height": 844})


def wait_until_stored(server: Server) -> None:
    """Wait until the server has computed the page's default runs, which it does when it starts."""
    specs = [spec.model_dump(mode="json") for spec in OPENING.specs]
    deadline = time.monotonic() + STORED_S
    while time.monotonic() < deadline:
        runs = httpx.post(f"{server.api}/runs/compare", json=specs).json()
        if all(run["status"] == "done" for run in runs):
            return
        time.sleep(0.2)
    raise RuntimeError("the opening comparison was not computed in time")


def visit_once(browser: Browser, url: str, viewport: ViewportSize = VIEWPORT) -> dict[str, float]:
    """Return the seconds to the story and to the whole view, megabytes and layout shift, with an empty cache."""
    context = browser.new_context(viewport=viewport)
    page = context.new_page()
    page.add_init_script(CLOCK)
    page.add_init_script(SHIFTS)
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    sizes: list[float] = []
    devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    while not (found := page.evaluate("window.visit"))["all"]:
        page.wait_for_timeout(20)
    page.wait_for_load_state("networkidle")
    shift = sum(item["value"] for item in page.evaluate("window.shifts"))
    context.close()
    return {
        "story": found["story"] / 1e3,
        "all": found["all"] / 1e3,
        "megabytes": sum(sizes) / 1e6,
        "shift": shift,
    }


def measure_shift(browser: Browser, server: Server) -> float:
    """Return the largest layout shift over pages and sizes. First open each page once, to store its runs."""
    for path in SHIFTED_PAGES:
        page = browser.new_page()
        page.goto(server.url + path)
        expect(page.locator(".status")).to_have_attribute("data-phase", "idle", timeout=60_000)
        page.close()
    return max(
        visit_once(browser, server.url + path, size)["shift"] for path in SHIFTED_PAGES for size in SHIFTED_SIZES
    )


def measure(browser: Browser, server: Server, visits: int = VISITS) -> dict[str, float]:
    """Return the medians over the visits, including the first, which warms the server's caches."""
    wait_until_stored(server)
    found = [visit_once(browser, server.url) for _ in range(visits)]
    return {key: statistics.median(item[key] for item in found) for key in found[0]}


def main() -> None:
    """Print the rows."""
    with open_chromium() as (browser, server):
        found = measure(browser, server)
        shift = measure_shift(browser, server)
    against = f"default view, cold cache, Chromium, {VISITS} visits"
    print_rows(
        [
            Row("first visit to the story", against, found["story"], "s", TARGET_STORY_S),
            Row("first visit to the whole view in sight", against, found["all"], "s", TARGET_S),
            Row("first visit, over the wire", against, found["megabytes"], "MB", TARGET_MB),
            Row("layout shift of a first visit", SHIFTED_AGAINST, shift, "", TARGET_SHIFT),
        ]
    )


if __name__ == "__main__":
    main()
