"""The twelve pictures of docs/screenshots, made from the default comparison: `python -m benchmarks screenshots`.

Also writes docs/screenshots.md. A picture that is too large is kept with 256 colours, which leave its text sharp.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.conftest import open_settings, wait_until_done
from tests.browser.look.test_access import press, share

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER = DOCS / "screenshots"
MAX_KB = 400
A4_PX = (794, 1123)
SWEEP_MS = 300_000


@dataclass(frozen=True)
class Shot:
    """One picture: its file's name, what it shows, the window, and what is done before it is taken."""

    name: str
    text: str
    theme: str = "light"
    size: tuple[int, int] = (1440, 1000)
    act: Callable[[Page], object] = lambda page: None


def open_presets(page: Page) -> None:
    """Open the gallery with its pictures."""
    press(page, "Examples")
    expect(page.locator(".gallery .spark path").first).to_be_attached()


def compute_sweep(page: Page) -> None:
    """Compute the default sweep."""
    press(page, "Sweep")
    page.locator(".sweep").get_by_role("button", name="Compute").click()
    expect(page.locator(".sweep-acts")).to_contain_text(re.compile(r"(?<!\d)(\d+) of \1 runs"), timeout=SWEEP_MS)
    expect(page.locator(".sweep-cells button").first).to_be_visible(timeout=SWEEP_MS)
    page.mouse.move(5, 5)


def open_embed(page: Page) -> None:
    """Open one figure alone, as in a frame of another page."""
    name = share(page)
    page.set_viewport_size({"width": 720, "height": 380})
    page.goto(page.url.split("/#")[0].rstrip("/") + f"/embed/{name}?panel=gain&theme=light")
    expect(page.locator(".plot .main-svg").first).to_be_visible()


def to_paper(page: Page) -> None:
    """Show the form for print, with the width of the text of an A4 page."""
    page.wait_for_load_state("networkidle")  # with the colours for paper
    page.emulate_media(media="print")
    expect(page.locator("html.printing")).to_have_count(1)


SHOTS = (
    Shot("wide-light", "The default comparison on a wide screen. HC's gain rises to hundreds, mHC's stays at 1."),
    Shot("wide-dark", "The default comparison in the dark theme.", "dark"),
    Shot("phone-light", "On a phone, 390 px wide: the story, then the figures.", "light", (390, 844)),
    Shot(
        "phone-dark",
        "All settings on a phone. The picture changes while you drag a slider.",
        "dark",
        (390, 844),
        open_settings,
    ),
    Shot("4k-dark", "The default comparison on a screen 3840 px wide, with its sections closed.", "dark", (3840, 2160)),
    Shot("presets", "Examples: sketches and numbers of runs, next to numbers from the papers.", act=open_presets),
    Shot("share", "Share: a link to these numbers, a link to the settings, and a figure to embed.", act=share),
    Shot("api", "The API calls for the current view.", "dark", act=lambda page: press(page, "API")),
    Shot("help", "Help: the keyboard shortcuts, and how to turn them off.", act=lambda page: press(page, "Help")),
    Shot(
        "sweep",
        "A sweep: a grid of runs over two settings, coloured by gain. A click on a cell opens its run.",
        act=compute_sweep,
    ),
    Shot("embed", "One figure, embedded in another page.", size=(1440, 1000), act=open_embed),
    Shot(
        "print",
        "Printed from the dark theme: in light colours. A closed section prints its finding.",
        "dark",
        A4_PX,
        to_paper,
    ),
)


def take(browser: Browser, url: str, shot: Shot) -> int:
    """Take one picture. Return its size in bytes."""
    context = browser.new_context(
        viewport={"width": shot.size[0], "height": shot.size[1]},
        color_scheme=shot.theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    page.goto(url)
    wait_until_done(page)
    shot.act(page)
    page.wait_for_timeout(500)  # figures that have come in sight
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    path = FOLDER / f"{shot.name}.png"
    picture.save(path, optimize=True)
    if path.stat().st_size > 1e3 * MAX_KB:
        picture.quantize(256, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


def write_list() -> None:
    """Write docs/screenshots.md."""
    lines = [f"{shot.text}\n\n![{shot.text}](screenshots/{shot.name}.png)\n" for shot in SHOTS]
    head = "# Screenshots\n\n`python -m benchmarks screenshots` makes them from the default comparison.\n"
    (DOCS / "screenshots.md").write_text("\n".join([head, *lines]))


def main() -> None:
    """Take all pictures, write the list, and print the rows."""
    FOLDER.mkdir(exist_ok=True)
    with open_chromium() as (browser, server):
        sizes = {shot.name: take(browser, server.url, shot) / 1e3 for shot in SHOTS}
    write_list()
    largest = max(sizes, key=lambda name: sizes[name])
    print_rows([Row("largest screenshot", f"{len(SHOTS)} pictures: {largest}", sizes[largest], "KB", MAX_KB)])


if __name__ == "__main__":
    main()
