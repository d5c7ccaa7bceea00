"""What the page needs to fill templates as Python does: sizes and limits of figures, and what shows a step."""

from dataclasses import dataclass
from typing import Any

from mhc_core.figures.fill import difference, fill, ink, labels, scales, steps, sums
from mhc_core.metrics import METRICS


@dataclass(frozen=True)
class StepRules:
    """What stands for a metric at a step of training.

    Attributes
    ----------
    columns: metric to the column of every step's frame.
    kept_columns, matrices: metric to what frames of kept steps alone have, over the layers and as matrices.
    logarithmic: which of the kept ones span decades.
    unknown: beginnings of metrics that no step has.
    """

    columns: dict[str, str]
    kept_columns: dict[str, str]
    matrices: dict[str, str]
    logarithmic: list[str]
    unknown: list[str]


@dataclass(frozen=True)
class FigureRules:
    """Sizes and limits, each explained where it is defined."""

    min_span: dict[str, float]
    window_columns: int
    letter_px: float
    few_layers: int
    min_row_gap: int
    label_gap: float
    high_share: float
    max_ticks: int
    min_steps: float
    room_for_one: float
    cells_with_numbers: int
    columns_abreast: int
    columns_with_sums: int
    short_sum: int
    cell_digits: int
    product_title: dict[str, Any]
    numbers_px: int
    number_sizes: tuple[int, int]
    no_difference: str
    steps: StepRules


RULES = FigureRules(
    min_span=fill.MIN_SPAN,
    window_columns=fill.WINDOW_COLUMNS,
    letter_px=fill.LETTER_PX,
    few_layers=fill.FEW_LAYERS,
    min_row_gap=fill.MIN_ROW_GAP,
    label_gap=labels.GAP,
    high_share=labels.HIGH,
    max_ticks=scales.MAX_TICKS,
    min_steps=scales.MIN_STEPS,
    room_for_one=scales.ROOM_FOR_ONE,
    cells_with_numbers=sums.CELLS_WITH_NUMBERS,
    columns_abreast=sums.COLUMNS_ABREAST,
    columns_with_sums=sums.COLUMNS_WITH_SUMS,
    short_sum=sums.SHORT,
    cell_digits=sums.CELL_DIGITS,
    product_title=sums.TITLE,
    numbers_px=ink.ROOM_PX,
    number_sizes=ink.SIZES,
    no_difference=difference.EMPTY,
    steps=StepRules(
        columns=steps.COLUMNS,
        kept_columns=steps.KEPT_COLUMNS,
        matrices=steps.MATRICES,
        logarithmic=[key for key in steps.KEPT if METRICS[key].scale == "log"],
        unknown=list(steps.UNKNOWN),
    ),
)
