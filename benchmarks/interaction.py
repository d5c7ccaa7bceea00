"""A hand on the page: a long drag of the depth slider, and the layer cursor. `python -m benchmarks.interaction`.

Every drag goes over thirty values of the depth, the last being that of the default spec, a value each `MOVE_MS`,
under a new seed: on one page, as a person would, or each on a page just opened. What is out of sight waits until the
hand rests, so that drags are timed with the picture in sight and with the curves. The clocks run in the page: from the
first `input` event until the first new curve has been painted, by Plotly or as a sketch, and from `change`, the
release, to the frame in which every run has ended and no figure waits or is dimmed. Tasks of the main thread that the
browser calls long (over 50 ms) are collected as well.

A signal is sent through the picture of three runs of 256 layers; frames are counted for `SIGNAL_S`, and what the main
thread does meanwhile is asked of the browser.

The cursor is moved one layer every animation frame for `CURSOR_S`; a frame counts when the cursor has been drawn anew.
"""

import statistics
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import DONE, VIEWPORT, grab_slider, open_chromium, scroll_to
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import wait_until_done

DRAGS, VALUES, MOVE_MS = 15, 30, 50
FIRST_SEED = 20_000
FIRST_DEPTH = 18
NEAR_MS = 1000  # a hand that comes to the slider and then reads the figure
MAX_MS = 60_000
TRIP = "three runs of 36 layers are asked for as the hand begins to move, and shown when all have ended"
FRAME = "10 ms of work wait for the browser's next frame"
CORES = "three runs and five figures on two cores; repeated runs differ by a tenth"
PAUSE = "the largest of all drags: a drawing held up, by a collection or another process"
CURSOR_DEPTH, CURSOR_S = 256, 3.0
SIGNAL_S = 4.0

CLOCK = (
    DONE
    + f"const LIMIT_MS = {MAX_MS};"
    + """
const LOOK_MS = 10; // a timer, for an animation frame asked for is one more to draw
let drag = null, longest = 0, settle;
// What is drawn in an animation frame is seen at its end, other drawings with the next one; then a message is let in.
let isInFrame = false;
const ask = window.requestAnimationFrame;
const during = (callback) => (time) => {
  isInFrame = true;
  callback(time);
  isInFrame = false;
};
window.requestAnimationFrame = (callback) => ask(during(callback));
const { port1, port2 } = new MessageChannel();
port1.onmessage = () => {
  if (drag?.first !== null) return;
  if (drag.isSketched || lengths() !== drag.before) drag.first = performance.now() - drag.begun;
};
const onDrawn = () => {
  if (drag?.first !== null) return;
  if (isInFrame) port2.postMessage(null);
  else ask(() => port2.postMessage(null));
};
window.arm = () => {
  drag = null;
  const plot = document.querySelector('[data-panel=activation] .plot');
  plot.removeListener('plotly_afterplot', onDrawn);
  plot.on('plotly_afterplot', onDrawn);
  window.settled = new Promise((resolve, reject) => {
    settle = resolve;
    setTimeout(() => reject(new Error(`still awaited: ${readStatus()}; ${listAwaited()}`)), LIMIT_MS);
  });
};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
}).observe({ type: 'longtask' });
// While a hand moves, curves are sketched: one of more layers than all before is a new one.
const { beginPath, lineTo } = CanvasRenderingContext2D.prototype;
let points = 0;
CanvasRenderingContext2D.prototype.beginPath = function (...rest) {
  points = 0;
  return beginPath.apply(this, rest);
};
CanvasRenderingContext2D.prototype.lineTo = function (...rest) {
  points++;
  if (drag?.first === null && points >= drag.layers && this.canvas.closest('[data-panel=activation] .plot-box')) {
    drag.isSketched = true;
    port2.postMessage(null);
  }
  return lineTo.apply(this, rest);
};
const known = () =>
  Math.max(...document.querySelector('[data-panel=activation] .plot').data.map((trace) =>
    (trace.y ?? []).filter((value) => value !== null).length));
const lengths = () =>
  JSON.stringify((document.querySelector('[data-panel=activation] .plot')?.data ?? []).map((trace) => trace.y?.length));
addEventListener('input', (event) => {
  if (event.target.id !== 'field-depth' || drag) return;
  longest = 0;
  drag = { begun: performance.now(), before: lengths(), layers: known(), first: null, isSketched: false };
}, true);
addEventListener('change', (event) => {
  if (event.target.id !== 'field-depth') return;
  const released = performance.now();
  const look = () => {
    if (isDone()) settle({ first: drag.first, last: performance.now() - released, longest });
    else setTimeout(look, LOOK_MS);
  };
  setTimeout(look, LOOK_MS);
}, true);
"""
)

SCRUB = """
(seconds) => new Promise((resolve) => {
  const range = document.querySelector('.picture-layer');
  const overlay = document.querySelector('[data-panel=gain] .overlay');
  const begun = performance.now();
  let frames = 0;
  let drawn = overlay.innerHTML;
  const step = () => {
    if (overlay.innerHTML !== drawn) frames++;
    drawn = overlay.innerHTML;
    const now = performance.now();
    if (now - begun > 1000 * seconds) return resolve(1000 * frames / (now - begun));
    port2.postMessage(null);
    requestAnimationFrame(step);
  };
  // A hand's move comes between two frames: one from within a frame would wait for the next to be drawn.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    range.value = String(Number(range.value) === Number(range.max) ? range.min : Number(range.value) + 1);
    range.dispatchEvent(new Event('input', { bubbles: true }));
  };
  requestAnimationFrame(step);
})
"""


