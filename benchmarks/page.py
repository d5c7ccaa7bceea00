"""Slider release to redrawn curves, default spec, in Chromium: the median of 15 releases. `python -m benchmarks.page`.

Every release asks for three runs not computed before: the depth slider goes from 60 to 64 under a new seed. The
clock runs in the page, from the slider's `change` event to the frame in which every run has ended, nothing waits to
be drawn and nothing is dimmed any more.
"""

import statistics

from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import DONE, VIEWPORT, grab_slider, open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import wait_until_done

RELEASES = 15
FIRST_SEED = 1_000
TARGET_S = 1.0

CLOCK = (
    DONE
    + """
window.releases = [];
addEventListener('change', (event) => {
  if (event.target.id !== 'field-depth') return;
  const begun = performance.now();
  let first = null;
  const traces = () => document.querySelector('[data-panel=activation] .plot')?.data ?? [];
  const drawn = () => traces().some((trace) => trace.y?.length === 64);
  const look = () => {
    if (first === null && drawn()) first = performance.now() - begun;
    if (isDone() && first !== null) window.releases.push([first, performance.now() - begun]);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, true);
"""
)


def release_once(page: Page, url: str, seed: int) -> tuple[float, float]:
    """Return the seconds from a release to the first new curve, and to the last."""
    page.goto("about:blank")
    page.goto(f"{url}/#v=1&depth=60&seed={seed}")
    wait_until_done(page)
    move = grab_slider(page)
    move(1)
    move(2)
    page.mouse.up()
    expect(page.locator("output[for=field-depth]")).to_have_text("64")
    while not (found := page.evaluate("window.releases")):
        page.wait_for_timeout(20)
    first_ms, last_ms = found[-1]
    return first_ms / 1000, last_ms / 1000


def measure(browser: Browser, url: str, releases: int = RELEASES) -> dict[str, float]:
    """Return the medians and the slowest release, in seconds."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(CLOCK)
    times = [release_once(page, url, FIRST_SEED + index) for index in range(releases)]
    page.close()
    firsts, lasts = zip(*times, strict=True)
    return {"first": statistics.median(firsts), "last": statistics.median(lasts), "slowest": max(lasts)}


def main() -> None:
    """Print the rows."""
    with open_chromium() as (browser, server):
        found = measure(browser, server.url)
    against = f"default spec, Chromium, {RELEASES} releases"
    print_rows(
        [
            Row("slider release to redrawn curves", against, found["last"], "s", TARGET_S),
            Row("slider release to the first new curves", against, found["first"], "s", TARGET_S),
            Row("slowest slider release", against, found["slowest"], "s", 2 * TARGET_S),
        ]
    )


if __name__ == "__main__":
    main()
