"""What the page needs to fill templates as Python does: sizes and limits of figures, and what shows a step."""

from typing import Any

from app.figures.fill import difference, fill, ink, labels, scales, steps, sums
from mhc_core.metrics import METRICS


def to_rules() -> dict[str, Any]:
    """The rules as plain data, each defined where Python uses it."""
    return {
        "min_span": fill.MIN_SPAN,
        "window_columns": fill.WINDOW_COLUMNS,
        "letter_px": fill.LETTER_PX,
        "few_layers": fill.FEW_LAYERS,
        "min_row_gap": fill.MIN_ROW_GAP,
        "label_gap": labels.GAP,
        "high_share": labels.HIGH,
        "max_ticks": scales.MAX_TICKS,
        "min_steps": scales.MIN_STEPS,
        "room_for_one": scales.ROOM_FOR_ONE,
        "cells_with_numbers": sums.CELLS_WITH_NUMBERS,
        "columns_abreast": sums.COLUMNS_ABREAST,
        "columns_with_sums": sums.COLUMNS_WITH_SUMS,
        "short_sum": sums.SHORT,
        "cell_digits": sums.CELL_DIGITS,
        "product_title": sums.TITLE,
        "numbers_px": ink.ROOM_PX,
        "number_sizes": list(ink.SIZES),
        "no_difference": difference.EMPTY,
        "steps": to_step_rules(),
    }


def to_step_rules() -> dict[str, Any]:
    """Metric to the column of a step's frame; which kept ones span decades; beginnings of metrics that no step has."""
    return {
        "columns": steps.COLUMNS,
        "kept_columns": steps.KEPT_COLUMNS,
        "matrices": steps.MATRICES,
        "logarithmic": [key for key in steps.KEPT if METRICS[key].scale == "log"],
        "unknown": list(steps.UNKNOWN),
    }
