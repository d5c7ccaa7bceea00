"""Figures of a trained run at a step of it, in the page, in Python and over REST."""

from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import numpy as np
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.figures.difference import fill_difference
from mhc_core.figures.filling import fill
from mhc_core.figures.steps import COLUMNS, KEPT, at_step, can_follow
from mhc_core.measure.run import run
from mhc_core.metrics import LAYER_METRICS, METRICS
from mhc_core.record.codec import encode_end, encode_frame, from_typed_array
from mhc_core.record.frames import AnyFrame, SimilarityFrame, StepFrame
from mhc_core.spec import parse_spec
from tests.conftest import compute
from tests.core.figures.filled import assert_same_values, decode_result, fill_in_page

TRAINED: dict[str, Any] = {
    "depth": 6, "width": 8, "block": {"heads": 2}, "input": {"tokens": 8}, "connection": {"kind": "hc"},
    "train": {"steps": 9, "kept": 3, "lr": 0.1},
}  # fmt: skip
LABELS = ["A HC", "B old"]
FIRST = {
    "step_loss", "step_lr", "step_grad_norm", "step_param_grad_norm", "step_mixing_grad_norm", "step_gain_fwd",
    "step_gain_bwd", "step_h_pre", "step_h_read", "step_h_post", "step_h_res",
}  # what runs of numerics 1 tell  # fmt: skip
NEW = tuple(key for key, metric in METRICS.items() if metric.frame == "step" and key not in FIRST)
FOLLOWERS = ["activation", "gradient", "similarity", "cka", "streams", "unfolded"]  # what such runs cannot follow
EVERY = [("activation", "act_rms"), ("gradient", "grad_rms")]


@cache
def lines_of(is_old: bool = False) -> list[bytes]:
    """A trained run's lines; an old one's as numerics 1 stored them."""
    frames = list(run(parse_spec(TRAINED)))
    if is_old:
        frames = [to_old(frame) for frame in frames]
    lines = [encode_frame(frame, "run", index) for index, frame in enumerate(frames)]
    return [*lines, encode_end("run", len(lines), "done", None)]


def to_old(frame: AnyFrame) -> AnyFrame:
    """A frame as numerics 1 stored it."""
    if isinstance(frame, SimilarityFrame):
        return replace(frame, status=None)
    if isinstance(frame, StepFrame):
        for table in (frame.values, frame.log10, frame.status):
            for key in NEW:
                table.pop(key, None)
    return frame


def template_of(key: str, runs: int) -> dict[str, Any]:
    template: dict[str, Any] = figures.PANELS[key].build(runs, figures.THEMES["dark"])
    return template


def drawn(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("visible", True) and trace["meta"].get("end", True)]


def sentences(figure: dict[str, Any]) -> list[str]:
    layout = figure["layout"]
    notes = [item["text"] for item in layout["annotations"] if item["xref"] == "paper"]
    return notes + layout["meta"].get("remarks", [])


@pytest.mark.sample(4)
@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
@pytest.mark.parametrize("key", FOLLOWERS)
def test_the_page_says_what_python_says_of_new_and_old_runs(key: str, difference: bool) -> None:
    lines = [lines_of(), lines_of(is_old=True)]
    template = template_of(key, 2)
    results: list[Any] = [at_step(decode_result(part), 5) for part in lines]
    (theirs,) = fill_in_page(template, lines, [2], labels=LABELS, step=5, difference=difference)
    ours = (fill_difference if difference else fill)(template, results, LABELS, 2)
    assert sentences(ours) == sentences(theirs)
    assert len(sentences(ours)) == 1
    assert_same_values(ours, theirs, key)
    assert len(drawn(ours)) == (0 if difference else 1), "of the old run nothing is drawn"
    assert sentences(ours)[0].startswith("B old: ") != difference


@pytest.mark.parametrize("key", FOLLOWERS)
def test_an_old_run_alone_says_why_its_steps_show_nothing_and_is_whole_when_trained(key: str) -> None:
    result, template = decode_result(lines_of(is_old=True)), template_of(key, 1)
    figure = fill(template, [at_step(result, 2)], LABELS, 2)
    assert drawn(figure) == []
    assert ["earlier version" in text for text in sentences(figure)] == [True]
    trained = fill(template, [at_step(result, None)], LABELS, 2)
    assert len(drawn(trained)) == 1
    assert sentences(trained) == []


@pytest.mark.parametrize(("key", "metric"), EVERY)
@pytest.mark.parametrize("step", [0, 3, 8])
def test_curves_are_of_the_step(key: str, metric: str, step: int) -> None:
    result = decode_result(lines_of())
    figure = figures.figure(key, [result], LABELS[:1], 2, "light", step=step)
    (line,) = [trace for trace in figure.data if trace.meta["end"] and trace.visible is not False]
    np.testing.assert_allclose(line.y, result.steps_log10[f"step_{metric}"][step])
    assert f"step {step + 1}" in figure.layout.title.text
    assert not np.allclose(line.y, result.layers_log10[metric], rtol=1e-4), "or it is the trained stack"


