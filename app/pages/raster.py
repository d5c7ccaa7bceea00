"""Curves of a filled figure as pixels: what Plotly draws in a page, drawn here for the picture of a link."""

import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from app.figures.fill.labels import spread
from app.figures.fill.numbers import nice_step
from app.figures.style import Theme
from app.files import NODE_MODULES, read_file
from app.pages.vendored import FONTS

SCALE = 2  # everything is drawn so much larger and then shrunk: Pillow's lines have no soft edges
MARKS = 9  # along a line, as in the page's figures
DASH_SCALE = 1.5

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, width, height

_RAISED = re.compile(r"(.*?)<sup>(.*?)</sup>")


@cache
def load_font(size: int, is_bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which knows every sign in our sentences, at `size` pixels of the picture."""
    return ImageFont.truetype(io.BytesIO(read_file(f"{NODE_MODULES}/{FONTS[is_bold]}")), size * SCALE)


def measure(text: str, size: int, is_bold: bool = False) -> float:
    """Width of a text in pixels of the picture."""
    return load_font(size, is_bold).getlength(text) / SCALE


def shorten(text: str, size: int, width: float, is_bold: bool = False) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if measure(text, size, is_bold) <= width:
        return text
    while text and measure(f"{text}…", size, is_bold) > width:
        text = text[:-1].rstrip()
    return f"{text}…"


def wrap(text: str, size: int, width: float, lines: int, is_bold: bool = False) -> list[str]:
    """At most so many lines that fit; the last one says by an ellipsis that there is more."""
    words = text.split()
    wrapped: list[str] = []
    while words and len(wrapped) < lines - 1:
        count = 1
        while count < len(words) and measure(" ".join(words[: count + 1]), size, is_bold) <= width:
            count += 1
        wrapped.append(shorten(" ".join(words[:count]), size, width, is_bold))
        words = words[count:]
    return [*wrapped, shorten(" ".join(words), size, width, is_bold)] if words else wrapped


def _corners(count: int, outer: float, inner: float) -> list[Point]:
    """Corners around 0, the first on top, by turns at two distances."""
    angles = [2 * math.pi * corner / count for corner in range(count)]
    distances = itertools.cycle((outer, inner))
    return [(away * math.sin(angle), -away * math.cos(angle)) for away, angle in zip(distances, angles, strict=False)]


_PLUS: list[Point] = [
    (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4),
    (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4),
]  # fmt: skip
# Plotly's symbols, by their names, as corners around 0.
SHAPES: dict[str, list[Point]] = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "diamond": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
    "triangle-up": [(0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
    "triangle-down": [(0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
    "pentagon": _corners(5, 1.15, 1.15),
    "hexagon": _corners(6, 1.15, 1.15),
    "star": _corners(10, 1.4, 0.55),
    "cross": _PLUS,
    "x": [((x - y) * 0.7, (x + y) * 0.7) for x, y in _PLUS],
}


class Canvas:
    """A picture in the making; places and sizes are pixels of the finished one."""

    def __init__(self, width: int, height: int, theme: Theme) -> None:
        self.width, self.height, self.theme = width, height, theme
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), theme.card)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finish(self) -> Image.Image:
        """The picture."""
        return self._image.resize((self.width, self.height), Image.Resampling.LANCZOS)

    def text(
        self, x: float, y: float, text: str, size: int, color: str, anchor: str = "ls", bold: bool = False
    ) -> None:
        """One line. `anchor` as Pillow says it: l, m or r, then s for the baseline or m for the middle."""
        self._draw.text((x * SCALE, y * SCALE), text, color, load_font(size, bold), anchor)

    def tick(self, x: float, y: float, text: str, size: int, color: str, is_right: bool = True) -> None:
        """A tick's label with its right end at `x`, or its left one; of `10<sup>3</sup>` the 3 is raised."""
        base, power = _RAISED.fullmatch(text).groups() if _RAISED.fullmatch(text) else (text, "")  # type: ignore[union-attr]
        small = round(size * 0.72)
        if not is_right:
            x += measure(base, size) + measure(power, small)
        self.text(x, y - size * 0.36, power, small, color, "rm")
        self.text(x - measure(power, small), y, base, size, color, "rm")

    def line(self, points: Sequence[Point], color: str, width: float, dash: str = "solid", alpha: float = 1.0) -> None:
        """A line through `points`; `dash` as Plotly says it: solid, or lengths in pixels."""
        ink = _with_alpha(color, alpha)
        for part in _cut(points, _lengths(dash)):
            scaled = [(x * SCALE, y * SCALE) for x, y in part]
            self._draw.line(scaled, ink, round(width * SCALE), "curve")

    def box(self, box: Box, color: str) -> None:
        """A filled rectangle."""
        left, top, width, height = box
        corners = (left, top, left + width, top + height)
        self._draw.rectangle([round(side * SCALE) for side in corners], color)

    def area(self, points: Sequence[Point], fill: str) -> None:
        """A filled shape; `fill` is Plotly's `rgba(r,g,b,a)`."""
        red, green, blue, alpha = (float(part) for part in re.findall(r"[\d.]+", fill))
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.polygon(scaled, (round(red), round(green), round(blue), round(255 * alpha)))

    def mark(self, point: Point, symbol: str, color: str, radius: float = 5.0) -> None:
        """A run's marker."""
        x, y, r = point[0] * SCALE, point[1] * SCALE, radius * SCALE
        if symbol == "circle":
            self._draw.ellipse((x - r, y - r, x + r, y + r), color)
            return
        self._draw.polygon([(x + r * dx, y + r * dy) for dx, dy in SHAPES[symbol]], color)


def draw_curves(canvas: Canvas, figure: dict[str, Any], box: Box, size: int = 17) -> None:
    """A filled figure of curves within `box`, with its ticks left of it and its labels right of it."""
    layout, theme = figure["layout"], canvas.theme
    left, top, width, height = box
    (x_low, x_high), (y_low, y_high) = layout["xaxis"]["range"], layout["yaxis"]["range"]

    def place(x: float, y: float) -> Point:
        return left + (x - x_low) / (x_high - x_low) * width, top + (y_high - y) / (y_high - y_low) * height

    for value, text in zip(layout["yaxis"]["tickvals"], layout["yaxis"]["ticktext"], strict=True):
        y = place(x_low, value)[1]
        canvas.line([(left, y), (left + width, y)], theme.grid, 1)
        canvas.tick(left - 10, y, text, size, theme.muted)
    for layer in layer_ticks(x_low, x_high):
        x = place(layer, y_low)[0]
        canvas.line([(x, top), (x, top + height)], theme.grid, 1)
        canvas.text(x, top + height + 16, str(layer), size, theme.muted, "mm")
    for shape in layout.get("shapes", []):
        y = place(x_low, shape["y0"])[1]
        canvas.line([(left, y), (left + width, y)], shape["line"]["color"], 1)
    _draw_traces(canvas, figure["data"], place)
    for note in _apart(layout["annotations"], (size + 5) / height):
        _draw_note(canvas, note, place, box, size)


def _draw_traces(canvas: Canvas, traces: list[dict[str, Any]], place: Any) -> None:
    edge: list[Point] = []
    for turn, trace in enumerate(traces):
        if not trace.get("visible", True):
            continue
        parts = [[place(x, y) for x, y in part] for part in _known(trace["x"], trace["y"])]
        points = [point for part in parts for point in part]
        if trace.get("fill") == "tonexty" and edge and points:
            canvas.area([*edge, *reversed(points)], trace["fillcolor"])
        edge = points
        look = trace["line"]
        if not look["width"]:
            continue
        for part in parts:
            wide = 1.35 * look["width"]
            canvas.line(part, look["color"], wide, look.get("dash", "solid"), trace.get("opacity", 1.0))
        if "markers" in trace["mode"] and points:
            step = max(1, math.ceil(len(points) / MARKS))
            for point in points[(turn % 4) * step // 4 :: step]:  # lines that lie on each other show all marks
                canvas.mark(point, trace["marker"]["symbol"], look["color"])


def _apart(notes: list[dict[str, Any]], gap: float) -> list[dict[str, Any]]:
    """The notes with the labels at the ends of lines as far apart as letters of this size want."""
    ends = [index for index, note in enumerate(notes) if note["xref"] == "x domain"]
    places = dict(zip(ends, spread([notes[index]["y"] for index in ends], gap), strict=True))
    return [note | {"y": places.get(index, note["y"])} for index, note in enumerate(notes)]


def _draw_note(canvas: Canvas, note: dict[str, Any], place: Any, box: Box, size: int) -> None:
    """A label at the end of a line, or where a curve is lost, or in the middle of a figure that is empty."""
    left, top, width, height = box
    x, y = place(note["x"], note["y"])
    if note["xref"] != "x":
        x = left + note["x"] * width + note.get("xshift", 0)
    if note["yref"] != "y":
        y = top + (1 - note["y"]) * height
    side = {"left": "l", "center": "m", "right": "r"}[note["xanchor"]]
    room = {"l": canvas.width - x - 16, "m": width, "r": x - left}[side]
    color = note["font"]["color"]
    canvas.text(x, y, shorten(note["text"], size, room, True), size, color, f"{side}m", bold=True)


def _known(xs: Sequence[float], ys: Sequence[float | None]) -> Iterator[list[Point]]:
    """The stretches of a line between its gaps."""
    part: list[Point] = []
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            part.append((x, y))
        elif part:
            yield part
            part = []
    if part:
        yield part


def layer_ticks(low: float, high: float) -> range:
    step = max(1, round(nice_step((high - low) / 6)))
    return range(math.ceil(low / step) * step, math.floor(high) + 1, step)


def _lengths(dash: str) -> list[float]:
    return [] if dash == "solid" else [DASH_SCALE * float(part.removesuffix("px")) for part in dash.split(",")]


def _cut(points: Sequence[Point], lengths: list[float]) -> Iterator[list[Point]]:
    """The drawn parts of a dashed line."""
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


def _with_alpha(color: str, alpha: float) -> tuple[int, int, int, int]:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue, round(255 * alpha)
