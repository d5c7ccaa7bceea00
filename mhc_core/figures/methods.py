"""Colour, dash and marker of each method (kind of connection), the same in all figures. The page receives this table.

Runs of one method that are shown together have its hue and marker, and differ by shade and dash.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from mhc_core.families import FAMILIES
from mhc_core.family import Look
from mhc_core.figures.style import (
    MAX_RUNS,
    THEMES,
    RunStyle,
    Theme,
    ThemeName,
    format_color,
    measure_contrast,
    read_color,
    to_contrast,
)
from mhc_core.record.source import TRACE

# Each family defines its look. The three of the first view are grey, orange-red and blue. The others were found by a
# search: far from each other and from the colour of text for all readers, including those without green cones
# (`tests/core/figures/test_methods.py`), and with the same hue in both themes if possible.
METHODS = {kind: family.look for kind, family in FAMILIES.items()} | {
    TRACE: Look("#bc4f4d", "#f8827c", "14px,3px,4px,3px", "hexagon")
}
# Dashes of the second to the fourth run of a method.
MORE_DASHES = ("16px,5px", "5px,2px,1px,2px", "1px,3px,1px,1px")
# Contrasts of a method's shades with the card. The method's own colour replaces the nearest one.
CONTRASTS = (4.7, 6.6, 9.2, 12.8)
STEPS = 128  # number of mixtures among which a shade is chosen


def to_run_styles(kinds: Sequence[str | None], theme: ThemeName) -> list[RunStyle | None]:
    """Return the styles of runs that are shown together; None for a run whose method is not known yet."""
    return [
        None if kind is None else _to_style(METHODS[kind], list(kinds[:run]).count(kind), THEMES[theme])
        for run, kind in enumerate(kinds)
    ]


def to_plain_methods() -> dict[str, dict[str, Any]]:
    """Return the styles of all methods as plain data: of the first, second, … run of each method, in both themes."""
    return {kind: _to_plain(method) for kind, method in METHODS.items()}


def _to_plain(method: Look) -> dict[str, Any]:
    """Return marker, colours, dashes and widths of a method for its first, second, … run, in both themes."""
    found: dict[str, Any] = {"marker": method.marker}
    for name, theme in THEMES.items():
        styles = [_to_style(method, place, theme) for place in range(MAX_RUNS)]
        found[name] = [style.color for style in styles]
        found |= {"dashes": [style.dash for style in styles], "widths": [style.width for style in styles]}
    return found


def _to_style(method: Look, place: int, theme: Theme) -> RunStyle:
    """Return the style of a method's run. The first run (`place` 0) has the method's colour, others have shades."""
    color: str = getattr(method, theme.name)
    if place == 0:
        return RunStyle(color, method.dash, method.marker, method.width)
    return RunStyle(_to_shades(color, theme)[place - 1], MORE_DASHES[place - 1], method.marker, 2.0)


@cache
def _to_shades(color: str, theme: Theme) -> tuple[str, str, str]:
    """Return three more shades of a colour: one clearly different from it, then the farthest, then the nearest."""
    own = to_contrast(color, theme.card)
    _, near, apart, far = sorted(CONTRASTS, key=lambda wanted: abs(math.log(wanted / own)))
    return _shade(color, apart, theme), _shade(color, far, theme), _shade(color, near, theme)


def _shade(color: str, wanted: float, theme: Theme) -> str:
    """Mix a colour with that of text or background until its contrast with the background is `wanted`."""
    other = theme.ink if wanted > to_contrast(color, theme.card) else theme.card
    own, shares = read_color(color), np.arange(STEPS)[:, None] / STEPS
    mixed = np.rint(own + shares * (read_color(other) - own))
    return format_color(mixed[np.argmin(abs(measure_contrast(mixed, theme.card) - wanted))])
