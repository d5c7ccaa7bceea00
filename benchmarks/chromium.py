"""What the benchmarks of the page share: a server and a Chromium of their own, and a hand on a slider."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.conftest import FLAGS, find_chromium, open_settings, wait_until_done
from tests.conftest import Server, start_server

VIEWPORT: ViewportSize = {"width": 1440, "height": 1000}
# Half of a slider's thumb: its middle stays this far inside the track.
THUMB_PX = 8

# For a page: whether it shows its runs whole, or what is still awaited. Runs that were asked for ahead may be stored by
# then. What the cards below say of costs comes later.
DONE = """
// A sketch shows the same curves as Plotly, which replaces it afterwards.
const AWAITED =
  '[aria-busy=true]:not(.sketched), .sketched[data-waits], progress, .plot-box.stale, .results tr.stale';
const readStatus = () => document.querySelector('.status').dataset.phase;
const isDone = () => readStatus() === 'idle' && !document.querySelector(AWAITED);
const listAwaited = () => [...document.querySelectorAll(AWAITED)].map((part) => part.className || part.localName);
"""


@contextmanager
def open_server(*flags: str) -> Iterator[Server]:
    """Run a server with an empty data folder until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder) / "data", *flags, forked=False)
        try:
            yield server
        finally:
            server.terminate()


@contextmanager
def open_chromium(*flags: str) -> Iterator[tuple[Browser, Server]]:
    """Run a browser and a server with an empty data folder until the block ends."""
    with sync_playwright() as playwright, open_server(*flags) as server:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser, server
        browser.close()


def scroll_to(page: Page, panel: str) -> None:
    """Scroll to a card, and wait until it is drawn."""
    page.locator(f"[data-panel={panel}]").evaluate("card => card.scrollIntoView()")
    wait_until_done(page)


def grab_slider(page: Page, field: str = "field-depth") -> Callable[[int], None]:
    """Press the mouse on the thumb of a slider. Return a function that moves it by a number of stops."""
    if field.startswith("setting-"):
        open_settings(page)
    slider = page.locator(f"#{field}")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    stops, at = float(slider.get_attribute("max") or 1), float(slider.input_value())

    def move_by(by: int) -> None:
        x = box["x"] + THUMB_PX + (at + by) / stops * (box["width"] - 2 * THUMB_PX)
        page.mouse.move(x, box["y"] + box["height"] / 2)

    move_by(0)
    page.mouse.down()
    return move_by
