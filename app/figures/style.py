"""How figures look: the colours of both themes, which the page takes from here. Those of runs are in `methods.py`."""

from dataclasses import dataclass
from typing import Literal

ThemeName = Literal["dark", "light"]
MAX_RUNS = 4
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class RunStyle:
    """How one run is drawn everywhere: colour, dash, weight and marker, so that no one of them has to be seen."""

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

    @property
    def blank(self) -> RunStyle:
        """A template's line, before it is known whose it is."""
        return RunStyle(self.muted, "solid", "circle", 2.0)


# Signed values: zero takes the card's own side, so that what deviates stands out and zeros stay quiet.
THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(
        name="dark",
        card="#151a21",
        ink="#eef1f5",
        muted="#9aa0a8",
        grid="#2c3038",
        accent="#eef1f5",
        diverging=(
            (0.0, "#f58a5b"),
            (0.25, "#a8532f"),
            (0.45, "#4a3a36"),
            (0.5, "#30343b"),
            (0.55, "#31414f"),
            (0.75, "#2f75ad"),
            (1.0, "#74c0fb"),
        ),
    ),
    "light": Theme(
        name="light",
        card="#ffffff",
        ink="#15181c",
        muted="#62666d",
        grid="#e7e5e1",
        accent="#15181c",
        diverging=(
            (0.0, "#a63a12"),
            (0.25, "#e8926b"),
            (0.45, "#f7e7df"),
            (0.5, "#f4f3f1"),
            (0.55, "#e0ebf4"),
            (0.75, "#5d9fd0"),
            (1.0, "#0b4f8a"),
        ),
    ),
}


def to_shared_colors() -> dict[str, tuple[str, str]]:
    """Colours that the page has in common with its figures, light and dark."""
    light, dark = THEMES["light"], THEMES["dark"]
    return {"card": (light.card, dark.card), "ink": (light.ink, dark.ink), "accent": (light.accent, dark.accent)}


def mix(color: str, other: str, share: float) -> str:
    """A colour with `share` of another in it, both as #rrggbb."""
    pairs = [(int(color[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(own + share * (more - own)):02x}" for own, more in pairs)


def to_contrast(color: str, ground: str) -> float:
    """WCAG's contrast of two colours: 1 to 21."""
    low, high = sorted((_luminance(color), _luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
