"""How figures look: the run styles and the colours of both themes. The page takes them from here as well."""

from dataclasses import asdict, dataclass
from typing import Literal

ThemeName = Literal["dark", "light"]
MAX_RUNS = 4
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class RunStyle:
    """How one run is drawn everywhere: colour, dash, weight and marker, so that no one of them has to be seen."""

    letter: str
    color: str
    dash: str
    marker: str
    width: float


@dataclass(frozen=True)
class Theme:
    """The colours of one theme. The page has `card`, `ink` and `accent` from here: a figure looks like its card."""

    name: ThemeName
    card: str
    ink: str
    muted: str
    grid: str
    accent: str
    diverging: tuple[tuple[float, str], ...]
    runs: tuple[RunStyle, ...]


def _runs(grey: str, orange: str, blue: str, green: str) -> tuple[RunStyle, ...]:
    return (
        RunStyle("A", grey, "2px,3px", "circle", 3.0),
        RunStyle("B", orange, "7px,4px", "square", 2.0),
        RunStyle("C", blue, "solid", "diamond", 2.25),
        RunStyle("D", green, "9px,3px,2px,3px", "triangle-up", 2.0),
    )


# Signed values: zero takes the card's own side, so that what deviates stands out and zeros stay quiet.
THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(
        name="dark",
        card="#1b1e23",
        ink="#e8eaed",
        muted="#9aa0a8",
        grid="#2c3038",
        accent="#5cb0f0",
        diverging=(
            (0.0, "#f58a5b"),
            (0.25, "#a8532f"),
            (0.45, "#4a3a36"),
            (0.5, "#30343b"),
            (0.55, "#31414f"),
            (0.75, "#2f75ad"),
            (1.0, "#74c0fb"),
        ),
        runs=_runs("#aab2bd", "#f28b50", "#5cb0f0", "#6cc788"),
    ),
    "light": Theme(
        name="light",
        card="#ffffff",
        ink="#1a1c1f",
        muted="#62666d",
        grid="#e7e5e1",
        accent="#0f66b0",
        diverging=(
            (0.0, "#a63a12"),
            (0.25, "#e8926b"),
            (0.45, "#f7e7df"),
            (0.5, "#f4f3f1"),
            (0.55, "#e0ebf4"),
            (0.75, "#5d9fd0"),
            (1.0, "#0b4f8a"),
        ),
        runs=_runs("#5b6472", "#b84718", "#0f66b0", "#1f7a45"),
    ),
}


def to_shared_colors() -> dict[str, tuple[str, str]]:
    """Colours that the page has in common with its figures, light and dark."""
    light, dark = THEMES["light"], THEMES["dark"]
    return {"card": (light.card, dark.card), "ink": (light.ink, dark.ink), "accent": (light.accent, dark.accent)}


def to_styles(runs: int, theme: ThemeName) -> list[dict[str, object]]:
    """The styles of the first `runs` runs as plain data."""
    return [asdict(style) for style in THEMES[theme].runs[:runs]]
