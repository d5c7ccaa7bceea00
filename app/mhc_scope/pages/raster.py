"""Draw texts, lines and filled shapes on a canvas of pixels, for the pictures of links."""

import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mhc_core.figures.numbers import nice_step
from mhc_core.figures.style import Theme, read_color
from mhc_scope.files import NODE_MODULES, read_file
from mhc_scope.pages.vendored import FONTS

SCALE = 2  # factor by which all is drawn larger and then reduced, because Pillow does not smooth the edges of lines
DASH_SCALE = 1.5
GLOW_PX = 14.0  # radius of a glow, in pixels of the picture

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, width, height

_RAISED = re.compile(r"(.*?)<sup>(.*?)</sup>")


@cache
def load_font(size: int, is_bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which has all characters of our texts. size: in pixels of the picture."""
    return ImageFont.truetype(io.BytesIO(read_file(f"{NODE_MODULES}/{FONTS[is_bold]}")), size * SCALE)


def measure(text: str, size: int, is_bold: bool = False) -> float:
    """Return the width of a text in pixels of the picture."""
    return load_font(size, is_bold).getlength(text) / SCALE


def shorten(text: str, size: int, width: float, is_bold: bool = False) -> str:
    """Return the text, or its beginning with an ellipsis if it is wider than `width`."""
    if measure(text, size, is_bold) <= width:
        return text
    while text and measure(f"{text}…", size, is_bold) > width:
        text = text[:-1].rstrip()
    return f"{text}…"


class Canvas:
    """A picture to draw on. Positions and sizes are in pixels of the finished picture."""

    def __init__(self, width: int, height: int, theme: Theme) -> None:
        self.width, self.height, self.theme = width, height, theme
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), theme.card)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finish(self) -> Image.Image:
        """Return the finished picture, scaled to its final size."""
        return self._image.resize((self.width, self.height), Image.Resampling.LANCZOS)

    def draw_text(
        self, x: float, y: float, text: str, size: int, color: str, anchor: str = "ls", bold: bool = False
    ) -> None:
        """Draw one line of text. anchor: as in Pillow, l, m or r, then s for the baseline or m for the middle."""
        self._draw.text((x * SCALE, y * SCALE), text, color, load_font(size, bold), anchor)

    def draw_tick(self, x: float, y: float, text: str, size: int, color: str, is_right: bool = True) -> None:
        """Draw the label of a tick with its right end at `x`, or its left end. The 3 of `10<sup>3</sup>` is raised."""
        base, power = _RAISED.fullmatch(text).groups() if _RAISED.fullmatch(text) else (text, "")  # type: ignore[union-attr]
        small = round(size * 0.72)
        if not is_right:
            x += measure(base, size) + measure(power, small)
        self.draw_text(x, y - size * 0.36, power, small, color, "rm")
        self.draw_text(x - measure(power, small), y, base, size, color, "rm")

    def draw_line(
        self, points: Sequence[Point], color: str, width: float, dash: str = "solid", alpha: float = 1.0
    ) -> None:
        """Draw a line through points. dash: as in Plotly, solid or lengths in pixels."""
        red, green, blue = read_color(color).tolist()
        ink = (red, green, blue, round(255 * alpha))
        for part in _cut(points, _to_lengths(dash)):
            scaled = [(x * SCALE, y * SCALE) for x, y in part]
            self._draw.line(scaled, ink, round(width * SCALE), "curve")

    def draw_box(self, box: Box, color: str) -> None:
        """Draw a filled rectangle. box: left, top, width and height."""
        left, top, width, height = box
        corners = (left, top, left + width, top + height)
        self._draw.rectangle([round(side * SCALE) for side in corners], color)

    @contextmanager
    def clip(self, box: Box) -> Iterator[None]:
        """Restrict drawing to a box while the context is open."""
        before, (left, top, width, height) = self._image.copy(), box
        corners = [round(side * SCALE) for side in (left, top, left + width, top + height)]
        yield
        before.paste(self._image.crop((corners[0], corners[1], corners[2], corners[3])), (corners[0], corners[1]))
        self._image = before
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def draw_shaded(self, points: Sequence[Point], colors: Sequence[tuple[float, str]], alpha: float) -> None:
        """Draw a filled shape whose colour changes from left to right. colors: pairs of x and colour."""
        places = [x * SCALE for x, _ in colors]
        parts = np.array([read_color(color) for _, color in colors], dtype=np.float64)
        columns = np.arange(self._image.width)
        row = np.stack([np.interp(columns, places, parts[:, part]) for part in range(3)], axis=1).astype(np.uint8)
        fill = Image.fromarray(np.broadcast_to(row, (self._image.height, *row.shape)).copy(), "RGB")
        self._image.paste(fill, (0, 0), self._to_mask([points], alpha))

    def draw_glow(self, shapes: Sequence[Sequence[Point]], color: str, alpha: float) -> None:
        """Draw a glow around shapes."""
        mask = self._to_mask(shapes, alpha).filter(ImageFilter.GaussianBlur(GLOW_PX * SCALE))
        self._image.paste(color, (0, 0, *self._image.size), mask)

    def _to_mask(self, shapes: Sequence[Sequence[Point]], alpha: float) -> Image.Image:
        """Return a mask of shapes. It is drawn at twice the size, because Pillow rounds corners to whole pixels."""
        mask = Image.new("L", (2 * self._image.width, 2 * self._image.height))
        draw = ImageDraw.Draw(mask)
        for points in shapes:
            draw.polygon([(2 * x * SCALE, 2 * y * SCALE) for x, y in points], round(255 * alpha))
        return mask.reduce(2)


def layer_ticks(low: float, high: float) -> range:
    """Return about six layers between `low` and `high` that get a tick."""
    step = max(1, round(nice_step((high - low) / 6)))
    return range(math.ceil(low / step) * step, math.floor(high) + 1, step)


def _to_lengths(dash: str) -> list[float]:
    return [] if dash == "solid" else [DASH_SCALE * float(part.removesuffix("px")) for part in dash.split(",")]


def _cut(points: Sequence[Point], lengths: list[float]) -> Iterator[list[Point]]:
    """Yield the dashes of a line through points. lengths: of dashes and gaps in turn; [] for a solid line."""
    if not lengths:
        yield list(points)
        return
    turn, left_over = 0, lengths[0]
    part = [points[0]]
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        total = math.hypot(next_x - x, next_y - y)
        done = 0.0
        while total - done > left_over:
            done += left_over
            corner = (x + (next_x - x) * done / total, y + (next_y - y) * done / total)
            if turn % 2 == 0:
                yield [*part, corner]
            turn += 1
            left_over, part = lengths[turn % len(lengths)], [corner]
        left_over -= total - done
        part.append((next_x, next_y))
    if turn % 2 == 0 and len(part) > 1:
        yield part
