"""Rules with which the page fills templates as Python does: sizes and limits, and columns of training steps."""

from dataclasses import dataclass

from mhc_core.figures import difference, filling, scales, steps
from mhc_core.metrics import METRICS


@dataclass(frozen=True)
class StepRules:
    """Columns that replace a metric at a training step.

    Attributes
    ----------
    columns: metric to the column of every step's frame.
    kept_columns, matrices: metric to what frames of kept steps alone have, over the layers and as matrices.
    logarithmic: the kept metrics that span decades.
    unknown: beginnings of metrics that no step has.
    """

    columns: dict[str, str]
    kept_columns: dict[str, str]
    matrices: dict[str, str]
    logarithmic: list[str]
    unknown: list[str]


@dataclass(frozen=True)
class FigureRules:
    """Sizes and limits that decide numbers of figures, each explained where it is defined."""

    min_span: dict[str, float]
    window_columns: int
    few_layers: int
    max_ticks: int
    min_steps: float
    room_for_one: float
    no_difference: str
    steps: StepRules


RULES = FigureRules(
    min_span=filling.MIN_SPAN,
    window_columns=filling.WINDOW_COLUMNS,
    few_layers=filling.FEW_LAYERS,
    max_ticks=scales.MAX_TICKS,
    min_steps=scales.MIN_STEPS,
    room_for_one=scales.ROOM_FOR_ONE,
    no_difference=difference.EMPTY,
    steps=StepRules(
        columns=steps.COLUMNS,
        kept_columns=steps.KEPT_COLUMNS,
        matrices=steps.MATRICES,
        logarithmic=[key for key in steps.KEPT if METRICS[key].scale == "log"],
        unknown=list(steps.UNKNOWN),
    ),
)
