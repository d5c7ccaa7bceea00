"""Numbers in drawn matrices: their entries, and their row and column sums as tick labels.

The page has separate rules for their placement (`static/js/figures/sums.js`). Here Plotly chooses the font size.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.figures import composites
from mhc_core.figures.sources import Columns, find_product
from mhc_core.findings.numerals import format_fixed, format_value

CELLS_WITH_NUMBERS = 16  # largest number of matrix columns in a figure for which entries have room for numbers
LARGE = 1e3  # numbers from here on are shown without two decimals


def write_sums(
    layout: dict[str, Any], shown: Sequence[dict[str, Any]], results: Sequence[Columns | None], cursor: int
) -> None:
    """Write row sums at the right of each visible matrix, column sums below, and entries if there is room."""
    is_roomy = sum(len(trace["z"]) for trace in shown) <= CELLS_WITH_NUMBERS
    for trace in shown:
        x_name, y_name = layout["meta"]["grid"]["cells"][trace["meta"]["run"]]
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        product = find_product(trace["meta"]["fill"]["z"], result, cursor)
        if product is None:
            matrix = np.asarray(trace["z"], dtype=np.float64)
            rows, below = ([_to_text(float(value)) for value in matrix.sum(axis)] for axis in (1, 0))
            trace["text"] = _to_cells(matrix)
        else:
            rows, below = (composites.to_texts(product, sums) for sums in (product.row_sums, product.col_sums))
            layout[x_name]["title"] = {"text": composites.to_title(product), "font": {"size": 11}}
        trace["texttemplate"] = "%{text}" if is_roomy else ""
        layout[x_name] |= _to_ticks(below)
        layout[y_name] |= _to_ticks([f"Σ {text}" for text in rows])


def _to_cells(matrix: np.ndarray) -> list[list[str]]:
    """Return the numbers of a matrix's cells as texts: with two decimals, or three digits where one is large."""
    is_large = np.nanmax(np.abs(matrix), initial=0.0) >= LARGE
    return [
        [format_value(value, digits=3) if is_large else format_fixed(value, 2) for value in row]
        for row in matrix.tolist()
    ]


def _to_ticks(texts: list[str]) -> dict[str, Any]:
    """Return Plotly's settings for ticks at 1, 2, ... with these texts: the sums next to a matrix."""
    places = list(range(1, len(texts) + 1))
    return {"tickmode": "array", "tickvals": places, "ticktext": texts, "tickfont": {"size": 10}}


def _to_text(value: float) -> str:
    return format_fixed(value, 2) if abs(value) < LARGE else format_value(value)
