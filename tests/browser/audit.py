"""Contrast and sizes of what a page shows, from what the browser draws. WCAG 2.2: 1.4.3, 1.4.11 and 2.5.8.

A text's colour is the computed one, its background the pixels below it in a picture taken without text. Where several
colours lie below a text, each that fills a tenth of its box counts, and the worst decides.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

COLLECT = (Path(__file__).parent / "audit.js").read_text()
NO_TEXT = """* { transition: none !important; }
*, *::before, *::after, *::placeholder { color: #0000 !important; -webkit-text-fill-color: #0000 !important; }
svg text, svg text * { fill: #0000 !important; stroke: #0000 !important; }"""
TEXT, LARGE_TEXT, GRAPHIC, TARGET_PX, LETTERS_PX = 4.5, 3.0, 3.0, 24.0, 12.0
MIN_SHARE = 0.1
SHADE = 4
MAX_SIDE_PX = 64

Color = tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """One thing with its value and the least that it should have; `exempt` says why it need not."""

    kind: str
    name: str
    value: float
    wanted: float
    exempt: str = ""

    @property
    def is_short(self) -> bool:
        """Whether it falls short, and nothing excuses it."""
        return not self.exempt and self.value < self.wanted - 5e-3


def luminance(color: Color) -> float:
    """Relative luminance of an sRGB colour of 0 to 255."""
    parts = [part / 255 for part in color[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """WCAG's ratio of two opaque colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def blend(color: Color, back: Color) -> Color:
    """A colour with alpha over an opaque one."""
    alpha = color[3]
    return tuple(alpha * part + (1 - alpha) * below for part, below in zip(color[:3], back, strict=True))


def colors_below(picture: np.ndarray, box: list[float]) -> list[Color]:
    """The colours that fill at least a tenth of a box, the commonest first; that one alone where none does."""
    left, top, width, height = (round(side) for side in box)
    area = picture[max(0, top) : top + max(1, height), max(0, left) : left + max(1, width)]
    stride = 1 + max(area.shape) // MAX_SIDE_PX
    pixels = area[::stride, ::stride].reshape(-1, 3)
    if len(pixels) == 0:
        return []
    # Neighbouring shades count as one; what stands for them is the commonest of them.
    shades, counts = np.unique(pixels // SHADE, axis=0, return_counts=True)
    order = [index for index in np.argsort(-counts) if counts[index] >= MIN_SHARE * len(pixels)] or [counts.argmax()]
    return [_commonest(pixels[np.all(pixels // SHADE == shades[index], axis=1)]) for index in order]


def _commonest(pixels: np.ndarray) -> Color:
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return tuple(colors[counts.argmax()].tolist())


def photograph(page: Page) -> np.ndarray:
    """The page without its text, one pixel a CSS pixel."""
    style = page.add_style_tag(content=NO_TEXT)
    picture = Image.open(io.BytesIO(page.screenshot(scale="css"))).convert("RGB")
    style.evaluate("style => style.remove()")
    return np.asarray(picture)


def grow(page: Page, most: int = 9000) -> None:
    """A window as high as the page, so that all of it is drawn at once and no bar lies over it."""
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(most, max(size["height"], height + 40))})
    page.wait_for_timeout(300)  # the figures that have come in sight are asked for in the frames that follow
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def audit(page: Page, root: str = "body") -> list[Finding]:
    """Everything below `root` that is seen."""
    found: dict[str, list[Any]] = page.evaluate(COLLECT, root)
    picture = photograph(page)
    return [
        *(_to_text(item, picture) for item in found["texts"] if item["text"]),
        *(_to_letters(item) for item in found["texts"] if item["text"]),
        *(_to_part(item, picture) for item in found["parts"]),
        *(_to_curve(item, picture) for item in found["curves"]),
        *_to_targets(found["targets"]),
    ]


def _to_text(item: dict[str, Any], picture: np.ndarray) -> Finding:
    grounds = colors_below(picture, item["box"])
    least = min((contrast(blend(item["color"], back), back) for back in grounds), default=21)
    is_large = item["px"] >= 24 or (item["px"] >= 18.66 and item["bold"])
    name = f"“{item['text']}”{' in a figure' if item['svg'] else ''}, {item['px']:g} px"
    return Finding("text", name, least, LARGE_TEXT if is_large else TEXT, "disabled" if item["off"] else "")


def _to_letters(item: dict[str, Any]) -> Finding:
    """No law, our own limit; a figure may have smaller ones where it has no room, its table view says the same."""
    name = f"“{item['text']}”{' in a figure' if item['svg'] else ''}"
    return Finding("letters", name, item["px"], LETTERS_PX, "in a figure" if item["svg"] else "")


def _to_part(item: dict[str, Any], picture: np.ndarray) -> Finding:
    name, exempt = f"{item['what']}: {item['name']}", "disabled" if item.get("off") else ""
    left, top, _, height = item["box"]
    if "stroke" in item:
        back = colors_below(picture, item["box"])[0]
        return Finding("part", name, contrast(blend(item["stroke"], back), back), GRAPHIC, exempt)
    row = round(top + height / 2)
    if item["what"] in ("field", "checkbox"):  # its edge against what is left of it
        edge = picture[row, max(0, round(left) - 3) : round(left) + 4].tolist()
    else:  # a column through it
        edge = picture[max(0, row - 9) : row + 4, round(left)].tolist()
    return Finding("part", name, max(contrast(tuple(edge[0]), tuple(pixel)) for pixel in edge), GRAPHIC, exempt)


def _to_curve(item: dict[str, Any], picture: np.ndarray) -> Finding:
    back = colors_below(picture, item["box"])[0]
    return Finding("curve", item["panel"], contrast(blend(item["color"], back), back), GRAPHIC)


def _to_targets(targets: list[dict[str, Any]]) -> list[Finding]:
    places = [(item["box"][0] + item["box"][2] / 2, item["box"][1] + item["box"][3] / 2) for item in targets]

    def is_alone(index: int) -> bool:
        """A circle of 24 px on it touches no other target, and no such circle on one that is small itself."""
        x, y = places[index]
        for other, item in enumerate(targets):
            if other == index or item["box"] == targets[index]["box"]:
                continue
            left, top, width, height = item["box"]
            gap = np.hypot(max(left - x, 0, x - left - width), max(top - y, 0, y - top - height))
            is_small = min(width, height) < TARGET_PX
            if gap < 12 or (is_small and np.hypot(x - places[other][0], y - places[other][1]) < TARGET_PX):
                return False
        return True

    findings = []
    for index, item in enumerate(targets):
        size = min(item["box"][2:])
        exempt = ""
        if size < TARGET_PX - 5e-3:
            exempt = "within a sentence" if item["inline"] else "spacing" if is_alone(index) else ""
            exempt = "disabled" if item["off"] else exempt
        findings.append(Finding("target", f"{item['tag']} {item['name']}", size, TARGET_PX, exempt))
    return findings


def worst(findings: list[Finding], kind: str) -> Finding | None:
    """The least of a kind against what it should have, the exempt left out."""
    counted = [item for item in findings if item.kind == kind and not item.exempt]
    return min(counted, key=lambda item: item.value / item.wanted, default=None)