@pytest.mark.parametrize(("step", "place"), [(0, 0), (2, 0), (3, 1), (8, 2)])
def test_the_map_of_cka_is_that_of_the_nearest_kept_step(step: int, place: int) -> None:
    result = decode_result(lines_of())
    assert result.kept_steps == [0, 4, 8]
    figure = figures.figure("cka", [result], LABELS[:1], 2, "light", step=step)
    np.testing.assert_allclose(figure.data[0].z, result.kept["step_cka"][place])
    assert f"step {result.kept_steps[place] + 1}<" in figure.layout.title.text
    assert not np.allclose(figure.data[0].z, result.matrices["cka"], atol=1e-3)


@pytest.mark.parametrize(("step", "place"), [(0, 0), (3, 1), (8, 2)])
def test_weights_of_the_picture_are_of_the_nearest_kept_step(step: int, place: int) -> None:
    result = decode_result(lines_of())
    shown = at_step(result, step)
    for key in ("h_pre", "h_post", "h_res"):
        np.testing.assert_array_equal(shown.matrices[key], result.kept[f"step_{key}"][place])
        assert not np.array_equal(shown.matrices[key], result.matrices[key]), "or nothing here tells the two apart"


def test_nothing_that_a_panel_of_steps_shows_is_left_of_the_trained_stack() -> None:
    """Every metric of such a panel is one that steps tell, or is taken away."""
    result = decode_result(lines_of())
    shown = at_step(result, 3)
    known = {**COLUMNS, **KEPT, "ds_error": "step_h_res"}
    for panel in figures.PANELS.values():
        if not panel.follows_step:
            continue
        for view in panel.views:
            template = view.build(1, figures.THEMES["light"])
            keys = {trace["meta"]["key"] for trace in template["data"]} | set(
                template["layout"]["meta"].get("lost_rows", ())
            )
            keys |= {column.key for column in panel.table}
            for key in keys:
                tables = (shown.layers, shown.layers_log10, shown.matrices, shown.status, shown.bands)
                assert key in known or not any(key in table for table in tables), (panel.key, key)
    for key, source in known.items():
        assert key in LAYER_METRICS or METRICS[source].table in ("steps", "kept"), key


@pytest.mark.parametrize("step", [0, 3, 8])
def test_similarity_is_of_the_step_with_its_band(step: int) -> None:
    result = decode_result(lines_of())
    for view, metrics in ((None, ("cos_prev", "cos_prev_p05", "cos_prev_p95")), ("tokens", ("token_cos",))):
        figure = figures.figure("similarity", [result], LABELS[:1], 2, "light", view, step=step)
        for metric in metrics:
            wanted = result.steps[f"step_{metric}"][step].astype(object)
            source = f"middle.layers.{metric}"
            (line,) = [trace for trace in figure.data if trace.meta["fill"]["y"] in (source, f"layers.{metric}")]
            assert list(line.y) == [None if np.isnan(value) else value for value in wanted]
            assert not np.allclose(wanted[1:].astype(float), result.layers[metric][1:], atol=1e-4), (
                "of the trained stack"
            )
        assert f"step {step + 1}<" in figure.layout.title.text


@pytest.mark.parametrize(("step", "place"), [(0, 0), (3, 1), (8, 2)])
def test_streams_and_unfolded_connections_are_of_the_nearest_kept_step(step: int, place: int) -> None:
    result = decode_result(lines_of())
    for view, metric in (("activation", "act_rms_streams"), ("gradient", "grad_rms_streams")):
        figure = figures.figure("streams", [result], LABELS[:1], 2, "light", view, step=step)
        log10 = np.array(figure.data[0].y, dtype=float).reshape(-1)
        wanted = np.log10(result.kept[f"step_{metric}"][place])
        np.testing.assert_allclose(log10[~np.isnan(log10)], wanted.T.ravel(), rtol=1e-6)
        assert f"step {result.kept_steps[place] + 1}<" in figure.layout.title.text
        assert not np.allclose(wanted, result.layers_log10[metric], atol=1e-4), "or it is the trained stack"
    figure = figures.figure("streams", [result], LABELS[:1], 2, "light", "similarity", step=step)
    np.testing.assert_allclose(np.array(figure.data[0].y, dtype=float), result.kept["step_stream_cos"][place])
    figure = figures.figure("unfolded", [result], LABELS[:1], 2, "light", "linear", step=step)
    np.testing.assert_array_equal(np.nan_to_num(figure.data[0].z), np.tril(result.kept["step_unfolded"][place][:, :-1]))
    assert f"step {result.kept_steps[place] + 1}<" in figure.layout.title.text


