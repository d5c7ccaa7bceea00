"""A hand on a slider whose columns the page derives: depth down, drift, rounds. `python -m benchmarks.hand`.

A slider is moved one stop every animation frame for `HAND_S`, back and forth over `STOPS` stops at most, on a
page that shows the default comparison, at its top, where the picture is, and where the curves are in sight. The drawer
of settings is open only for a slider that is in it. The work of a move is the time of its `input` event and of the
frame that follows, style and layout included, until the next message is let in. A frame counts when what is in sight
has been drawn in it: the picture, or the charts of curves (both gains, and the activation for the depth). Texts
follow ten times a second: the median is a move without them, the 95th percentile one with them, and the mean has both.

Then a mouse drags the slider down, a stop each `MOVE_MS`, and lets it go, each time under a new seed. From `change`,
the release, until every run has ended and nothing waits or is dimmed: only then are all curves those of the server.
"""

import statistics
from itertools import product
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.chromium import DONE, VIEWPORT, grab_slider, open_chromium, scroll_to
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import open_settings, wait_until_done

HAND_S, STOPS = 3.0, 20
# Name, control, and how many figures of curves follow it.
SLIDERS = {
    "depth, down": ("field-depth", 3),
    "drift": ("field-connection-noise", 2),
    "rounds": ("setting-connection-sinkhorn_iters", 2),
}
RELEASES, DRAGGED, MOVE_MS = 15, 15, 50
FIRST_SEED = 40_000
CORES = "browser and server on two cores"

PLACES = ("picture", "gain")

# Every sketch of a chart and every picture begins with a clear canvas.
COUNT = """
const { clearRect } = CanvasRenderingContext2D.prototype;
window.drawn = { gain: 0, picture: 0 };
CanvasRenderingContext2D.prototype.clearRect = function (...place) {
  if (this.canvas.className === 'sketch') window.drawn.gain++;
  else if (this.canvas.closest('.picture-box') !== null) window.drawn.picture++;
  return clearRect.apply(this, place);
};
"""

MOVE = """
([id, figures, place, seconds, stops]) => new Promise((resolve) => {
  const slider = document.getElementById(id);
  const top = Number(slider.value);
  const span = Math.min(stops, top - Number(slider.min));
  const { port1, port2 } = new MessageChannel();
  const begun = performance.now();
  const works = [];
  let [frames, step, drawn] = [0, 0, 0];
  const move = () => {
    step++;
    const phase = step % (2 * span);
    slider.value = String(top - (phase <= span ? phase : 2 * span - phase));
    drawn = window.drawn[place];
    let frame = 0;
    const asked = performance.now();
    requestAnimationFrame(() => {
      frame = performance.now();
      port2.postMessage(null);
    });
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    const handled = performance.now() - asked;
    port1.onmessage = () => {
      works.push(handled + performance.now() - frame);
      if (window.drawn[place] >= drawn + (place === 'gain' ? figures : 1)) frames++;
      const passed = performance.now() - begun;
      if (passed < 1000 * seconds) return move();
      slider.dispatchEvent(new Event('change', { bubbles: true }));
      resolve({ works, frames: 1000 * frames / passed });
    };
  };
  move();
})
"""

LOOK_MS, MAX_MS = 10, 60_000
CLOCK = (
    DONE
    + f"const LOOK_MS = {LOOK_MS}, MAX_MS = {MAX_MS};"
    + """
window.listen = (id) => {
  window.released = new Promise((resolve, reject) => {
    document.getElementById(id).addEventListener('change', () => {
      const begun = performance.now();
      setTimeout(() => reject(new Error(`still awaited: ${readStatus()}; ${listAwaited()}`)), MAX_MS);
      const look = () => (isDone() ? resolve(performance.now() - begun) : setTimeout(look, LOOK_MS));
      setTimeout(look, LOOK_MS);
    }, { once: true });
  });
};
"""
)


def show_slider(page: Page, field: str) -> None:
    """Open the settings if the slider is among them."""
    if field.startswith("setting-"):
        open_settings(page)


def measure_hand(
    browser: Browser, url: str, slider: tuple[str, int], place: str, seconds: float = HAND_S
) -> dict[str, float]:
    """Return median, mean and 95th percentile of the main thread's work for each move in ms, and frames a second."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(COUNT)
    page.goto(url)
    wait_until_done(page)
    show_slider(page, slider[0])
    scroll_to(page, place)
    found: dict[str, Any] = page.evaluate(MOVE, [*slider, place, seconds, STOPS])
    wait_until_done(page)
    page.close()
    works = sorted(found["works"])
    return {
        "work": statistics.median(works),
        "mean": statistics.fmean(works),
        "most": works[int(0.95 * len(works))],
        "frames": found["frames"],
    }


def release_once(page: Page, url: str, field: str, place: str, seed: int) -> float:
    """Return the milliseconds from the release to the final curves."""
    page.goto("about:blank")
    page.goto(f"{url}/#v=1&seed={seed}")
    wait_until_done(page)
    show_slider(page, field)
    scroll_to(page, place)
    page.evaluate("(field) => window.listen(field)", field)
    move = grab_slider(page, field)
    for step in range(1, 1 + min(DRAGGED, int(page.locator(f"#{field}").input_value()))):
        move(-step)
        page.wait_for_timeout(MOVE_MS)
    page.mouse.up()
    found: float = page.evaluate("window.released")
    return found


def measure_releases(
    browser: Browser, url: str, field: str, place: str, releases: int = RELEASES, seed: int = FIRST_SEED
) -> float:
    """Return the median over releases with seeds from `seed` on, whose runs are not stored yet."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(CLOCK)
    found = [release_once(page, url, field, place, seed + index) for index in range(releases)]
    page.close()
    return statistics.median(found)


def main() -> None:
    """Print the rows."""
    rows = []
    with open_chromium() as (browser, server):
        for (name, slider), place in product(SLIDERS.items(), PLACES):
            found = measure_hand(browser, server.url, slider, place)
            against = f"{name}, default spec, {place} in sight, Chromium"
            rows.append(
                Row("slider moved: work until curves are drawn", against, found["work"], "ms", 16, reason=CORES)
            )
            rows.append(Row("the same, mean", against, found["mean"], "ms"))
            rows.append(Row("the same, 95th percentile", against, found["most"], "ms"))
            rows.append(
                Row("slider moved: frames", against, found["frames"], "frames/s", 55, at_least=True, reason=CORES)
            )
        for index, ((name, (field, _)), place) in enumerate(product(SLIDERS.items(), PLACES)):
            last = measure_releases(browser, server.url, field, place, seed=FIRST_SEED + RELEASES * index)
            against = f"{name}, {RELEASES} drags over {DRAGGED} stops, default spec, {place} in sight, Chromium"
            rows.append(Row("slider let go: all final curves", against, last, "ms", 400, reason=CORES))
    print_rows(rows)


if __name__ == "__main__":
    main()
