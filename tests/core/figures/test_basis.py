"""The mixing of a layer in another basis: the page and Python show the same, and what they show is a basis."""

import copy
import json
from typing import Any

import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.basis import build_block
from mhc_core.figures.filling import fill
from mhc_core.metrics.gauge import measure_gauge_norms
from tests.core.figures.filled import (
    LABELS,
    assert_same_values,
    decode_result,
    encode_lines,
    fill_in_page,
    get_template,
)

PANEL = figures.PANELS["basis"]
VIEWS = PANEL.views
BETWEEN = ("t37", "t62", "t87")  # no stops of the slider: turned, sheared, scaled


def get_layer_template(key: str, runs: int) -> dict[str, Any]:
    """The template that the server sends; between the stops that at 0 with another source, as the page makes it."""
    listed = next((view for view in VIEWS if view.key == key), None)
    if listed:
        return get_template("basis", listed, runs)
    first = json.dumps(get_template("basis", VIEWS[0], runs))
    percent = key.removeprefix("t")
    return json.loads(first.replace("basis.0", f"basis.{percent}").replace("basis_text.0", f"basis_text.{percent}"))


@pytest.mark.sample(8)
@pytest.mark.parametrize("comparison", ["three", "many streams", "dynamic", "parts"])
@pytest.mark.parametrize("key", [*(view.key for view in VIEWS), *BETWEEN])
def test_the_page_shows_the_same_at_every_layer(key: str, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = get_layer_template(key, len(lines))
    results = [decode_result(part) for part in lines]
    cursors = [5, 0, 3]  # the page keeps what it has computed
    for cursor, theirs in zip(cursors, fill_in_page(template, list(lines), cursors), strict=True):
        ours = fill(copy.deepcopy(template), list(results), LABELS, cursor)
        assert_same_values(ours, theirs, f"{comparison} {cursor}")


def test_between_the_stops_is_a_view_for_each_percent() -> None:
    between = PANEL.build(2, figures.THEMES["dark"], BETWEEN[0])
    sources = [trace["meta"]["fill"] for trace in between["data"]]
    assert sources == [trace["meta"]["fill"] for trace in get_layer_template(BETWEEN[0], 2)["data"]]
    assert [PANEL.find_view(key) for key in ("t101", "t1.5", "37", "")] == [None] * 4
    assert PANEL.find_view("t25") == PANEL.views[1]
    assert figures.PANELS["gauge"].find_view("t37") is None


def test_at_0_it_is_the_mixing_and_at_100_the_fixed_basis() -> None:
    result = decode_result(encode_lines("three")[1])
    mixing = [result.matrices[key].astype(np.float64) for key in ("h_pre", "h_post", "h_res")]
    norms = measure_gauge_norms(*mixing)
    for cursor in range(6):
        plain, fixed = (build_block(result.matrices, percent, cursor) for percent in ("0", "100"))
        assert plain is not None
        assert fixed is not None
        np.testing.assert_array_equal(plain[0, 1:], mixing[0][cursor])
        np.testing.assert_array_equal(plain[1:, 0], mixing[1][cursor])
        np.testing.assert_array_equal(plain[1:, 1:], mixing[2][cursor])
        np.testing.assert_array_equal(fixed[1:, 1:], np.eye(4))
        assert np.linalg.norm(fixed[0, 1:]) == pytest.approx(norms["gauge_read_norm"][0][cursor], rel=1e-9)
        assert np.linalg.norm(fixed[1:, 0]) == pytest.approx(norms["gauge_write_norm"][0][cursor], rel=1e-9)
        assert np.isnan(plain[0, 0])


def test_what_the_basis_makes_of_rounding_is_blank() -> None:
    uniform = {"h_pre": np.ones((3, 4)), "h_post": np.ones((3, 4)), "h_res": np.full((3, 4, 4), 0.25)}
    first, second = (build_block(uniform, "100", cursor) for cursor in (0, 1))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first[0, 1:], np.ones(4), "in front of the first layer nothing has been mixed")
    assert np.isnan(first[:, 0]).all()
    assert np.isnan(second[0]).all()
    np.testing.assert_array_equal(second[1:, 1:], np.eye(4))
    between = build_block(uniform, "50", 1)
    assert between is not None
    assert np.isnan(between).all()


def test_one_stream_and_parts_of_the_width_have_no_basis() -> None:
    residual, frac, _ = (decode_result(part) for part in encode_lines("parts"))
    assert build_block(residual.matrices, "50", 2) is None
    assert build_block(frac.matrices, "50", 2) is None