FRAMES = """
(seconds) => new Promise((resolve) => {
  let frames = 0;
  const begun = performance.now();
  const step = (now) => {
    if (now - begun > 1000 * seconds) return resolve({ frames, seconds: (now - begun) / 1000 });
    frames++;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""


def drag_once(page: Page, url: str, seed: int, place: str, near_ms: int = 0) -> dict[str, float]:
    """Return the ms to the first new curve, those from the release to the last one, and the longest task."""
    page.goto(f"{url}/#v=1&depth={FIRST_DEPTH}&seed={seed}")
    wait_until_done(page)
    scroll_to(page, place)
    page.evaluate("window.arm()")
    page.get_by_role("slider", name="Depth", exact=True).hover()
    page.wait_for_timeout(near_ms)
    move = grab_slider(page)
    for step in range(1, VALUES + 1):
        move(step)
        page.wait_for_timeout(MOVE_MS)
    page.mouse.up()
    # One question, whose answer comes when all is done: to ask again and again would load the cores.
    found: dict[str, float] = page.evaluate("window.settled")
    assert found["first"] is not None, "no curve has moved"
    return found


def drag_each(
    browser: Browser, url: str, seed: int, place: str, *, drags: int = DRAGS, near_ms: int = 0
) -> Iterator[dict[str, float]]:
    """Drag on one page with seeds from `seed` on; the slider is pressed for a while before each drag."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(CLOCK)
    for index in range(drags):
        yield drag_once(page, url, seed + index, place, near_ms)
    page.close()


def drag_each_anew(browser: Browser, url: str, seed: int, place: str) -> Iterator[dict[str, float]]:
    """Drag as often as `drag_each`, each time on a page that was just opened."""
    for index in range(DRAGS):
        yield from drag_each(browser, url, seed + index, place, drags=1)


def summarise(drags: Iterator[dict[str, float]]) -> dict[str, float]:
    """Return the medians of the waits, and the longest task of all."""
    found = list(drags)
    medians = {key: statistics.median(item[key] for item in found) for key in ("first", "last")}
    return medians | {"longest": max(item["longest"] for item in found)}


def measure_cursor(browser: Browser, url: str) -> float:
    """Frames a second in which the cursor of the gain panel was drawn, three runs of 256 layers on the page."""
    page = browser.new_page(viewport=VIEWPORT)
    page.goto(f"{url}/#v=1&depth={CURSOR_DEPTH}")
    wait_until_done(page)
    expect(page.locator(".picture-layer")).to_have_attribute("max", str(CURSOR_DEPTH))
    scroll_to(page, "gain")  # the picture stands above it
    page.wait_for_timeout(1000)
    frames: float = page.evaluate(SCRUB, CURSOR_S)
    page.close()
    return frames


def measure_signal(browser: Browser, url: str) -> dict[str, float]:
    """Frames a second and milliseconds of the main thread a frame, while a signal passes three runs of 256 layers."""
    page = browser.new_page(viewport=VIEWPORT)
    page.goto(f"{url}/#v=1&depth={CURSOR_DEPTH}")
    wait_until_done(page)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def read_busy_s() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(float(item["value"]) for item in metrics if item["name"] == "TaskDuration")

    page.get_by_role("button", name="Send a signal").click()
    begun_s = read_busy_s()
    found = page.evaluate(FRAMES, SIGNAL_S)
    busy_ms = 1000 * (read_busy_s() - begun_s)
    page.close()
    return {"frames": found["frames"] / found["seconds"], "busy": busy_ms / found["frames"]}


def main() -> None:
    """Print the rows."""
    with open_chromium() as (browser, server):
        near = summarise(drag_each(browser, server.url, FIRST_SEED, "gain", near_ms=NEAR_MS))
        opened = summarise(drag_each_anew(browser, server.url, FIRST_SEED + DRAGS, "gain"))
        picture = summarise(drag_each(browser, server.url, FIRST_SEED + 2 * DRAGS, "picture"))
        frames = measure_cursor(browser, server.url)
        signal = measure_signal(browser, server.url)
    against = f"{DRAGS} drags over {VALUES} depths, default spec, {{}} in sight, Chromium"
    curves, strips = against.format("curves"), against.format("the picture")
    last = "release of a long drag to final curves"
    print_rows(
        [
            Row("first curve moves after a drag begins, near for 1 s", curves, near["first"], "ms", 16, reason=FRAME),
            Row("the same, each on a page just opened, not near", curves, opened["first"], "ms", 150, reason=TRIP),
            Row(last, curves, near["last"], "ms", 600, reason=CORES),
            Row(f"{last}, each on a page just opened", curves, opened["last"], "ms", 600, reason=CORES),
            Row(last, strips, picture["last"], "ms", 600, reason=CORES),
            Row("longest task of the main thread while streaming", strips, picture["longest"], "ms", 100, reason=PAUSE),
            Row("longest task of the main thread while streaming", curves, near["longest"], "ms", 100, reason=PAUSE),
            Row("cursor at depth 256", "3 runs, Chromium", frames, "frames/s", 50, at_least=True),
            Row("a signal at depth 256", "3 runs, Chromium", signal["frames"], "frames/s", 55, at_least=True),
            Row("the same: main thread a frame", "3 runs, Chromium", signal["busy"], "ms", 8),
        ]
    )


if __name__ == "__main__":
    main()
