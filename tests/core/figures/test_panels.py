"""The panels: templates that Plotly takes, and filled figures with the same values in Python and in the page."""

import copy
import json
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go
import plotly.io
import pytest
from plotly.offline import get_plotlyjs_version

from mhc_core import figures
from mhc_core.figures.composites import set_interval
from mhc_core.figures.difference import fill_difference
from mhc_core.figures.filling import fill
from mhc_core.figures.panel import View
from mhc_core.figures.parts import COMPOSITES, restrict_to_layers
from mhc_core.figures.steps import at_step, can_follow
from mhc_core.figures.style import THEMES
from mhc_core.metrics import METRICS
from mhc_core.metrics.mixing import measure_composites
from mhc_core.spec import SpecError
from tests.core.figures.filled import (
    COMPARISONS,
    LABELS,
    ROOT,
    assert_same_values,
    decode_result,
    decode_runs,
    encode_lines,
    fill_in_page,
    get_template,
    list_views,
)


@pytest.mark.sample("values", 7)
@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(("key", "view"), list_views(), ids=[f"{key}-{view.key}" for key, view in list_views()])
def test_the_page_fills_in_the_same_values(key: str, view: View, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = get_template(key, view, len(lines))
    results = decode_runs(comparison)
    cursors = [0, 4]
    for cursor, theirs in zip(cursors, fill_in_page(template, list(lines), cursors), strict=True):
        assert_same_values(fill(template, list(results), LABELS, cursor), theirs, f"{key} {comparison} {cursor}")


@pytest.mark.sample(4)
@pytest.mark.parametrize(("key", "view"), list_views(), ids=[f"{key}-{view.key}" for key, view in list_views()])
def test_half_a_run_and_no_run_are_filled_as_well(key: str, view: View) -> None:
    whole = encode_lines("three")
    lines: list[list[bytes] | None] = [whole[0], whole[1][:9], None]
    template = get_template(key, view, 3)
    results = [None if part is None else decode_result(part) for part in lines]
    (theirs,) = fill_in_page(template, lines, [2])
    ours = fill(template, list(results), LABELS, 2)
    assert_same_values(ours, theirs, key)
    assert not any(trace.get("visible", True) for trace in ours["data"] if trace["meta"]["run"] == 2)


@pytest.mark.sample(17, 4)
@pytest.mark.parametrize("comparison", ["three", "overflow", "many streams", "unlike depth", "trained"])
@pytest.mark.parametrize(("key", "view"), list_views(), ids=[f"{key}-{view.key}" for key, view in list_views()])
def test_the_page_draws_the_same_differences(key: str, view: View, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = get_template(key, view, len(lines))
    results = decode_runs(comparison)
    (theirs,) = fill_in_page(template, list(lines), [2], difference=True)
    # The page holds similarities as float32, so a difference keeps seven places of the whole.
    assert_same_values(fill_difference(template, results, LABELS, 2), theirs, f"{key} {comparison}", abs_tol=2e-7)


@pytest.mark.sample(17, 4)
@pytest.mark.parametrize("comparison", ["three", "overflow", "seeds", "unlike depth", "dynamic"])
@pytest.mark.parametrize(("key", "view"), list_views(), ids=[f"{key}-{view.key}" for key, view in list_views()])
def test_the_page_shows_the_same_values_of_chosen_layers(key: str, view: View, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = copy.deepcopy(get_template(key, view, len(lines)))
    first, last = (3, 4) if comparison == "unlike depth" else (2, 4)  # beyond the shorter of two stacks
    set_interval(template, first, last)
    results: list[Any] = list(decode_runs(comparison))
    if "composites" in template["layout"]["meta"]:
        results = restrict_to_layers(results, first, last) or results
    (theirs,) = fill_in_page(template, list(lines), [3])
    assert_same_values(fill(template, results, LABELS, 3), theirs, f"{key} {comparison}")


def test_composites_of_chosen_layers_are_those_of_a_stack_of_them_alone() -> None:
    result = decode_result(encode_lines("three")[1])
    (part,) = restrict_to_layers([result], 2, 4) or [None]
    assert part is not None
    alone = measure_composites(result.matrices["h_res"][2:5].astype(np.float64))
    for key, (values, logs) in alone.items():
        if key in COMPOSITES:
            np.testing.assert_array_equal(part.layers[key], [np.nan] * 2 + [*values] + [np.nan])
            np.testing.assert_array_equal(part.layers_log10[key], [np.nan] * 2 + [*logs] + [np.nan])
    assert part.layers["act_rms"] is result.layers["act_rms"]
    assert not np.allclose(part.layers["composite_gain_fwd"][2:5], result.layers["composite_gain_fwd"][2:5])
    assert restrict_to_layers([result, decode_result(encode_lines("seeds")[0])], 2, 4) is None


def test_a_figure_of_chosen_layers_says_which_its_composites_are_of() -> None:
    results = [decode_result(part) for part in encode_lines("three")]
    for view, told in (("log", "layers 3–5"), ("tokens", "of all layers")):
        drawn = figures.figure("gain", results, LABELS, 0, "dark", view, interval=(2, 4))
        assert drawn.layout.title.text.endswith(f"{told}</span>")
    assert "layers" not in figures.figure("gain", results, LABELS, 0, "dark", interval=(0, 5)).layout.title.text
    assert "layers" not in figures.figure("activation", results, LABELS, 0, "dark", interval=(2, 4)).layout.title.text
    drawn = figures.figure("gain", results, LABELS, 0, "dark", interval=(2, 4))
    assert [list(trace.x)[index] for trace in drawn.data[-1:] for index, y in enumerate(trace.y) if y is not None] == [
        3,
        4,
        5,
    ]


FOLLOWERS = [(key, view) for key, view in list_views() if figures.PANELS[key].follows_step]


@pytest.mark.sample(13, "values")
@pytest.mark.parametrize("step", [0, 2, 9])
@pytest.mark.parametrize(("key", "view"), FOLLOWERS, ids=[f"{key}-{view.key}" for key, view in FOLLOWERS])
def test_the_page_shows_the_same_values_of_a_step(key: str, view: View, step: int) -> None:
    lines = encode_lines("trained")
    template = get_template(key, view, len(lines))
    whole = decode_runs("trained")
    shown = step if can_follow(template, whole, step) else None
    results: list[Any] = [at_step(result, shown) for result in whole]
    (theirs,) = fill_in_page(template, list(lines), [3], step=step)
    assert_same_values(fill(template, results, LABELS, 3), theirs, f"{key} {step}")


@pytest.mark.parametrize("key", figures.PANELS)
def test_a_panel_over_steps_has_an_axis_of_steps(key: str) -> None:
    panel = figures.PANELS[key]
    assert panel.over_steps == ("steps" in panel.build(1, figures.THEMES["light"])["layout"]["meta"])


def test_a_step_shows_its_own_gains_and_the_matrices_kept_next_to_it() -> None:
    result = decode_result(encode_lines("kept")[0])
    assert result.kept_steps == [0, 4, 8]
    for step, place in ((0, 0), (2, 0), (3, 1), (8, 2), (500, 2)):
        shown = at_step(result, step)
        np.testing.assert_array_equal(shown.matrices["h_res"], result.kept["step_h_res"][place])
        row = min(step, 8)
        np.testing.assert_array_equal(shown.layers["composite_gain_fwd"], result.steps["step_gain_fwd"][row])
        np.testing.assert_array_equal(shown.layers["cos_prev"], result.steps["step_cos_prev"][row])
        assert shown.layers["effective_rank"] is result.layers["effective_rank"], "no step has data of it"
    assert not np.array_equal(result.steps["step_gain_fwd"][8], result.layers["composite_gain_fwd"])
    assert at_step(result, None) is result
    untrained = decode_result(encode_lines("three")[0])
    assert at_step(untrained, 3) is untrained


def test_plotly_accepts_every_template() -> None:
    for key, view in list_views():
        template = view.build(2, THEMES["dark"])
        drawn = go.Figure(template).to_plotly_json()
        assert len(drawn["data"]) == len(template["data"]) > 0, (key, view.key)


@pytest.mark.sample("values")
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("key", figures.PANELS)
def test_a_notebook_reads_the_filled_figure(key: str, theme: figures.ThemeName) -> None:
    results = [decode_result(part) for part in encode_lines("three")]
    drawn = figures.figure(key, list(results), LABELS, 2, theme)
    again = plotly.io.from_json(drawn.to_json())
    assert len(again.data) == len(drawn.data)
    assert figures.PANELS[key].title in again.layout.title.text
    assert again.layout.paper_bgcolor == THEMES[theme].card


@pytest.mark.parametrize(("panel", "view", "refused"), [("gian", None, "panel"), ("gain", "logg", "view")])
def test_an_unknown_panel_or_view_is_refused_with_those_that_exist(panel: str, view: str | None, refused: str) -> None:
    with pytest.raises(SpecError, match=f"^{refused}: got '{view or panel}', wanted one of ") as refusal:
        figures.figure(panel, [], [], 0, "light", view)
    known = list(figures.PANELS) if view is None else [item.key for item in figures.PANELS[panel].views]
    assert refusal.value.wanted == f"one of {', '.join(known)}"


def test_filling_leaves_the_template_as_it_was() -> None:
    template = figures.to_response(3, "light")["panels"][0]["figure"]
    before = json.dumps(template)
    fill(template, [decode_result(part) for part in encode_lines("three")], LABELS, 1)
    assert json.dumps(template) == before


def test_what_overflows_is_drawn_by_its_logarithm() -> None:
    result = decode_result(encode_lines("overflow")[0])
    drawn = figures.figure("gain", [result], LABELS, 0, "dark")
    forward = next(trace for trace in drawn.data if trace.meta["key"] == "composite_gain_fwd" and trace.y)
    assert max(forward.y) > 38, "beyond float32"
    assert all(value is not None for value in forward.y)
    assert "×10" in forward.text[-1]


def test_a_run_of_several_seeds_has_a_band_and_a_median() -> None:
    result = decode_result(encode_lines("seeds")[0])
    drawn = figures.figure("activation", [result], LABELS, 0, "dark", "linear")
    low, high, first, median = drawn.data
    assert high.fill == "tonexty"
    assert all(a <= m <= b for a, m, b in zip(low.y, median.y, high.y, strict=True))
    np.testing.assert_allclose(np.log10(median.y), result.bands["act_rms"]["p50"])
    np.testing.assert_allclose(first.y, result.layers["act_rms"], rtol=1e-6)
    assert first.line.width < median.line.width
    assert "×10" not in "".join(median.text), "a median near 1 is written as any other number"
    single = figures.figure("activation", [decode_result(encode_lines("seeds")[1])], LABELS, 0, "dark", "linear")
    assert [trace.visible for trace in single.data] == [False, False, False, None]


def test_where_nothing_is_known_the_curve_says_so() -> None:
    result = decode_result(encode_lines("three")[1])
    for column in (result.layers["act_rms"], result.layers_log10["act_rms"]):
        column[4:] = np.nan
    result.status["act_rms"] = {4: "nan", 5: "nan"}
    drawn = figures.figure("activation", [result], LABELS, 0, "dark")
    assert drawn.layout.title.subtitle.text == "A Residual: nan from layer 5 on"
    assert next(trace for trace in drawn.data if trace.meta["end"]).text[4] == "nan"


def test_tokens_are_told_apart_where_mixing_is_dynamic() -> None:
    results = [decode_result(part) for part in encode_lines("dynamic")]
    for view, key in (("tokens", "composite_gain_fwd"), ("tokens_bwd", "composite_gain_bwd")):
        drawn = figures.figure("gain", results, LABELS, 0, "dark", view)
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
    static = figures.figure("gain", results[2:], LABELS, 0, "dark", "tokens")
    assert "static" in static.layout.annotations[-1].text


@pytest.mark.sample("values", 7)
@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(
    ("key", "view"),
    [case for case in list_views() if case[1].needs in METRICS],  # what needs "never" is kept for old links alone
    ids=lambda value: getattr(value, "key", value),
)
def test_a_view_can_be_filled_by_the_runs_that_have_what_it_needs(key: str, view: View, comparison: str) -> None:
    results = decode_runs(comparison)
    drawn = figures.figure(key, results, LABELS, 0, "dark", view.key)
    filled = {trace.meta["run"] for trace in drawn.data if trace.visible is not False}
    assert filled == {run for run, result in enumerate(results) if view.needs in {**result.layers, **result.matrices}}
    meta = drawn.layout.meta
    absent = meta.get("absent", {})  # of a metric that brings its own chart
    reasons = (
        [meta["empty"]] if "empty" in meta else [absent["text"], *(item["text"] for item in absent.get("reasons", ()))]
    )
    assert any(reason in note.text for note in drawn.layout.annotations for reason in reasons) == (not filled)


def test_each_run_without_a_fixed_basis_is_given_the_reason_that_applies_to_it() -> None:
    residual, static, _ = decode_runs("three")
    single = "This run does not mix several streams."
    drawn = figures.figure("gauge", [residual, static], LABELS, 0, "dark")
    assert f"A Residual: {single}" in drawn.layout.meta["remarks"]
    drawn = figures.figure("gauge", decode_runs("parts"), LABELS, 0, "dark")
    parts = "Streams are parts of the width, not copies."
    assert drawn.layout.annotations[-1].text == f"A Residual: {single}<br>B HC, C mHC: {parts}"
    drawn = figures.figure("gauge", [static], LABELS, 0, "dark", "remainder")
    assert drawn.layout.annotations[-1].text == "All tokens have the same mixing."


def test_runs_of_one_stream_leave_a_sentence_instead_of_an_empty_figure() -> None:
    results = [decode_result(part) for part in encode_lines("one stream")]
    drawn = figures.figure("mixing", list(results), LABELS, 0, "dark")
    assert "one stream" in drawn.layout.annotations[-1].text


def test_panels_speak_of_declared_metrics() -> None:
    for panel in figures.to_response(4, "light")["panels"]:
        for view in panel["views"]:
            keys = {trace["meta"]["key"] for trace in view["figure"]["data"]}
            assert keys <= METRICS.keys(), panel["key"]
        assert {column["key"] for column in panel["table"]} <= METRICS.keys()
        assert all(panel["help"].values())


def test_python_and_the_page_draw_with_the_same_plotly() -> None:
    package = ROOT / "static" / "node_modules" / "plotly.js-cartesian-dist-min" / "package.json"
    served = json.loads(package.read_text())["version"]
    assert get_plotlyjs_version().split(".")[0] == served.split(".")[0]
