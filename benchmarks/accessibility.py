"""Contrast, sizes, tab stops and motion of the page, in real Chromium: writes docs/accessibility.md and prints rows.

`python -m benchmarks accessibility`. How a value comes about stands in tests/browser/audit.py, which a test of the
default page uses too.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.chromium import open_chromium
from benchmarks.rows import Row, print_rows
from tests.browser.audit import GRAPHIC, LETTERS_PX, TARGET_PX, TEXT, Finding, audit, contrast, grow, worst
from tests.browser.conftest import wait_until_done
from tests.browser.test_access import press, share, verify

REPORT = Path(__file__).resolve().parent.parent / "docs" / "accessibility.md"
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]
HEIGHT_PX = 1000
PREVIEWS_MS = 400_000  # every preset is computed once, on a machine that may do other things
OPENED = "dialog[open], .popover:not(.fold):popover-open, .tour"
MOST_STOPS = 200
RING_PX = 6  # around a focused element, where its ring lies
LEAST_RING_PX = 24  # pixels that must change with the focus, by 3:1


@dataclass
class Looked:
    """What was found at one look: a theme and a width."""

    theme: str
    width: int
    views: dict[str, list[Finding]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the head of a column."""
        return f"{self.theme}, {self.width} px"


@contextmanager
def opened(browser: Browser, url: str, theme: str, width: int) -> Iterator[Page]:
    """A page with all runs shown, and whether motion is wanted: not."""
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
    """What opens on the page, and how."""
    return {
        "share": lambda: press(page, "Share"),
        "API": lambda: press(page, "API"),
        "help": lambda: press(page, "Help"),
        "presets": lambda: press(page, re.compile("^Presets$")),
        "map": lambda: press(page, re.compile("^Map")),
        "theme menu": lambda: press(page, re.compile("^Theme")),
        "a figure's help": lambda: page.get_by_role("button", name="Composite gain: what it shows").click(),
        "a figure's menu": lambda: page.get_by_role("button", name="Composite gain: more").click(),
        "theory's help": lambda: page.get_by_role("button", name="Theory beside measurement: what it shows").click(),
        "cost's help": lambda: page.get_by_role("button", name="Cost: what it shows").click(),
        "verification": lambda: verify(page),
        "tour": lambda: press(page, re.compile("tour", re.IGNORECASE)),
    }


def look(browser: Browser, url: str, theme: str, width: int) -> Looked:
    """The page, all that opens on it, and an embedded figure."""
    looked = Looked(theme, width)
    with opened(browser, url, theme, width) as page:
        wait_until_done(page)
        grow(page)
        looked.views["page"] = audit(page)
        name = share(page)
        page.keyboard.press("Escape")
        for view, act in to_openers(page).items():
            act()
            expect(page.locator(OPENED)).to_have_count(1)
            if view == "presets":
                expect(page.locator(".spark.waiting")).to_have_count(0, timeout=PREVIEWS_MS)
            looked.views[view] = audit(page, OPENED)
            for _ in range(2):  # on a phone a menu stands on the fold
                page.keyboard.press("Escape")
            expect(page.locator(OPENED)).to_have_count(0)
        if width < 761:
            page.get_by_role("button", name="Settings", exact=True).click()
            looked.views["settings"] = audit(page, "#settings")
            page.keyboard.press("Escape")
    with opened(browser, f"{url}/embed/{name}?panel=gain&theme={theme}", theme, width) as page:
        expect(page.locator(".plot .main-svg").first).to_be_visible()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        looked.views["embed"] = audit(page)
    return looked


# ---- focus


