"""A hand on the page: a long drag of the depth slider, and the layer cursor. `python -m benchmarks.interaction`.

Every drag goes over thirty values of the depth at the default spec under a seed that nobody has computed, a value each
`MOVE_MS`. The clocks run in the page: from the first `input` event to the first new curve, and from `change`, the
release, to the frame in which every run has ended and nothing waits or is dimmed. Tasks of the main thread that the
browser calls long (over 50 ms) are collected all the while.

The cursor is moved one layer every animation frame for `CURSOR_S`; a frame counts when the cursor has been drawn anew.
"""

import statistics

from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import DONE, VIEWPORT, grab_depth, open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import wait_until_done

DRAGS, VALUES, MOVE_MS = 15, 30, 50
FIRST_SEED = 20_000
FIRST_DEPTH = 24
CURSOR_DEPTH, CURSOR_S = 256, 3.0

CLOCK = (
    DONE
    + """
window.drag = { first: null, last: null };
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
}).observe({ type: 'longtask' });
const lengths = () =>
  JSON.stringify((document.querySelector('[data-panel=activation] .plot')?.data ?? []).map((trace) => trace.y?.length));
addEventListener('input', (event) => {
  if (event.target.id !== 'field-depth' || window.drag.begun) return;
  const begun = performance.now();
  const before = lengths();
  window.longest = 0;
  window.drag = { begun, first: null, last: null };
  const look = () => {
    if (lengths() !== before) window.drag.first = performance.now() - begun;
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, true);
addEventListener('change', (event) => {
  if (event.target.id !== 'field-depth') return;
  const released = performance.now();
  const look = () => {
    if (isDone()) window.drag.last = performance.now() - released;
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, true);
"""
)

SCRUB = """
(seconds) => new Promise((resolve) => {
  const range = document.querySelector('.scrubber input[type=range]');
  const overlay = document.querySelector('[data-panel=gain] .overlay');
  const begun = performance.now();
  let frames = 0;
  let drawn = overlay.innerHTML;
  const step = () => {
    if (overlay.innerHTML !== drawn) frames++;
    drawn = overlay.innerHTML;
    const now = performance.now();
    if (now - begun > 1000 * seconds) return resolve(1000 * frames / (now - begun));
    range.value = String(Number(range.value) === Number(range.max) ? range.min : Number(range.value) + 1);
    range.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


def drag_once(page: Page, url: str, seed: int) -> dict[str, float]:
    """Milliseconds to the first new curve and from the release to the last, and the longest task."""
    page.goto("about:blank")
    page.goto(f"{url}/#v=1&depth={FIRST_DEPTH}&seed={seed}")
    wait_until_done(page)
    move = grab_depth(page)
    for step in range(1, VALUES + 1):
        move(step)
        page.wait_for_timeout(MOVE_MS)
    page.mouse.up()
    while (found := page.evaluate("window.drag"))["last"] is None:
        page.wait_for_timeout(20)
    assert found["first"] is not None, "no curve has moved"
    return {"first": found["first"], "last": found["last"], "longest": page.evaluate("window.longest")}


def measure_drags(browser: Browser, url: str, drags: int = DRAGS) -> dict[str, float]:
    """Medians of the waits, and the longest task of all drags."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(CLOCK)
    found = [drag_once(page, url, FIRST_SEED + index) for index in range(drags)]
    page.close()
    return {
        "first": statistics.median(item["first"] for item in found),
        "last": statistics.median(item["last"] for item in found),
        "longest": max(item["longest"] for item in found),
    }


def measure_cursor(browser: Browser, url: str) -> float:
    """Frames a second in which the cursor of the gain panel was drawn, three runs of 256 layers on the page."""
    page = browser.new_page(viewport=VIEWPORT)
    page.goto(f"{url}/#v=1&depth={CURSOR_DEPTH}")
    wait_until_done(page)
    expect(page.locator(".scrubber input[type=range]")).to_have_attribute("max", str(CURSOR_DEPTH))
    frames: float = page.evaluate(SCRUB, CURSOR_S)
    page.close()
    return frames


def main() -> None:
    """Print the rows."""
    with open_chromium() as (browser, server):
        drags = measure_drags(browser, server.url)
        frames = measure_cursor(browser, server.url)
    against = f"{DRAGS} drags over {VALUES} depths, default spec, Chromium"
    print_rows(
        [
            Row("first curve moves after a drag begins", against, drags["first"], "ms", 150),
            Row("release of a long drag to final curves", against, drags["last"], "ms", 600),
            Row("longest task of the main thread while streaming", against, drags["longest"], "ms", 100),
            Row("cursor at depth 256", "3 runs, Chromium", frames, "frames/s", 50, at_least=True),
        ]
    )


if __name__ == "__main__":
    main()
