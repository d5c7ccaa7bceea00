"""A click in the picture cuts a stream, in Chromium: time until the first change and until all curves are final.

`python -m benchmarks.cut`. The default view has a new seed each time, so that no run is stored. The clock runs in the
page, from the release of the button to the frame in which the list has the cut, and until every run has ended, nothing
waits to be drawn and nothing is dimmed, as after the release of a slider (`benchmarks.hand`). It does not begin with
the event `click`, which comes after the page has handled the release. Stream 1 is one that all three runs have; stream
2 exists in two of them.

The page requests the runs when the button is pressed. It is released `PRESSED_MS` later, as by a hand, or immediately,
as by a script or a tap.
"""

import statistics
from itertools import product

from playwright.sync_api import Page

from benchmarks.chromium import DONE, VIEWPORT, open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import wait_until_done

CUTS = 11
PRESSED_MS = (80, 0)
FIRST_SEED = 3_000
RUNS = {1: "three", 2: "two"}  # that a cut of this stream changes
REASON = "each run is computed again; server and page share the two cores with the workers"
LOOK_MS = 10
CLOCK = (
    DONE
    + f"const LOOK_MS = {LOOK_MS};"
    + """
const nextFrame = () => new Promise(requestAnimationFrame);
const pause = () => new Promise((done) => setTimeout(done, LOOK_MS));
const isCut = () => document.querySelector('.edits li') !== null;
const isRead = () => document.querySelector('.edits-effects')?.textContent.includes('The loss is');
addEventListener('pointerup', (event) => {
  if (!event.target.closest('.picture-box')) return;
  const begun = performance.now();
  window.cut = (async () => {
    do await nextFrame(); while (!isCut());
    const first = performance.now() - begun;
    do await pause(); while (!(isDone() && isRead()));
    return [first, performance.now() - begun];
  })();
}, true);
"""
)


def find_stream(page: Page, stream: int) -> tuple[float, float]:
    """Return a position in the picture where a click cuts this stream."""
    box = page.locator(".picture-box").bounding_box()
    assert box is not None
    x = box["x"] + 0.35 * box["width"]
    for y in range(0, int(box["height"]), 3):
        page.mouse.move(x, box["y"] + y)
        tip = page.locator(".picture-tip")
        if tip.is_visible() and f"click to cut stream {stream} " in (tip.text_content() or ""):
            return x, box["y"] + y
    raise RuntimeError(f"stream {stream} cannot be cut")


def cut_once(page: Page, url: str, stream: int, seed: int, pressed_ms: int) -> tuple[float, float]:
    """Return the seconds from a click to the first change, and to final curves."""
    page.goto("about:blank")
    page.goto(f"{url}/#v=1&seed={seed}")
    wait_until_done(page)
    page.mouse.click(*find_stream(page, stream), delay=pressed_ms)
    first_ms, last_ms = page.evaluate("window.cut")
    return first_ms / 1000, last_ms / 1000


def main() -> None:
    """Print the rows."""
    rows = []
    with open_chromium() as (browser, server):
        page = browser.new_page(viewport=VIEWPORT)
        page.add_init_script(CLOCK)
        seed = FIRST_SEED
        for (stream, runs), pressed_ms in product(RUNS.items(), PRESSED_MS):
            seeds = range(seed, seed := seed + CUTS)
            firsts, lasts = zip(*(cut_once(page, server.url, stream, one, pressed_ms) for one in seeds), strict=True)
            against = f"default spec, {runs} runs, button pressed for {pressed_ms} ms, Chromium, {CUTS} cuts"
            first_ms, last_ms = (statistics.median(found) * 1000 for found in (firsts, lasts))
            rows.append(Row(f"click that cuts stream {stream} to the first change", against, first_ms, "ms"))
            rows.append(
                Row(f"click that cuts stream {stream} to final curves", against, last_ms, "ms", 450, reason=REASON)
            )
    print_rows(rows)


if __name__ == "__main__":
    main()
