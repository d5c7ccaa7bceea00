"""The numbers of matrices on a figure: in cells, and their sums beside them. `static/js/data/sums.js` says the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.figures.fill import composites
from mhc_core.figures.fill.numbers import format_fixed, format_value
from mhc_core.figures.fill.sources import Columns, find_product

CELLS_WITH_NUMBERS = 16  # matrix columns in the width of a card that leave room for numbers
COLUMNS_ABREAST = 10  # and for a label below each that lies flat
COLUMNS_WITH_SUMS = 32  # and for one that stands
SHORT = 5  # letters of a sum that leave room for a sign before it
CELL_DIGITS = 3
TITLE = {"font": {"size": 11}, "standoff": 4}  # of what stands below a product


def write_sums(
    layout: dict[str, Any], shown: list[dict[str, Any]], results: Sequence[Columns | None], cursor: int, narrow: bool
) -> None:
    """Row sums right of each matrix that is shown, column sums below, and numbers in cells where they can be read."""
    abreast = 1 if narrow else len(shown)
    for trace in shown:
        x_name, y_name = layout["meta"]["grid"]["cells"][trace["meta"]["run"]]
        columns = len(trace["z"]) * abreast  # in the width of the card
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        product = find_product(trace["meta"]["fill"]["z"], result, cursor)
        if product is None:
            matrix = np.asarray(trace["z"], dtype=np.float64)
            rows, below = ([_sum_text(value) for value in matrix.sum(axis)] for axis in (1, 0))
            span = [_sum_text(min(matrix.sum(0))), _sum_text(max(matrix.sum(0)))]
            texts = _cell_texts(matrix)
            template = "%{z:.2f}" if texts is None else "%{text}"
            if texts is not None:
                trace["text"] = texts
        else:
            sums = product.col_sums
            rows = composites.to_texts(product, product.row_sums)
            below = composites.to_texts(product, sums)
            span = composites.to_texts(product, np.array([min(sums), max(sums)]))
            template = "%{text}"
            layout[x_name]["title"] = {**TITLE, "text": composites.to_title(product)}
        has_numbers = columns <= CELLS_WITH_NUMBERS / (2 if narrow else 1)
        layout[y_name] |= _sum_ticks(rows, has_numbers and (columns <= COLUMNS_ABREAST or max(map(len, rows)) < SHORT))
        is_long = columns > COLUMNS_WITH_SUMS
        layout[x_name] |= (
            _sum_span(span, len(below))
            if is_long
            else _sum_ticks(below, columns <= COLUMNS_ABREAST and max(map(len, below)) <= SHORT)
        )
        layout[x_name]["tickangle"] = -90 if COLUMNS_ABREAST < columns <= COLUMNS_WITH_SUMS else 0
        trace["texttemplate"] = template if has_numbers else ""


def _sum_ticks(texts: list[str], is_roomy: bool) -> dict[str, Any]:
    return {
        "tickmode": "array",
        "tickvals": list(range(1, len(texts) + 1)),
        "ticktext": [f"Σ {text}" for text in texts] if is_roomy else texts,
        "tickfont": {"size": 10 if is_roomy else 9},
    }


def _sum_span(span: list[str], columns: int) -> dict[str, Any]:
    """One label for all columns: the least and the largest sum."""
    text = f"Σ {span[0]} … {span[1]}"
    return {"tickmode": "array", "tickvals": [(columns + 1) / 2], "ticktext": [text], "tickfont": {"size": 9}}


def _sum_text(value: float) -> str:
    return format_fixed(value, 2) if abs(value) < 1e3 else format_value(float(value))


def _cell_texts(matrix: np.ndarray) -> list[list[str]] | None:
    """The numbers of cells where two digits behind the point are not what they need."""
    if bool(np.all(np.abs(matrix) < 100)):
        return None
    return [[format_value(float(value), digits=CELL_DIGITS) for value in row] for row in matrix]
