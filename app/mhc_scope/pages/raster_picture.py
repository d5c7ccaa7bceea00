"""Draw the compared stacks as ribbons on one linear scale, for the picture of a link, like the picture on the page.

The width of a ribbon is proportional to the signal. A ribbon wider than its lane is drawn behind the others, is cut off
at the edge of the picture, and is paler the wider it is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mhc_core.figures.sources import Columns
from mhc_core.figures.style import mix
from mhc_scope.pages.raster import Box, Canvas, Point, layer_ticks

KEY = "act_rms_streams"
UNIT_PX = 1.9  # width of a signal of size 1, in every picture
LEAST_PX = 2.0  # smallest width of a ribbon, visible in a small picture in a feed
MOST_PX = 4000.0  # largest width; more would be cut off anyway
GAP_LANES = 1.0  # gap between two runs, in lanes
ALPHA, GLOW = 0.72, 0.22
PALE, PALE_DECADES = 0.75, 3.0  # fraction of a pale colour in a ribbon that is 10^3 times as wide as its lane
WEIGHT, STEP = 0.04, 2  # smallest mixing weight that is drawn, and the distance of layers with weights


@dataclass(frozen=True)
class Lanes:
    """The lanes of one run's streams: vertical middles, and the height of each."""

    middles: Sequence[float]
    height: float

    @property
    def middle(self) -> float:
        """Return the vertical middle of a run's lanes in a link picture."""
        return (self.middles[0] + self.middles[-1]) / 2


def place_lanes(counts: Sequence[int], box: Box) -> list[Lanes]:
    """Place a lane for each stream of runs with these numbers of streams, from the top of the box down."""
    _, top, _, height = box
    lane_height = height / max(1.0, sum(counts) + GAP_LANES * (len(counts) - 1))
    placed, y = [], top
    for count in counts:
        placed.append(Lanes([y + (stream + 0.5) * lane_height for stream in range(count)], lane_height))
        y += (count + GAP_LANES) * lane_height
    return placed


def read_sizes(columns: Columns) -> np.ndarray:
    """Return log10 of the size of each stream after each layer (L, n), nan if it is unknown."""
    return columns.layers_log10.get(KEY, np.full((1, 1), np.nan))


def find_largest(sizes_Ln: np.ndarray) -> float:
    """Return the largest finite log10 size; -inf if there is none."""
    known = sizes_Ln[np.isfinite(sizes_Ln)]
    return float(known.max(initial=-np.inf))


def draw_ribbons(canvas: Canvas, runs: Sequence[tuple[Columns, str, Lanes]], box: Box) -> None:
    """Draw the ribbons and the mixing of each run, the run with the largest signal behind the others."""
    sizes = [read_sizes(columns) for columns, *_ in runs]
    depth = max(len(sizes_Ln) for sizes_Ln in sizes)
    left, top, width, height = box
    with canvas.clip(box):
        for run in sorted(range(len(runs)), key=lambda run: -find_largest(sizes[run])):
            columns, color, lanes = runs[run]
            xs = left + np.arange(1, len(sizes[run]) + 1) / depth * width
            _draw_run(canvas, xs, sizes[run], color, lanes)
            _draw_mixing(canvas, xs, columns, color, lanes)
    for layer in layer_ticks(1, depth):
        canvas.draw_text(left + layer / depth * width, top + height + 16, str(layer), 16, canvas.theme.muted, "mm")


def _draw_run(canvas: Canvas, xs: np.ndarray, sizes_Ln: np.ndarray, color: str, lanes: Lanes) -> None:
    """Draw the streams of a run as ribbons, with a glow if they exceed their lanes."""
    outlines = [
        outline for y, logs_L in zip(lanes.middles, sizes_Ln.T, strict=True) for outline in to_ribbons(xs, logs_L, y)
    ]
    bursts = find_largest(sizes_Ln) + math.log10(UNIT_PX) > math.log10(lanes.height)
    if bursts:
        canvas.draw_glow(outlines, color, GLOW)
    for outline in outlines:
        canvas.draw_shaded(outline, to_colors(xs, sizes_Ln, color, lanes.height), ALPHA if bursts else 1.0)


def to_colors(xs: np.ndarray, sizes_Ln: np.ndarray, color: str, lane_height: float) -> list[tuple[float, str]]:
    """Return pairs of position and colour, paler where the widest ribbon of the run is wider than its lane."""
    with np.errstate(invalid="ignore"):
        widest_L = np.fmax.reduce(sizes_Ln, axis=1) + math.log10(UNIT_PX / lane_height)
    fractions = np.clip(np.nan_to_num(widest_L, nan=0.0, posinf=PALE_DECADES) / PALE_DECADES, 0, 1) * PALE
    return [(float(x), mix(color, "#ffe6bd", float(fraction))) for x, fraction in zip(xs, fractions, strict=True)]


def _draw_mixing(canvas: Canvas, xs: np.ndarray, columns: Columns, color: str, lanes: Lanes) -> None:
    """Draw mixing weights between different streams as thin lines, from input to output lane, dashed if negative."""
    weights = columns.matrices.get("h_res")
    count = len(lanes.middles)
    if weights is None or weights.shape[1] != count or count == 1:
        return
    ink = mix(color, canvas.theme.ink, 0.6)
    for layer in range(STEP, len(xs), STEP):
        for target in range(count):
            for source in range(count):
                weight = float(weights[layer, target, source])
                if source != target and abs(weight) > WEIGHT:
                    points = to_curve(
                        (float(xs[layer - STEP]), lanes.middles[source]), (float(xs[layer]), lanes.middles[target])
                    )
                    dash = "solid" if weight > 0 else "3px,3px"
                    canvas.draw_line(points, ink, 0.8, dash, min(0.7, 1.6 * abs(weight)))


def to_curve(start: Point, end: Point) -> list[Point]:
    """Return the points of a curve from one lane to another, horizontal at both ends."""
    fractions = np.linspace(0, 1, 9)
    eased = fractions * fractions * (3 - 2 * fractions)
    (x0, y0), (x1, y1) = start, end
    return [(x0 + float(a) * (x1 - x0), y0 + float(b) * (y1 - y0)) for a, b in zip(fractions, eased, strict=True)]


def to_width(log10: float) -> float:
    """Return the width of a stream's ribbon in pixels, from log10 of its size."""
    return min(MOST_PX, max(LEAST_PX, UNIT_PX * 10 ** min(log10, 9.0)))


def to_ribbons(xs: np.ndarray, logs_L: np.ndarray, y: float) -> Iterator[list[Point]]:
    """Yield the outline of each known part of one stream: along the upper edge, and back along the lower edge."""
    part: list[tuple[float, float]] = []
    for x, log10 in [*zip(xs.tolist(), logs_L.tolist(), strict=True), (0.0, math.nan)]:
        if not math.isnan(log10):
            part.append((x, to_width(log10) / 2))
        elif part:
            if len(part) > 1:
                yield [(x, y - half) for x, half in part] + [(x, y + half) for x, half in reversed(part)]
            part = []
