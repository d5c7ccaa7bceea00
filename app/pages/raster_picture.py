"""Streams as ribbons over their layers, as the page's picture draws them, for the picture of a link."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.figures.fill.sources import Columns
from app.pages.raster import Box, Canvas, Point, layer_ticks

KEY = "act_rms_streams"
LEAST_PX = 2.5  # less would be a hair in a picture that feeds show small
SHARE = 0.85  # of the room between two streams is the widest ribbon
MIN_DECADES = 1.0  # lest small differences look large


@dataclass(frozen=True)
class Scale:
    """From log10 of a size to pixels, one for all runs."""

    low: float
    high: float
    most_px: float

    def width(self, log10: float) -> float:
        """Of a ribbon."""
        return LEAST_PX + (log10 - self.low) / (self.high - self.low) * (self.most_px - LEAST_PX)


def draw_ribbons(canvas: Canvas, runs: Sequence[tuple[Columns, str]], box: Box, size: int = 17) -> None:
    """A ribbon for each stream of each run, in the run's colour, with the layers under them."""
    left, top, width, height = box
    sizes = [(columns.layers_log10[KEY], color) for columns, color in runs if KEY in columns.layers_log10]
    if not sizes:
        return
    depth = max(len(logs_Ln) for logs_Ln, _ in sizes)
    lane = height / (sum(logs_Ln.shape[1] for logs_Ln, _ in sizes) + len(sizes) - 1)
    scale = to_scale([logs_Ln for logs_Ln, _ in sizes], max(LEAST_PX, SHARE * lane))
    y = top
    for logs_Ln, color in sizes:
        for logs_L in logs_Ln.T:
            places = left + (np.arange(len(logs_L)) + 0.5) / depth * width
            for outline in to_ribbons(places, logs_L, y + lane / 2, scale):
                canvas.area(outline, _to_rgba(color))
            y += lane
        y += lane
    for layer in layer_ticks(1, depth):
        canvas.text(left + (layer - 0.5) / depth * width, top + height + 16, str(layer), size, canvas.theme.muted, "mm")


def to_scale(sizes: Sequence[np.ndarray], most_px: float) -> Scale:
    """The scale of log10 sizes, each (L, n), nan where there is none."""
    known = np.concatenate([logs_Ln[np.isfinite(logs_Ln)] for logs_Ln in sizes])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return Scale(low, max(high, low + MIN_DECADES), most_px)


def to_ribbons(xs: np.ndarray, logs_L: np.ndarray, y: float, scale: Scale) -> Iterator[list[Point]]:
    """Outlines of the stretches of one stream that are known: along the upper edge and back along the lower."""
    part: list[tuple[float, float]] = []
    for x, log10 in [*zip(xs.tolist(), logs_L.tolist(), strict=True), (0.0, math.nan)]:
        if math.isfinite(log10):
            part.append((x, scale.width(log10) / 2))
        elif part:
            if len(part) > 1:
                yield [(x, y - half) for x, half in part] + [(x, y + half) for x, half in reversed(part)]
            part = []


def _to_rgba(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},1)"
