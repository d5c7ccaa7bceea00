"""The moving picture of the README, docs/screenshots/moving.webp: the story in five steps, then a hand on the drift.

`python -m benchmarks moving`. What is seen is what a person would see, at the pace at which it
came, but for what stands still.
"""

import base64
import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from PIL import Image
from playwright.sync_api import Page

from benchmarks.chromium import open_chromium
from benchmarks.rows import Row, print_rows
from benchmarks.screenshots import FOLDER
from tests.browser.conftest import wait_until_done

SIZE = (1280, 800)
SHOWN = (1024, 640)
FRAME_MS = 100
STEP_MS, SIGNAL_MS, HAND_MS = 700, 2400, 2000
STEPS_WITH_SIGNAL = (2, 3)
MAX_STILL_S = 0.7  # what stands longer is cut: nobody need watch the driver wait
MAX_MB = 3.0
TARGET = FOLDER / "moving.webp"

Taken = list[tuple[float, bytes]]  # seconds and a JPEG


def record(page: Page, act: Callable[[Page], None]) -> Taken:
    """Everything that the page shows while something is done on it."""
    session, taken = page.context.new_cdp_session(page), Taken()

    def keep(event: dict[str, Any]) -> None:
        taken.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 95, "everyNthFrame": 1})
    act(page)
    session.send("Page.stopScreencast")
    return taken


def play(page: Page) -> None:
    """The five steps, a signal in two of them, and the drift moved up and down."""
    for step in range(5):
        page.locator(".lesson-steps button").nth(step).click()
        wait_until_done(page)
        if step in STEPS_WITH_SIGNAL:
            page.get_by_role("button", name="Send a signal").click()
            page.wait_for_timeout(SIGNAL_MS)
            page.get_by_role("button", name="Stop").click()
        else:
            page.wait_for_timeout(STEP_MS)
    _move_drift(page)


def _move_drift(page: Page) -> None:
    slider = page.locator('[data-path="connection.noise"] input[type=range]').first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    moves = 32
    for index in range(moves + 1):
        share = abs(2 * index / moves - 1)  # down and up again
        page.mouse.move(box["x"] + box["width"] * (0.02 + 0.28 * share), box["y"] + box["height"] / 2)
        page.wait_for_timeout(HAND_MS / moves)
    page.mouse.up()
    wait_until_done(page)
    page.wait_for_timeout(500)


def to_frames(taken: Taken) -> list[Image.Image]:
    """What was shown every `FRAME_MS`, but for what stood too long."""
    shown: list[bytes] = []
    at_s = 0.0
    for (start_s, picture), (end_s, _) in pairwise(taken):
        at_s += min(end_s - start_s, MAX_STILL_S)
        count = int(at_s * 1000 / FRAME_MS) - len(shown)
        shown += [picture] * count
    frames = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in [*shown, taken[-1][1]]]
    return [frame.resize(SHOWN, Image.Resampling.LANCZOS) for frame in frames]


def main() -> None:
    """Record, write, print the rows."""
    FOLDER.mkdir(exist_ok=True)
    with open_chromium() as (browser, server):
        context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="dark")
        page = context.new_page()
        page.goto(server.url)
        wait_until_done(page)
        frames = to_frames(record(page, play))
        context.close()
    frames[0].save(
        TARGET,
        save_all=True,
        append_images=frames[1:],
        duration=FRAME_MS,
        loop=0,
        quality=60,
        method=4,
        minimize_size=True,
    )
    seconds = len(frames) * FRAME_MS / 1000
    print_rows([Row("moving picture", f"{seconds:.0f} s", TARGET.stat().st_size / 1e6, "MB", MAX_MB)])


if __name__ == "__main__":
    main()
