"""Products of mixing matrices: the page, the figures over REST and the route of composites say the same."""

from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.composites import multiply, set_interval, to_cell_texts, to_gains, to_label, to_signed_logs
from mhc_core.figures.sources import look_up
from mhc_core.figures.style import THEMES
from mhc_core.findings.numerals import format_value
from mhc_core.metrics.intervals import multiply_interval
from mhc_core.record import codec
from mhc_scope.api.models.composites import CompositeBody
from tests.app.api.test_bodies import check_problem
from tests.conftest import compute
from tests.core.figures.filled import decode_result, encode_lines, fill_in_page

# Name, comparison and run: what stays near 1, grows and cancels, leaves float64 both ways, and has 16 streams.
RUNS = [
    ("doubly stochastic", "three", 2),
    ("signed", "three", 1),
    ("beyond float64", "overflow", 0),
    ("many", "many streams", 0),
]
SPANS = [("first-cursor", 0, 2), ("cursor-last", 2, None), ("2-4", 1, 3), ("first-last", 0, None)]
CURSOR = 2


def to_weights(signed_logs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Signs, and log10 of magnitudes, of entries on the logarithmic scale."""
    z = np.asarray(signed_logs, dtype=np.float64)
    with np.errstate(divide="ignore"):
        small = np.log10(np.expm1(np.minimum(np.abs(z), 15) * np.log(10)))
    return np.sign(z), np.where(np.abs(z) < 15, small, np.abs(z))


@pytest.mark.sample(4)
@pytest.mark.parametrize(("span", "first", "last"), SPANS)
@pytest.mark.parametrize(("name", "comparison", "run"), RUNS)
def test_page_and_rest_multiply_alike(
    name: str, comparison: str, run: int, span: str, first: int, last: int | None
) -> None:
    lines = encode_lines(comparison)
    result = decode_result(lines[run])
    template = figures.to_response(1, "dark")["panels"]
    detail = next(panel for panel in template if panel["key"] == "detail")
    figure = next(view["figure"] for view in detail["views"] if view["key"] == "up_to")
    figure["data"][0]["meta"]["fill"] = {"z": f"product.{span}.h_res", "name": "label"}
    (theirs,) = fill_in_page(figure, [lines[run]], [CURSOR])
    signs, log10 = to_weights(theirs["data"][0]["z"])

    end = result.depth - 1 if last is None else last
    body = CompositeBody.build("run", first, end, multiply_interval(result.matrices["h_res"], first, end))
    wanted = np.array(body.matrix, dtype=np.float64)
    largest = np.abs(wanted).max()
    relative = signs * 10 ** (log10 - body.scale_log10 - np.log10(largest))
    np.testing.assert_allclose(relative, wanted / largest, rtol=1e-5, atol=1e-9, err_msg=name)
    assert f"gain → {_say(body.gain_fwd)}<br>gain ← {_say(body.gain_bwd)}" == theirs["layout"]["xaxis"]["title"]["text"]
    ours = look_up(f"product.{span}.h_res", result, "A", CURSOR)
    np.testing.assert_allclose(np.abs(ours), np.abs(np.array(theirs["data"][0]["z"])), rtol=1e-6, atol=1e-9)


def _say(magnitude: Any) -> str:
    return format_value(magnitude.value, magnitude.log10)


def test_a_product_beyond_float64_is_no_blank() -> None:
    stack = np.full((400, 2, 2), 40.0)
    product = multiply(stack, "first-last", 0)
    logs = to_signed_logs(product)
    np.testing.assert_allclose(logs, (400 * np.log10(80) - np.log10(2)), rtol=1e-12)
    small = multiply(stack / 1e4, "first-last", 0)
    assert small.exponent < -1074, "below float64"
    log10 = np.log10(small.scaled).max() + small.exponent * np.log10(2)
    assert log10 == pytest.approx(400 * np.log10(80e-4) - np.log10(2))
    assert to_label(small, "A") == "A ×10⁻⁸⁴⁰"
    assert to_cell_texts(small) == [[f"{10 ** (log10 + 840):.2f}"] * 2] * 2


@pytest.mark.parametrize(
    ("span", "gain", "cell"), [("1-1", "0.5", "0.50"), ("1-2", "not known", "–"), ("1-3", "nan", "nan")]
)
def test_a_product_says_whether_matrices_were_not_heard_or_are_no_numbers(span: str, gain: str, cell: str) -> None:
    product = multiply(np.array([0.5, np.nan, np.nan]).reshape(3, 1, 1), span, 0, {1: "unknown", 2: "nan"})
    assert to_gains(product) == (gain, gain)
    assert to_cell_texts(product) == [[cell]]


def test_a_chosen_interval_is_put_into_its_template_alone() -> None:
    for view, source in (
        ("interval", "product.3-9.h_res"),
        ("up_to", "product.3-cursor.h_res"),
        ("from", "product.cursor-9.h_res"),
        ("matrix", "at.h_res"),
    ):
        template = figures.PANELS["detail"].build(1, THEMES["dark"], view)
        set_interval(template, 2, 8)
        assert template["data"][0]["meta"]["fill"]["z"] == source


@pytest.mark.full
def test_figures_of_products_over_rest(client: httpx.Client) -> None:
    spec = {"depth": 6, "width": 16, "seed": 4243, "connection": {"kind": "hc"}, "input": {"tokens": 16}}
    run_id = compute(client, spec)
    url = f"/runs/{run_id}/figures/detail"
    for params, interval in (
        ({"view": "up_to", "layer": 3}, (0, 3)),
        ({"view": "from", "layer": 3}, (3, 5)),
        ({"view": "interval", "first": 1, "last": 4}, (1, 4)),
        ({"view": "interval"}, (0, 5)),
        ({"view": "up_to", "layer": 3, "first": 2, "last": 4}, (2, 3)),
        ({"view": "from", "layer": 0, "first": 2, "last": 4}, (2, 4)),
    ):
        figure = client.get(url, params=params).json()  # type: ignore[arg-type]
        body = client.get(f"/runs/{run_id}/composite", params={"first": interval[0], "last": interval[1]}).json()
        signs, log10 = to_weights(codec.from_typed_array(figure["data"][0]["z"]))
        np.testing.assert_allclose(signs * 10**log10, body["matrix"], rtol=1e-9, atol=1e-12)
        assert f"layers {interval[0] + 1}–{interval[1] + 1}" in figure["layout"]["title"]["text"]
    check_problem(client.get(url, params={"view": "interval", "first": 3, "last": 2}), 422, "first", "0 to 2")
    check_problem(client.get(url, params={"view": "interval", "last": 6}), 422, "last", "0 to 5")
