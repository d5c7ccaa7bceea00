"""A first visit: cold cache, default view, server on this machine. `python -m benchmarks.visit` prints rows.

The clock is the page's own and starts with the navigation. The story is drawn when every card has its headline, and
the view when nothing in sight waits to be drawn. Bytes are those of the responses as they travel, headers included.
"""

import statistics
import time

import httpx
from playwright.sync_api import Browser

from benchmarks.chromium import VIEWPORT, open_chromium
from benchmarks.rows import Row, print_rows
from tests.conftest import Server

VISITS = 11
STORED_S = 60.0
TARGET_S, TARGET_MB = 2.0, 1.0

CLOCK = """
window.visit = { story: null, all: null };
const look = () => {
  const headlines = [...document.querySelectorAll('.story-card:not(.stale) .headline')];
  const isTold = headlines.length === 3 && headlines.every((item) => /\\d/.test(item.textContent));
  const isDone = /runs stored/.test(document.querySelector('.status')?.textContent ?? '');
  if (window.visit.story === null && isTold && isDone) window.visit.story = performance.now();
  const isDrawn = document.querySelector('[data-panel=gain] .main-svg') !== null;
  if (window.visit.story !== null && isDrawn && !document.querySelector('[aria-busy=true], .stale')) {
    window.visit.all = performance.now();
  } else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def wait_until_stored(server: Server) -> None:
    """The server computes the default comparison when it starts; visits come later."""
    specs = [item["spec"] for item in httpx.get(f"{server.api}/presets").json()["presets"][0]["specs"]]
    deadline = time.monotonic() + STORED_S
    while time.monotonic() < deadline:
        runs = httpx.post(f"{server.api}/runs/compare", json=specs).json()
        if all(run["status"] == "done" for run in runs):
            return
        time.sleep(0.2)
    raise RuntimeError("the default comparison was not computed in time")


def visit_once(browser: Browser, url: str) -> dict[str, float]:
    """Seconds to the story and to the whole view, and megabytes received, in a context with an empty cache."""
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    page.add_init_script(CLOCK)
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    sizes: list[float] = []
    devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    while not (found := page.evaluate("window.visit"))["all"]:
        page.wait_for_timeout(20)
    page.wait_for_load_state("networkidle")
    context.close()
    return {"story": found["story"] / 1e3, "all": found["all"] / 1e3, "megabytes": sum(sizes) / 1e6}


def measure(browser: Browser, server: Server, visits: int = VISITS) -> dict[str, float]:
    """Medians over the visits; the first, which warms the server's own caches, counts like the others."""
    wait_until_stored(server)
    found = [visit_once(browser, server.url) for _ in range(visits)]
    return {key: statistics.median(item[key] for item in found) for key in found[0]}


def main() -> None:
    """Print the rows."""
    with open_chromium() as (browser, server):
        found = measure(browser, server)
    against = f"default view, cold cache, Chromium, {VISITS} visits"
    print_rows(
        [
            Row("first visit to the story", against, found["story"], "s", TARGET_S),
            Row("first visit to the whole view in sight", against, found["all"], "s", TARGET_S),
            Row("first visit, over the wire", against, found["megabytes"], "MB", TARGET_MB),
        ]
    )


if __name__ == "__main__":
    main()
