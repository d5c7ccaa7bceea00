"""A method keeps its colour, dash and marker, and all readers can tell them apart, from signed values as well."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.methods import METHODS, MORE_DASHES, to_plain_methods, to_run_styles
from mhc_core.figures.style import THEMES, RunStyle, ThemeName
from mhc_core.record.source import TRACE
from mhc_core.spec import CONNECTION_KINDS
from tests.browser.audit import contrast as contrast_of
from tests.core.figures.filled import LABELS, decode_result, encode_lines

PAGE: dict[ThemeName, str] = {"light": "#f6f5f2", "dark": "#131518"}  # --page of static/css/tokens.css
# Seen without green cones: Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 15.0  # of two methods in CIELAB, where 2.3 is just seen
SHADES_APART = 5.0  # of two runs of one method, which differ by dash as well


def to_rgb(color: str) -> list[float]:
    return [float(int(color[at : at + 2], 16)) for at in (1, 3, 5)]


def to_linear(color: str) -> np.ndarray:
    parts = np.array(to_rgb(color)) / 255
    linear: np.ndarray = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear


def to_lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB (3,) of linear sRGB (3,), white point D65."""
    share = TO_XYZ @ np.clip(linear, 0, 1) / TO_XYZ.sum(1)
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(first: str, second: str) -> float:
    """The lesser of the distances that readers with and without green cones see."""
    ways = (np.eye(3), DEUTERANOPIA)
    return min(float(np.linalg.norm(to_lab(way @ to_linear(first)) - to_lab(way @ to_linear(second)))) for way in ways)


def contrast(first: str, second: str) -> float:
    return contrast_of(tuple(to_rgb(first)), tuple(to_rgb(second)))


def looks(kinds: list[str], theme: ThemeName) -> list[RunStyle]:
    styles = to_run_styles(kinds, theme)
    assert None not in styles
    return [style for style in styles if style is not None]


def list_free_colors(theme: ThemeName) -> list[str]:
    """Colours for a new method: far enough from those of all methods and of text, and seen on card and page."""
    taken = [THEMES[theme].ink, *(looks([kind], theme)[0].color for kind in METHODS)]
    parts = [f"{part:02x}" for part in range(0x08, 0x100, 0x10)]
    return [
        color
        for color in ("#" + "".join(mixed) for mixed in product(parts, repeat=3))
        if min(contrast(color, THEMES[theme].card), contrast(color, PAGE[theme])) >= 3
        and all(distance(color, other) >= APART for other in taken)
    ]


