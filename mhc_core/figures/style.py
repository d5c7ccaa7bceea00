"""Styles of figures: the colours of both themes, which the page receives. Colours of runs are in `methods.py`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from plotly.colors import get_colorscale, sample_colorscale, unlabel_rgb

ThemeName = Literal["dark", "light"]
MAX_RUNS = 4
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class RunStyle:
    """The style of one run in all figures. `marker` is Plotly's name of a symbol; curves have no markers."""

    color: str
    dash: str
    marker: str
    width: float


@dataclass(frozen=True)
class Theme:
    """The colours of one theme. The page receives `card`, `ink` and `accent`; the accent is neutral."""

    name: ThemeName
    card: str
    ink: str
    muted: str
    grid: str
    accent: str
    diverging: tuple[tuple[float, str], ...]

    @property
    def signed_scale(self) -> list[list[Any]]:
        """Return the colour scale of signed values in Plotly's form."""
        return [list(stop) for stop in self.diverging]

    @property
    def blank(self) -> RunStyle:
        """Return the style of a line in a template, before its method is known."""
        return RunStyle(self.muted, "solid", "circle", 2.0)


# Colour scale of values without a sign, as [position, colour], for Plotly and for the page's canvas.
CIVIDIS: list[list[Any]] = get_colorscale("Cividis")
# Signed values go from magenta (negative) to green (positive), colours that differ from HC's orange and mHC's blue.
# Zero is close to the colour of the card, so that other values are conspicuous. tests/core/figures/test_methods.py
# checks the distances.
THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(
        name="dark",
        card="#151a21",
        ink="#eef1f5",
        muted="#9aa3ae",
        grid="#262d37",
        accent="#eef1f5",
        diverging=(
            (0.0, "#f6aee9"),
            (0.25, "#c4459f"),
            (0.45, "#4a2f4c"),
            (0.5, "#262c35"),
            (0.55, "#203f2d"),
            (0.75, "#219655"),
            (1.0, "#86dc9c"),
        ),
    ),
    "light": Theme(
        name="light",
        card="#ffffff",
        ink="#15181c",
        muted="#595f68",
        grid="#e6e4de",
        accent="#15181c",
        diverging=(
            (0.0, "#822b74"),
            (0.25, "#d97fcc"),
            (0.45, "#f7e3f3"),
            (0.5, "#f4f3f0"),
            (0.55, "#dcf2e2"),
            (0.75, "#3fae72"),
            (1.0, "#0f5c2a"),
        ),
    ),
}


def to_shared_colors() -> dict[str, tuple[str, str]]:
    """Return colours that the page has in common with its figures, light and dark."""
    light, dark = THEMES["light"], THEMES["dark"]
    return {"card": (light.card, dark.card), "ink": (light.ink, dark.ink), "accent": (light.accent, dark.accent)}


def read_color(color: str) -> np.ndarray:
    """Return red, green and blue of #rrggbb, (3), from 0 to 255."""
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)])


def format_color(parts: Iterable[float]) -> str:
    """Return red, green and blue, from 0 to 255, as #rrggbb."""
    return "#" + "".join(f"{round(part):02x}" for part in parts)


def mix(color: str, other: str, share: float) -> str:
    """Return a mixture of two colours as #rrggbb, with `share` of the second."""
    own = read_color(color)
    return format_color(own + share * (read_color(other) - own))


def sample_color(scale: list[list[Any]], share: float) -> str:
    """Return the colour of a scale at `share`, from 0 to 1, as #rrggbb. Beyond an end, it is the colour of the end."""
    (color,) = sample_colorscale(scale, min(1.0, max(0.0, share)))
    return format_color(unlabel_rgb(color))


def to_contrast(color: str, ground: str) -> float:
    """Return WCAG's contrast of two colours: 1 to 21."""
    return float(measure_contrast(read_color(color), ground))


def measure_contrast(colors: np.ndarray, ground: str) -> np.ndarray:
    """Return WCAG's contrast of colours (..., 3), from 0 to 255, with the colour `ground`: (...), 1 to 21."""
    found, other = _to_luminance(colors), _to_luminance(read_color(ground))
    return (np.maximum(found, other) + 0.05) / (np.minimum(found, other) + 0.05)


def _to_luminance(colors: np.ndarray) -> np.ndarray:
    """Return WCAG's relative luminance of colours (..., 3) from 0 to 255."""
    parts = colors / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])
