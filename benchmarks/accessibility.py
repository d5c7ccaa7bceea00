"""Contrast, sizes, axe, tab stops and motion of all pages, in real Chromium: writes docs/accessibility.md, prints rows.

`python -m benchmarks accessibility`. How a value comes about stands in tests/browser/audit.py, which a test of the
default page uses too.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.accessibility_report import Looked, Stop, write_report
from benchmarks.chromium import open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.audit import GRAPHIC, LETTERS_PX, TARGET_PX, TEXT, audit, contrast, grow, worst
from tests.browser.conftest import open_settings, wait_until_done
from tests.browser.look.test_access import AXE, FINDINGS, press, share, verify
from tests.browser.share.test_rooms import make_room

LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]
HEIGHT_PX = 1000
PLACED_MS = 200  # what opens beside a button is put there a moment after it is there
OTHERS = {"families": "/families", "sign in": "/sign-in", "operator": "/admin", "rooms": "/rooms"}
OPENED = "dialog[open], .popover:not(.fold):popover-open"
MAX_STOPS = 200
RING_PX = 6  # around a focused element, where its ring lies


@contextmanager
def opened(browser: Browser, url: str, theme: str, width: int) -> Iterator[Page]:
    """Yield a page with all runs and reduced motion; close it at the end of the block."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT_PX},
        color_scheme=theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()


def to_openers(page: Page) -> dict[str, Callable[[], None]]:
    """Return a function for each panel or dialog of the page, which opens it."""
    return {
        "share": lambda: press(page, "Share"),
        "API": lambda: press(page, "API"),
        "help": lambda: press(page, "Help"),
        "examples": lambda: press(page, "Examples"),
        "your views": lambda: press(page, "Your views"),
        "sweep": lambda: press(page, "Sweep"),
        "menu": lambda: page.get_by_role("button", name="More", exact=True).click(),
        "a figure's help": lambda: page.get_by_role("button", name="Gain, forward: what it shows").click(),
        "a figure's menu": lambda: page.get_by_role("button", name="Gain, forward: more").click(),
        "verification": lambda: verify(page),
    }


def look(browser: Browser, url: str, theme: str, width: int) -> Looked:
    """Audit the page, everything that opens on it, an embedded figure, and the other pages."""
    looked = Looked(theme, width)
    with opened(browser, url, theme, width) as page:
        wait_until_done(page)
        grow(page)
        note(looked, page, "page")
        name = share(page)
        page.keyboard.press("Escape")
        for view, act in to_openers(page).items():
            act()
            expect(page.locator(OPENED)).to_have_count(1)
            page.wait_for_timeout(PLACED_MS)
            if view == "examples":
                expect(page.locator(".spark path").first).to_be_attached()
            note(looked, page, view, OPENED)
            for _ in range(2):  # on a phone a menu stands on the fold
                page.keyboard.press("Escape")
            expect(page.locator(OPENED)).to_have_count(0)
        if width < 761:
            open_settings(page)
            expect(
                page.locator("#settings .field[data-path$=edits] button").first
            ).to_be_attached()  # its module is here
            page.wait_for_timeout(PLACED_MS)
            note(looked, page, "settings", "#settings")
            page.keyboard.press("Escape")
    with opened(browser, f"{url}/embed/{name}?panel=gain&theme={theme}", theme, width) as page:
        expect(page.locator(".plot .main-svg").first).to_be_visible()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        note(looked, page, "embed")
    for view, path in OTHERS.items():
        with opened(browser, url + path, theme, width) as page:
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            grow(page)
            note(looked, page, view)
            if view == "rooms":
                make_room(page, "v=1&depth=8&width=32")
                expect(page.get_by_role("heading", name=re.compile("Shared by students"))).to_be_visible()
                grow(page)
                note(looked, page, "a room")
    return looked


def note(looked: Looked, page: Page, view: str, root: str = "body") -> None:
    """Store the findings of a view: those of our audit, and those of axe."""
    looked.views[view] = audit(page, root)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    said = page.evaluate(FINDINGS) if root == "body" else page.locator(root).first.evaluate(FINDINGS)
    looked.axe += [f"{view}: {line}" for line in said]


# ---- focus


