"""A method has its colour wherever it is shown: in any place of the page, and framed alone."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from mhc_core.figures.methods import METHODS
from tests.browser.conftest import OpenPage, open_settings, wait_until_done
from tests.conftest import Server, compute

pytestmark = pytest.mark.full

LINES = """key => Object.fromEntries(document.querySelector(`#panel-${key} .plot`).data
  .filter((trace) => trace.meta.end).map((trace) => [trace.name, trace.line.color]))"""
MARKS = """() => [...document.querySelectorAll('.results-table tbody th')]
  .map((run) => run.style.getPropertyValue('--run'))"""
SWATCHES = "() => [...document.querySelectorAll('.compared .swatch line')].map((line) => line.getAttribute('stroke'))"


# What the curves of a chart are while a hand moves: the dashes of their lines, and how many filled shapes there are.
HELD = """key => new Promise((resolve) => {
    const { setLineDash, fill } = CanvasRenderingContext2D.prototype;
    const isOfChart = (pen) => pen.canvas.matches(`#panel-${key} .sketch`);
    const drawn = { dashes: [], filled: 0 };
    CanvasRenderingContext2D.prototype.setLineDash = function (dash) {
        if (isOfChart(this)) drawn.dashes.push(dash.join());
        return setLineDash.call(this, dash);
    };
    CanvasRenderingContext2D.prototype.fill = function (...rest) {
        if (isOfChart(this)) drawn.filled++;
        return fill.apply(this, rest);
    };
    const slider = document.getElementById('field-depth');
    slider.value = String(slider.valueAsNumber - 1);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(drawn)));
})"""
AT_REST = """key => document.querySelector(`#panel-${key} .plot`).data
  .filter((trace) => trace.meta.end && trace.visible !== false).map((trace) => [trace.mode, trace.line.dash])"""


@pytest.mark.parametrize(
    "kinds",
    [
        "residual,none,hc,mhc",
        "mhc_lite,kromhc,orthostochastic,identity_hc",
        "hc,frac",
        "go_mhc,tbp,shc,one_sided",
    ],
)
def test_a_hand_sees_the_lines_of_each_connection_as_they_are_at_rest(open_page: OpenPage, kinds: str) -> None:
    page = open_page(f"/#v=1&runs={kinds}&depth=8&width=16")
    lines = page.evaluate(AT_REST, "activation")
    assert {mode for mode, _ in lines} == {"lines"}
    drawn = page.evaluate(HELD, "activation")
    assert drawn["filled"] == 1 + len(lines), "the cursor's line and its dot on each curve, no marker"
    dashes = ["" if dash == "solid" else dash.replace("px", "") for _, dash in lines]
    assert drawn["dashes"] == dashes


def test_mhc_is_blue_in_the_first_place_and_when_a_run_before_it_is_removed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc,hc&depth=8&width=16", theme="light")
    wait_until_done(page)
    blue, orange = METHODS["mhc"].light, METHODS["hc"].light
    assert page.evaluate(LINES, "gain") == {"A mHC": blue, "B HC": orange}
    drawer = open_settings(page)
    assert page.evaluate(MARKS) == page.evaluate(SWATCHES) == [blue, orange]
    drawer.get_by_role("combobox", name="Connection of run A").select_option("hc")
    wait_until_done(page)
    first, second = page.evaluate(MARKS)
    assert first == orange, "the first HC has the method's own shade"
    assert second not in (blue, orange)
    assert page.evaluate(SWATCHES) == [first, second]


def test_one_run_framed_has_its_methods_colour(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 8, "width": 16, "connection": {"kind": "mhc"}})
        figure = http.get(f"/runs/{run}/figures/gain?theme=dark").json()
    page: Page = open_page(f"/embed/{run}?panel=gain&theme=dark", wait=False)
    expect(page.locator("#panel-gain .plot")).to_contain_text("A mHC")  # drawn, and of the run
    assert page.evaluate(LINES, "gain") == {"A mHC": METHODS["mhc"].dark}
    assert {trace["line"]["color"] for trace in figure["data"]} == {METHODS["mhc"].dark}
