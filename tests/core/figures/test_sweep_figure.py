"""The map of a sweep as a figure, over HTTP: its cells, and the numbers in them."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import httpx
import plotly.io
import pytest
from plotly.colors import hex_to_rgb, sample_colorscale, unlabel_rgb

from mhc_core.figures.sweep import _bar_ticks
from mhc_core.findings.numerals import format_value
from tests.app.api.test_sweeps import DEPTHS, SWEEP, build_grid, finish
from tests.browser.audit import contrast

FreshSpec = Callable[..., dict[str, Any]]


@pytest.mark.full
def test_the_figure_is_the_values(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    body = client.post(SWEEP, json=build_grid(fresh_spec())).json()
    finish(client, body["id"])
    for query in ({}, {"metric": "cka", "reduce": "median", "theme": "dark"}, {"metric": "h_res_min", "reduce": "min"}):
        found = client.get(f"{SWEEP}/{body['id']}/values", params=query).json()
        drawn = plotly.io.from_json(client.get(f"{SWEEP}/{body['id']}/figure", params=query).text)
        number = "log10" if found["metric"]["scale"] == "log" else "values"
        assert [list(row) for row in drawn.data[1].z] == found[number]
        assert [list(row) for row in drawn.data[1].customdata] == body["ids"]
        assert list(drawn.data[1].x) == [str(depth) for depth in DEPTHS]
        assert drawn.layout.xaxis.title.text == "Depth"
        assert drawn.layout.yaxis.title.text == "Streams"


@pytest.mark.full
def test_numbers_are_legible_on_their_cells(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(depth=48, connection={"kind": "hc"})
    axes = {
        "x": {"field": "connection.noise", "values": [0, 0.1, 0.3, 1, 3, 10]},
        "y": {"field": "depth", "values": [2, 48]},
    }
    body = client.post(SWEEP, json={"spec": spec, **axes}).json()
    finish(client, body["id"])
    for query in ({}, {"theme": "dark"}, {"metric": "effective_rank"}, {"metric": "cka", "theme": "dark"}):
        found = client.get(f"{SWEEP}/{body['id']}/values", params=query).json()
        drawn = plotly.io.from_json(client.get(f"{SWEEP}/{body['id']}/figure", params=query).text)
        axis, (paper, cells, text) = drawn.layout.coloraxis, drawn.data
        assert (paper.texttemplate, cells.texttemplate) == (None, None), "Plotly writes none of its own"
        assert list(zip(text.x, text.y, strict=True)) == [(x, y) for y in cells.y for x in cells.x]
        grounds = [ground_of(z, axis, paper) for row in cells.z for z in row]
        inks = [hex_to_rgb(ink) for ink in text.textfont.color]
        assert min(contrast(tuple(ground), ink) for ground, ink in zip(grounds, inks, strict=True)) >= 4.5
        told = zip(*(chain(*found[name]) for name in ("values", "log10", "status")), strict=True)
        assert list(text.text) == [format_value(value, log10, status, digits=3) for value, log10, status in told]


def ground_of(z: float | None, axis: Any, paper: Any) -> list[float]:
    """The colour of a cell, 0 to 255 each; of one without a number the paper's."""
    scale, share = (
        (paper.colorscale, 0.0) if z is None else (axis.colorscale, (z - axis.cmin) / (axis.cmax - axis.cmin))
    )
    (color,) = sample_colorscale([list(stop) for stop in scale], share)
    return list(unlabel_rgb(color))


@pytest.mark.full
def test_a_cell_without_a_number_is_marked_in_the_narrowest_map(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    noises = [round(0.1 * index, 1) for index in range(15)] + [10.0]
    # At a drift of 10 alone, states leave float32 before this depth.
    spec = fresh_spec(depth=48, width=8, connection={"kind": "hc", "streams": 8})
    body = client.post(SWEEP, json={"spec": spec, "x": {"field": "connection.noise", "values": noises}}).json()
    finish(client, body["id"])
    drawn = plotly.io.from_json(
        client.get(f"{SWEEP}/{body['id']}/figure", params={"metric": "effective_rank", "reduce": "last"}).text
    )
    (row,) = drawn.data[1].z
    assert {None} < {value and 1 for value in row}, "there are both kinds"
    assert list(drawn.data[2].text) == ["×" if value is None else "" for value in row]


@pytest.mark.full
def test_values_that_read_alike_have_cells_of_their_own(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    noises = [0.30001, 0.30002, 0.5]
    axis = {"field": "connection.noise", "values": noises}
    body = client.post(SWEEP, json={"spec": fresh_spec(connection={"kind": "hc"}), "x": axis}).json()
    finish(client, body["id"])
    drawn = plotly.io.from_json(client.get(f"{SWEEP}/{body['id']}/figure").text)
    assert [list(trace.x) for trace in drawn.data] == [["0.30001", "0.30002", "0.5"]] * 3


@pytest.mark.parametrize("bound", [0.025, 0.05, 0.09, 0.2, 0.25, 0.3, 0.34, 0.36, 1.0])
def test_a_short_bar_has_ticks_on_both_sides_of_one(bound: float) -> None:
    places, texts = _bar_ticks(-bound, bound)
    assert "1" in texts
    assert -bound <= min(places) < -0.5 * bound < 0.5 * bound < max(places) <= bound
    assert all(len(text) <= 4 or "<sup>" in text for text in texts), "round values"


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.29), (2.1, 2.3), (400.1, 400.5), (-3.6, -3.0), (350, 350.05)])
def test_a_short_bar_has_ticks_near_both_ends(low: float, high: float) -> None:
    places, texts = _bar_ticks(low, high)
    assert low <= min(places) < low + 0.4 * (high - low)
    assert high - 0.2 * (high - low) < max(places) <= high
    assert len(set(texts)) == len(texts) == 3
