"""Figures of each run against the first: what they say, checked against the columns themselves."""

from typing import Any

import httpx
import numpy as np
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.figures.difference import subtract, to_difference
from mhc_core.figures.style import THEMES
from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from tests.conftest import compute

SMALL: dict[str, Any] = {"depth": 6, "width": 8, "input": {"tokens": 8}, "block": {"heads": 2}}
LABELS = ["A Residual", "B HC", "C mHC"]


def _compute(**fields: Any) -> Result:
    result = Result()
    for frame in run(parse_spec({**SMALL, **fields})):
        result.add(frame)
    return result


def _traces(key: str, results: list[Result], view: str | None = None) -> dict[str, Any]:
    drawn = figures.figure(key, list(results), LABELS, 2, "light", view, difference=True)
    return {trace.name: trace for trace in drawn.data if trace.visible is not False and trace.name}


def test_on_a_log_axis_the_ratio_is_drawn_in_decades() -> None:
    base, hc = _compute(connection={"kind": "residual"}), _compute(connection={"kind": "hc"})
    traces = _traces("activation", [base, hc])
    assert list(traces) == ["B HC / A"]
    ratio = hc.layers["act_rms"] / base.layers["act_rms"]
    np.testing.assert_allclose(10.0 ** np.array(traces["B HC / A"].y), ratio, rtol=1e-6)
    np.testing.assert_allclose([float(text) for text in traces["B HC / A"].text], ratio, rtol=2e-3)


def test_on_a_linear_axis_the_difference_is_drawn_with_a_line_at_zero() -> None:
    base, hc = _compute(connection={"kind": "residual"}), _compute(connection={"kind": "hc"})
    (trace,) = _traces("activation", [base, hc], "linear").values()
    np.testing.assert_allclose(trace.y, hc.layers["act_rms"] - base.layers["act_rms"], atol=1e-12)
    drawn = figures.figure("gain", [base, hc], LABELS, 2, "light", "linear", difference=True)
    (line,) = drawn.layout.shapes
    assert line.y0 == line.y1 == 0
    assert "difference to A" in drawn.layout.title.text
    low, high = drawn.layout.yaxis.range
    assert low < 0 < high


def test_matrices_stand_on_a_scale_with_zero_in_its_middle() -> None:
    base, hc = _compute(connection={"kind": "residual"}), _compute(connection={"kind": "hc"})
    drawn = figures.figure("cka", [base, hc], LABELS, 2, "light", difference=True)
    bounds = drawn.layout.coloraxis.cmin, drawn.layout.coloraxis.cmax
    assert bounds[0] == -bounds[1]
    assert [list(stop) for stop in drawn.layout.coloraxis.colorscale] == [list(s) for s in THEMES["light"].diverging]
    (trace,) = _traces("cka", [base, hc]).values()
    expected = hc.matrices["cka"].astype(np.float64) - base.matrices["cka"]
    np.testing.assert_allclose(np.asarray(trace.z), expected, atol=1e-12)


def test_one_stream_counts_as_streams_that_do_not_mix() -> None:
    base, hc = _compute(connection={"kind": "residual"}), _compute(connection={"kind": "hc"})
    (trace,) = _traces("detail", [base, hc]).values()
    np.testing.assert_allclose(trace.z, hc.matrices["h_res"][2] - np.eye(4), atol=1e-12)
    plain = _compute(connection={"kind": "none"})
    assert np.all(subtract(hc, plain, ["h_res"], False).matrices["h_res"] == hc.matrices["h_res"])
    sizes = subtract(hc, base, ["act_rms_streams"], True).layers_log10["act_rms_streams"]
    assert sizes.shape == (6, 4)
    assert subtract(hc, _compute(connection={"kind": "mhc", "streams": 2}), ["h_res"], False).matrices == {}


def test_layers_beyond_the_shorter_stack_are_left_out() -> None:
    short, deep = _compute(depth=3, connection={"kind": "hc"}), _compute(connection={"kind": "hc"})
    column = subtract(deep, short, ["act_rms"], False).layers["act_rms"]
    np.testing.assert_array_equal(column[:3], 0)  # a deeper stack keeps its first layers
    assert np.all(np.isnan(column[3:]))


@pytest.mark.full
def test_what_overflows_has_a_ratio_and_no_difference() -> None:
    wild = {"connection": {"kind": "hc", "noise": 10.0}, "depth": 260}
    base, hc = _compute(depth=260, connection={"kind": "residual"}), _compute(**wild)
    logs = subtract(hc, base, ["composite_gain_fwd"], True).layers_log10["composite_gain_fwd"]
    assert logs[-1] > 308, "beyond float64"
    assert np.isnan(subtract(hc, base, ["composite_gain_fwd"], False).layers["composite_gain_fwd"][-1])


def test_a_template_is_left_as_it_was() -> None:
    panels = figures.to_response(3, "light")["panels"]
    template = next(panel["figure"] for panel in panels if panel["key"] == "similarity")
    assert "limits" in template["layout"]["meta"]["axes"]["yaxis"]
    to_difference(template)
    assert "limits" in template["layout"]["meta"]["axes"]["yaxis"]


@pytest.mark.full
def test_the_interface_draws_it_as_well_and_needs_two_runs(client: httpx.Client) -> None:
    ids = [compute(client, {**SMALL, "connection": {"kind": kind}}) for kind in ("residual", "hc")]
    path = f"/runs/{ids[0]}/figures/activation"
    drawn = plotly.io.from_json(client.get(path, params={"with": ids[1], "difference": "true"}).text)
    assert "ratio to A" in drawn.layout.title.text
    assert [trace.name for trace in drawn.data if trace.visible is not False and trace.name] == ["B HC / A"]
    refused = client.get(path, params={"difference": "true"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "difference"


def test_a_law_stays_beside_the_run_of_which_it_speaks() -> None:
    runs = [_compute(connection={"kind": "residual"}), _compute(connection={"kind": "mhc"})]
    against, plain = (figures.figure("theory", runs, LABELS, 0, "dark", difference=is_on) for is_on in (True, False))
    assert against == plain


@pytest.mark.parametrize("key", [key for key in figures.PANELS if key != "theory"])
def test_every_panel_says_where_nothing_can_be_compared(key: str) -> None:
    base = _compute(connection={"kind": "residual"})
    drawn = figures.figure(key, [base], LABELS, 0, "dark", difference=True)
    assert any("Nothing here can be compared" in note.text for note in drawn.layout.annotations)