FOCUSED = """() => {
  const { activeElement: at } = document;
  if (at === document.body) return null;
  const { left, top, width, height } = (at.closest('label') ?? at).getBoundingClientRect();
  const name = at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent;
  const role = at.getAttribute('role') ?? ({ A: 'link', SUMMARY: 'fold', SELECT: 'choice' }[at.tagName]
    ?? (at.tagName === 'INPUT' ? at.type : at.tagName.toLowerCase()));
  return { name: `${name.trim().replace(/\\s+/g, ' ').slice(0, 60)} (${role})`, box: [left, top, width, height] };
}"""


def walk(page: Page) -> list[Stop]:
    """Press Tab until it leaves the page."""
    stops: list[Stop] = []
    while len(stops) < MAX_STOPS:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        left, top, width, height = focused["box"]
        clip = {"x": max(0, left - RING_PX), "y": max(0, top - RING_PX)}
        clip |= {"width": width + 2 * RING_PX, "height": height + 2 * RING_PX}
        with_ring = to_pixels(page, clip)
        page.evaluate("() => { window.focused = document.activeElement; window.focused.blur(); }")
        without = to_pixels(page, clip)
        page.evaluate("window.focused.focus({ preventScroll: true, focusVisible: true })")
        stops.append(Stop(focused["name"], count_changed(with_ring, without)))
    return stops


def to_pixels(page: Page, clip: dict[str, float]) -> np.ndarray:
    """Return the pixels of a part of the window."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip, scale="css"))).convert("RGB"))  # type: ignore[arg-type]


def count_changed(one: np.ndarray, other: np.ndarray) -> int:
    """Count the pixels whose colours in both pictures have a contrast of at least 3."""
    changed = np.argwhere(np.any(one != other, axis=2))
    return sum(contrast(tuple(one[y, x].tolist()), tuple(other[y, x].tolist())) >= GRAPHIC for y, x in changed)


# ---- motion

MOVING = """() => [...document.querySelectorAll('*')].filter((element) => {
  const { transitionDuration, transitionProperty, animationName } = getComputedStyle(element);
  const isStill = transitionProperty === 'none' || transitionDuration.split(', ').every((time) => time === '0s');
  return animationName !== 'none' || !isStill;
}).length"""
JUMP = """async () => {
  document.querySelector('.results th button[aria-expanded=false]')?.click();
  await new Promise((done) => setTimeout(done, 600)); // its sentences are shown
  document.querySelector('.results .sentence').click();
  // The card is rendered, and the jump made, in the next frame.
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const first = scrollY;
  await new Promise((done) => setTimeout(done, 600));
  return scrollY - first;
}"""


def measure(browser: Browser, url: str) -> list[Row]:
    """Audit every theme and width, and measure the tab stops in both themes."""
    looks = [look(browser, url, theme, width) for theme, width in LOOKS]
    stops: dict[str, list[Stop]] = {}
    for theme in ("light", "dark"):
        with opened(browser, url, theme, 1440) as page:
            wait_until_done(page)
            stops[theme] = walk(page)
            moving, drift = page.evaluate(MOVING), page.evaluate(JUMP)
    lines = write_report(looks, stops, moving, drift)
    everything = [item for looked in looks for findings in looked.views.values() for item in findings]
    against = "all pages, dialogs and an embed, 1440 and 390 px, both themes"
    limits = {
        "text": ("x", TEXT),
        "part": ("x", GRAPHIC),
        "curve": ("x", GRAPHIC),
        "target": ("px", TARGET_PX),
        "letters": ("px", LETTERS_PX),
    }
    rows = []
    for kind, (unit, limit) in limits.items():
        least = worst(everything, kind)
        assert least is not None, kind
        # Large text has a limit of its own: its value is said as if it were small.
        value = least.value * limit / least.wanted
        rows.append(Row(f"least {kind}", against, value, unit, limit, at_least=True, reason=least.name))
    rows.append(Row("violations that axe finds", against, sum(len(looked.axe) for looked in looks), "", 0))
    return [*rows, Row("findings that fall short", against, len(lines), "", 0, reason="see docs/accessibility.md")]


def main() -> None:
    """Write the report and print the rows."""
    with open_chromium("--service", "--rooms-by", "anyone") as (browser, server):
        print_rows(measure(browser, server.url))


if __name__ == "__main__":
    main()