@dataclass(frozen=True)
class Stop:
    """A tab stop and how many pixels its ring changes by at least 3:1."""

    name: str
    ring: int


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
    while len(stops) < MOST_STOPS:
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
    """A part of the window."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip, scale="css"))).convert("RGB"))  # type: ignore[arg-type]


def count_changed(one: np.ndarray, other: np.ndarray) -> int:
    """Pixels whose colours in both pictures have a contrast of 3."""
    changed = np.argwhere(np.any(one != other, axis=2))
    return sum(contrast(tuple(one[y, x].tolist()), tuple(other[y, x].tolist())) >= GRAPHIC for y, x in changed)


# ---- motion

MOVING = """() => [...document.querySelectorAll('*')].filter((element) => {
  const { transitionDuration, transitionProperty, animationName } = getComputedStyle(element);
  const isStill = transitionProperty === 'none' || transitionDuration.split(', ').every((time) => time === '0s');
  return animationName !== 'none' || !isStill;
}).length"""
JUMP = """async () => {
  document.querySelector('.story-card .sentence').click();
  const first = scrollY;
  await new Promise((done) => setTimeout(done, 600));
  return scrollY - first;
}"""


# ---- the report


def to_cell(finding: Finding | None) -> str:
    """A value, and what it is of."""
    return "–" if finding is None else f"{finding.value:.2f}: {finding.name}".replace("|", "\\|")


def to_table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def to_contrast_table(looks: list[Looked], kind: str) -> str:
    """One row a view, one column a look: the least contrast."""
    views = list(dict.fromkeys(view for looked in looks for view in looked.views))
    rows = [[view, *(to_cell(worst(looked.views.get(view, []), kind)) for looked in looks)] for view in views]
    rows = [row for row in rows if any(cell != "–" for cell in row[1:])]
    return to_table(["where", *(looked.name for looked in looks)], rows)


def to_small_targets(looks: list[Looked]) -> str:
    """Targets below 24 px, and what excuses them."""
    found: dict[tuple[str, str], list[float]] = {}
    for looked in looks:
        for findings in looked.views.values():
            for item in findings:
                if item.kind == "target" and item.value < TARGET_PX and item.exempt != "disabled":
                    found.setdefault((item.name, item.exempt or "none: falls short"), []).append(item.value)
    if not found:
        return "None is smaller."
    return to_table(["target", "px", "exemption"], [[name, f"{min(px):.1f}", why] for (name, why), px in found.items()])


def short(looks: list[Looked]) -> list[str]:
    """What falls short, as lines."""
    lines = {
        f"- {item.kind}, {looked.name}, {view}: {item.name}: {item.value:.2f}, wanted {item.wanted:g}"
        for looked in looks
        for view, findings in looked.views.items()
        for item in findings
        if item.is_short
    }
    return sorted(lines)


def count(looks: list[Looked], kind: str) -> int:
    """How many were looked at."""
    return sum(item.kind == kind for looked in looks for findings in looked.views.values() for item in findings)


def write_report(looks: list[Looked], stops: dict[str, list[Stop]], moving: int, drift: float) -> list[str]:
    """docs/accessibility.md; the lines that say what falls short."""
    lines = short(looks)
    for theme, walked in stops.items():
        lines += [f"- focus, {theme}: {stop.name}: no ring" for stop in walked if stop.ring < LEAST_RING_PX]
    if moving or drift:
        lines.append(f"- motion: {moving} elements may move, and a jump still scrolls {drift:g} px")
    listed = next(iter(stops.values()))
    rings = " and ".join(f"{min(stop.ring for stop in walked)} ({theme})" for theme, walked in stops.items())
    REPORT.write_text(
        TEMPLATE.format(
            texts=count(looks, "text"),
            parts=count(looks, "part") + count(looks, "curve"),
            targets=count(looks, "target"),
            text=to_contrast_table(looks, "text"),
            part=to_contrast_table(looks, "part"),
            curve=to_contrast_table(looks, "curve"),
            letters=to_contrast_table(looks, "letters"),
            target=to_contrast_table(looks, "target"),
            small=to_small_targets(looks),
            stops="\n".join(f"{index}. {stop.name}" for index, stop in enumerate(listed, 1)),
            rings=rings,
            motion="Nothing moves." if not (moving or drift) else "See below.",
            short="\n".join(lines) or "Nothing of what is measured here.",
        )
    )
    return lines


TEMPLATE = """# Accessibility, measured

Written by `python -m benchmarks accessibility` in Chromium: the page, all that opens on it and an embedded figure, at
1440 and 390 px, light and dark; {texts} texts, {parts} parts and curves, {targets} targets. A text's colour is the
computed one with its opacity, its background the pixels below it in a picture taken without text; of several the worst
counts. So do numbers in cells and labels beside curves. Limits are those of WCAG 2.2 AA: 4.5 for text, 3 for large
text, for parts that are operated and for curves, 24 px for targets. `tests/browser/test_contrast.py` holds the page to
them, `tests/browser/test_access.py` every view to axe.

## Least contrast of text

{text}

## Least contrast of parts that are operated

Edges of fields, sliders, checkboxes, the mark of a chosen view, a run's colour on its card, bars.

{part}

## Least contrast of curves

Lines, marks on lines and the cursor against their figure. Left out: cells of heatmaps, whose colours are the data
(their numbers stand in the table view, and in the cells where there is room), grid lines, and the pale fill of bands.

{curve}

## Letters

Least size in px, those in figures left out. Figures have 12 px too, less where a matrix leaves no room and in
exponents.

{letters}

## Targets

Least side in px, the exempt left out.

{target}

Smaller than 24 px, with their exemption (2.5.8: "spacing" is a circle of 24 px on it that touches no other target):

{small}

## Tab stops

At 1440 px, in order. Each was photographed with and without the focus: the least number of pixels that change by 3:1
is {rings}.

{stops}

## Motion

With `prefers-reduced-motion` no element has a transition or an animation, and a sentence's jump to its figure is there
at once. {motion} Playing a slider starts and stops by hand.

## What falls short

{short}
"""


def measure(browser: Browser, url: str) -> list[Row]:
    """Every look, the tab stops in both themes, and motion."""
    looks = [look(browser, url, theme, width) for theme, width in LOOKS]
    stops: dict[str, list[Stop]] = {}
    for theme in ("light", "dark"):
        with opened(browser, url, theme, 1440) as page:
            wait_until_done(page)
            stops[theme] = walk(page)
            moving, drift = page.evaluate(MOVING), page.evaluate(JUMP)
    lines = write_report(looks, stops, moving, drift)
    everything = [item for looked in looks for findings in looked.views.values() for item in findings]
    against = "page, dialogs and embed, 1440 and 390 px, both themes"
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
    return [*rows, Row("findings that fall short", against, len(lines), "", 0, reason="see docs/accessibility.md")]


def main() -> None:
    """Write the report, print the rows."""
    with open_chromium() as (browser, server):
        print_rows(measure(browser, server.url))


if __name__ == "__main__":
    main()
