"""Describe every published initialisation of mixing for the page `/families`, from stored numbers."""

import math
from dataclasses import dataclass

from mhc_core.findings.numerals import format_gain, format_value
from mhc_scope.presets.initialisations import INITIALISATIONS, PRESETS_OF_INITIALISATION, Initialisation
from mhc_scope.presets.learning import LAYER, Learning, read_learning

NOTHING = "none"  # text for a gradient that is 0 except for rounding errors
NO_LOGITS = "–"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    initialisation: its name and source. spec: the fields of a spec that select it. cells: title of a column -> number.
    href: address of the preset that compares it, or None.
    """

    initialisation: Initialisation
    spec: str
    cells: dict[str, str]
    href: str | None


def build_rows() -> list[Row]:
    """Build one row for each initialisation, in the order in which they are defined."""
    stored = read_learning()
    return [
        Row(initialisation, _describe_spec(initialisation), _format_cells(stored[key]), _find_href(initialisation))
        for key, initialisation in INITIALISATIONS.items()
    ]


def _describe_spec(initialisation: Initialisation) -> str:
    return ", ".join(f"{field}={value}" for field, value in initialisation.connection.items())


def _format_cells(learning: Learning) -> dict[str, str]:
    """Format the numbers on how an initialisation learns, by title of the column."""
    return {
        "H_pre": _format_range(learning.h_pre),
        "H_post": _format_range(learning.h_post),
        "diagonal of H_res": format_value(learning.diagonal, digits=3),
        "gradient it can follow": _format_gradient(learning, learning.signal),
        "part that reaches logits": _format_gradient(learning, learning.share),
        "H_res moved": format_value(learning.moved, digits=2),
        "backward gain": format_gain(math.log10(learning.gain_backward)),
    }


def _format_range(weights: tuple[float, float]) -> str:
    """Format the smallest and the largest weight, or one number if they have the same three digits."""
    texts = [format_value(weight, digits=3) for weight in weights]
    return " to ".join(dict.fromkeys(reversed(texts)))


def _format_gradient(learning: Learning, value: float | None) -> str:
    """Format a share of the gradient, with texts for an initialisation without logits or without a gradient."""
    if learning.signal is None:
        return NO_LOGITS
    return NOTHING if learning.share is None else format_value(value, digits=2)


def _find_href(initialisation: Initialisation) -> str | None:
    """Return the address of the preset that has the run of an initialisation after training."""
    run = initialisation.build_spec().id
    found = (preset.name for preset in PRESETS_OF_INITIALISATION if run in {spec.id for spec in preset.specs})
    return next((f"/p/{name}" for name in found), None)


def describe_training() -> dict[str, int | float | str]:
    """Return the settings of the stack and of the training with which initialisations are compared."""
    spec = next(iter(INITIALISATIONS.values())).build_spec()
    return {
        "depth": spec.depth,
        "width": spec.width,
        "streams": spec.connection.streams,
        "steps": spec.train.steps,
        "lr": spec.train.lr,
        "layer": LAYER + 1,
        "farthest": format_value(math.sqrt(spec.connection.streams - 1), digits=3),
    }