def test_distances_and_contrasts_are_those_of_known_colours() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert to_lab(to_linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert (
        distance("#c80000", "#556b00")
        < 25
        < np.linalg.norm(to_lab(to_linear("#c80000")) - to_lab(to_linear("#556b00")))
    )


def test_every_kind_has_a_look() -> None:
    assert METHODS.keys() == {*CONNECTION_KINDS, TRACE}


@pytest.mark.parametrize("theme", THEMES)
def test_every_shade_is_seen_on_card_and_page(theme: ThemeName) -> None:
    for kind in METHODS:
        for style in looks([kind] * figures.MAX_RUNS, theme):
            for ground in (THEMES[theme].card, PAGE[theme]):
                assert contrast(style.color, ground) >= 3, (kind, style.color, ground)


@pytest.mark.parametrize("theme", THEMES)
def test_methods_are_told_apart_by_colour_by_dash_and_by_marker(theme: ThemeName) -> None:
    styles = {kind: looks([kind], theme)[0] for kind in METHODS}
    for first, second in combinations(styles, 2):
        near = distance(styles[first].color, styles[second].color) < APART
        assert not near, f"{first} and {second} are too similar; free colours: {list_free_colors(theme)}"
    for kind, style in styles.items():
        assert distance(style.color, THEMES[theme].ink) >= APART, (kind, "read as the colour of text")
    markers = Counter(style.marker for style in styles.values())
    assert set(markers.values()) == {1}, f"two methods have one marker: {markers}"
    assert len({style.dash for style in styles.values()}) == len(METHODS) - 1, "HC and mHC are both solid"


@pytest.mark.parametrize("theme", THEMES)
def test_signed_values_have_no_methods_colour_and_their_signs_differ(theme: ThemeName) -> None:
    stops = [color for _, color in THEMES[theme].diverging]
    for color in (stops[0], stops[1], stops[-2], stops[-1]):
        for kind in ("hc", "mhc"):
            assert distance(color, looks([kind], theme)[0].color) >= APART, (color, kind)
    for place in range(len(stops) // 2):
        assert distance(stops[place], stops[-1 - place]) >= 8, "the same size on both sides of zero"
    assert distance(stops[0], stops[-1]) >= 30


@pytest.mark.parametrize("theme", THEMES)
def test_runs_of_one_method_are_told_apart_by_shade_and_by_dash(theme: ThemeName) -> None:
    own = {method.dash for method in METHODS.values()}
    assert own.isdisjoint(MORE_DASHES)
    for kind in METHODS:
        styles = looks([kind] * figures.MAX_RUNS, theme)
        for first, second in combinations(styles, 2):
            assert distance(first.color, second.color) >= SHADES_APART, (kind, first.color, second.color)
        assert len({style.dash for style in styles}) == figures.MAX_RUNS
        assert {style.marker for style in styles} == {METHODS[kind].marker}


def test_a_look_depends_on_the_method_and_not_on_the_place() -> None:
    first, second, third = looks(["mhc", "hc", "mhc"], "light")
    assert (first, second) == (looks(["mhc"], "light")[0], looks(["residual", "hc"], "light")[1])
    assert third == looks(["mhc", "mhc"], "light")[1]
    assert third != first
    assert to_run_styles([None, "mhc"], "light") == [None, first]


def test_the_page_is_sent_the_same_looks() -> None:
    sent = to_plain_methods()
    for kind, look in sent.items():
        for theme in THEMES:
            for place, style in enumerate(looks([kind] * figures.MAX_RUNS, theme)):
                plain = RunStyle(look[theme][place], look["dashes"][place], look["marker"], look["widths"][place])
                assert plain == style


@pytest.mark.parametrize("theme", THEMES)
def test_a_figure_of_any_order_has_the_methods_colours(theme: ThemeName) -> None:
    residual, hc, mhc = (decode_result(part) for part in encode_lines("three"))
    for runs in ([residual, hc, mhc], [mhc, residual], [mhc]):
        drawn = figures.figure("gain", runs, LABELS[: len(runs)], 2, theme)
        thick = {trace.name: trace for trace in drawn.data if trace.meta["end"]}
        for label, run in zip(LABELS, runs, strict=False):
            (wanted,) = looks([run.method], theme)
            trace = thick[label]
            assert (trace.line.color, trace.line.dash) == (wanted.color, wanted.dash)
            assert trace.mode == "lines", "colour and dash are enough"
            assert trace.showlegend


def test_the_line_with_the_most_gaps_lies_on_top_whatever_its_place() -> None:
    residual, hc, mhc = (decode_result(part) for part in encode_lines("three"))
    for runs in ([residual, hc, mhc], [mhc, hc, residual], [hc, mhc, residual]):
        drawn = figures.figure("activation", runs, LABELS[:3], 2, "dark")
        order = [runs[trace.meta["run"]].method for trace in drawn.data if trace.meta["end"]]
        assert order[-1] == "residual"


def test_a_difference_keeps_the_looks_of_the_runs() -> None:
    _, hc, mhc = (decode_result(part) for part in encode_lines("three"))
    drawn = figures.figure("activation", [mhc, hc, mhc], LABELS[:3], 2, "light", difference=True)
    colors = {
        trace.meta["run"]: trace.line.color for trace in drawn.data if trace.meta["end"] and trace.visible is not False
    }
    wanted = looks(["mhc", "hc", "mhc"], "light")
    assert colors == {1: wanted[1].color, 2: wanted[2].color}


def test_matrices_are_labelled_in_the_methods_colours() -> None:
    _, hc, mhc = (decode_result(part) for part in encode_lines("three"))
    drawn = figures.figure("cka", [mhc, hc], ["A mHC", "B HC"], 2, "dark")
    wanted = looks(["mhc", "hc"], "dark")
    found = [(note.text[:5].strip(), note.font.color) for note in drawn.layout.annotations]
    assert found == [("A mHC", wanted[0].color), ("B HC", wanted[1].color)]