@pytest.mark.parametrize("key", FOLLOWERS)
def test_a_stored_run_without_a_step_shows_its_trained_values_and_says_so(key: str) -> None:
    old, new = decode_result(lines_of(is_old=True)), decode_result(lines_of())
    drawn_at, trained = (
        figures.figure(key, [old], LABELS[1:], 2, "light", step=step).to_plotly_json() for step in (3, None)
    )
    assert (
        f"{trained['layout']['title']['text'].removesuffix('</span>')} · trained</span>"
        == (drawn_at["layout"]["title"]["text"])
    )
    for figure in (drawn_at, trained):
        del figure["layout"]["title"]
    assert repr(drawn_at) == repr(trained)
    template = template_of(key, 1)
    assert not can_follow(template, [old], 3)
    assert can_follow(template, [new], 3)
    assert can_follow(template, [old, new], 3)
    (page,) = fill_in_page(template, [lines_of(is_old=True)], [2], labels=LABELS[1:], step=3)
    (unmoved,) = fill_in_page(template, [lines_of(is_old=True)], [2], labels=LABELS[1:])
    assert page == unmoved
    assert len(drawn(page)) == 1


@pytest.mark.full
def test_deep_stacks_keep_no_maps_at_a_step_and_show_the_trained_ones() -> None:
    spec = {"depth": 257, "width": 4, "block": {"kind": "mlp", "mlp_ratio": 0}, "input": {"tokens": 4, "batch": 1},
            "connection": {"kind": "hc", "streams": 2}, "train": {"steps": 2, "kept": 2}}  # fmt: skip
    frames = list(run(parse_spec(spec)))
    lines = [encode_frame(frame, "run", index) for index, frame in enumerate(frames)]
    result = decode_result(lines)
    titles = {key: figures.figure(key, [result], LABELS[:1], 2, "light", step=0).layout.title.text for key in FOLLOWERS}
    assert {key for key, title in titles.items() if "trained" in title} == {"cka", "unfolded"}
    assert all("step 1<" in title for key, title in titles.items() if key not in ("cka", "unfolded"))
    for key in ("cka", "unfolded"):
        assert "256 layers" in figures.PANELS[key].help.reading


def test_theory_measures_the_step_against_the_laws_that_hold_there() -> None:
    frames = list(run(parse_spec(TRAINED | {"connection": {"kind": "mhc", "noise": 1.0}})))
    result = decode_result([encode_frame(frame, "run", index) for index, frame in enumerate(frames)])
    figure = figures.figure("theory", [result], LABELS[:1], 2, "light", step=3)
    (line,) = [trace for trace in figure.data if trace.meta["end"] and trace.visible is not False]
    np.testing.assert_array_equal(np.array(line.y), result.steps_log10["step_gain_fwd"][3])
    assert "step 4<" in figure.layout.title.text
    without_law = figures.figure("theory", [result], LABELS[:1], 2, "light", "activation", step=3)
    assert all(trace.visible is False for trace in without_law.data)


def test_every_panel_of_layers_follows_the_step() -> None:
    assert {key for key, panel in figures.PANELS.items() if not panel.follows_step} == {"training", "effect"}


@pytest.mark.parametrize("kind", ["residual", "frac"])
def test_what_a_connection_never_has_is_not_missing_at_a_step(kind: str) -> None:
    frames = list(run(parse_spec(TRAINED | {"connection": {"kind": kind, "streams": 2}})))
    result = decode_result([encode_frame(frame, "run", index) for index, frame in enumerate(frames)])
    key, view, said = {
        "residual": ("streams", "similarity", "one stream"),
        "frac": ("unfolded", "log", "parts of the width"),
    }[kind]
    figure = figures.figure(key, [result], LABELS[:1], 2, "light", view, step=3)
    assert [said in item.text for item in figure.layout.annotations] == [True]
    assert "trained" not in figure.layout.title.text


@pytest.mark.full
def test_figures_over_rest_are_of_the_step(server: Any, client: httpx.Client) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, TRAINED | {"seed": 612})
    whole = client.get(f"/runs/{run_id}/result.json?arrays=packed").json()
    log10 = whole["steps_log10"]["step_grad_rms"]
    figure = plotly.io.from_json(client.get(f"/runs/{run_id}/figures/gradient", params={"step": 3}).text)
    assert "step 4" in figure.layout.title.text
    (line,) = [trace for trace in figure.data if trace.meta["end"] and trace.visible is not False]
    np.testing.assert_allclose(line.y, from_typed_array(log10)[3])
    cka = client.get(f"/runs/{run_id}/figures/cka", params={"step": 8}).json()
    drawn_z = from_typed_array(cka["data"][0]["z"])
    np.testing.assert_allclose(drawn_z, from_typed_array(whole["kept"]["step_cka"])[2])
    metrics = client.get("/metrics-catalogue").json()["metrics"]
    catalogue = {item["key"]: item for item in metrics}
    assert {catalogue[key]["frame"] for key in NEW} == {"step"}
