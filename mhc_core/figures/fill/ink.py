"""Numbers in cells in black or white, whichever is legible on the cell. `static/js/data/ink.js` says the same.

A heatmap of Plotly's writes them in white or in a dark grey, which middle colours are too near to, or all in one
colour; text of its own can have a colour for each.
"""

import math
from bisect import bisect_left
from typing import Any

import numpy as np

from mhc_core.figures.fill.numbers import format_fixed

EVEN = 0.179  # relative luminance of sRGB at which black and white are equally far
ROOM_PX = 640  # for all matrices abreast, in a figure of 700 px
LETTER = 0.6  # of a letter's size is its width
SIZES = (7, 12)
ColorScale = list[list[Any]]  # stops from 0 to 1, colours as #rrggbb


def write_numbers(figure: dict[str, Any]) -> None:
    """Put text over the cells in place of each heatmap's own, on axes that keep their span."""
    layout = figure["layout"]
    numbered = [trace for trace in figure["data"] if trace.get("visible", True) and trace.get("texttemplate")]
    room = ROOM_PX / max(1, sum(len(trace["z"][0]) for trace in numbered))
    for trace in numbered:
        axis = layout["coloraxis"]
        z = np.asarray(trace["z"], dtype=np.float64)
        rows, columns = z.shape
        cells = [(row, column) for row in range(rows) for column in range(columns)]
        texts = [_to_text(trace, z, *cell) for cell in cells]
        width = axis["cmax"] - axis["cmin"]
        shares = (z - axis["cmin"]) / width if width > 0 else np.full_like(z, np.nan)
        inks = [ink_on(axis["colorscale"], float(shares[cell])) for cell in cells]
        layout[f"xaxis{trace['xaxis'][1:]}"] |= {"range": [0.5, columns + 0.5], "autorange": False}
        layout[f"yaxis{trace['yaxis'][1:]}"] |= {"range": [rows + 0.5, 0.5], "autorange": False}
        text = {
            "type": "scatter",
            "mode": "text",
            "x": [column + 1 for _, column in cells],
            "y": [row + 1 for row, _ in cells],
            "text": texts,
            "textfont": {"color": inks, "size": fit_letters(texts, room)},
            "hoverinfo": "skip",
            "meta": {"run": trace["meta"]["run"], "key": trace["meta"]["key"], "fill": {}},
        }
        figure["data"].append({**text, "xaxis": trace["xaxis"], "yaxis": trace["yaxis"]})
        trace["texttemplate"] = ""


def fit_letters(texts: list[str], room: float) -> int:
    """Letters that leave the longest number in its cell."""
    fits = math.floor(room / (LETTER * max(1, *map(len, texts))))
    return min(SIZES[1], max(SIZES[0], fits))


def _to_text(trace: dict[str, Any], z: np.ndarray, row: int, column: int) -> str:
    if trace["texttemplate"] == "%{text}":
        return str(trace["text"][row][column])
    return format_fixed(float(z[row, column]), 2)


def ink_on(scale: ColorScale, share: float) -> str:
    """The ink on a scale's colour, `share` from 0 to 1; of an axis without a width, or a cell without a number, NaN."""
    at = 0.5 if np.isnan(share) else min(1.0, max(0.0, share))
    above = bisect_left([place for place, _ in scale], at)
    low, high = scale[max(0, above - 1)], scale[above]
    part = (at - low[0]) / (high[0] - low[0]) if high[0] > low[0] else 0.0
    mixed = [start + part * (end - start) for start, end in zip(_to_rgb(low[1]), _to_rgb(high[1]), strict=True)]
    return "#000000" if luminance(mixed) > EVEN else "#ffffff"


def _to_rgb(color: str) -> list[int]:
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def luminance(rgb: list[float]) -> float:
    """WCAG's relative luminance of channels from 0 to 255."""
    parts = [value / 255 / 12.92 if value <= 10.31 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
