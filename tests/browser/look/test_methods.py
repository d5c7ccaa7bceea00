"""A method has its colour wherever it is shown: in any place of the page, and framed alone."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from mhc_core.figures.methods import METHODS
from tests.browser.conftest import OpenPage, open_settings, wait_until_done
from tests.conftest import Server, compute

LINES = """key => Object.fromEntries(document.querySelector(`#panel-${key} .plot`).data
  .filter((trace) => trace.meta.end).map((trace) => [trace.name, trace.line.color]))"""
MARKS = """() => [...document.querySelectorAll('.results-table tbody th')]
  .map((run) => run.style.getPropertyValue('--run'))"""
SWATCHES = "() => [...document.querySelectorAll('.compared .swatch line')].map((line) => line.getAttribute('stroke'))"


@pytest.mark.full
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


@pytest.mark.full
def test_one_run_framed_has_its_methods_colour(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 8, "width": 16, "connection": {"kind": "mhc"}})
        figure = http.get(f"/runs/{run}/figures/gain?theme=dark").json()
    page: Page = open_page(f"/embed/{run}?panel=gain&theme=dark", wait=False)
    expect(page.locator("#panel-gain .plot")).to_contain_text("A mHC")  # drawn, and of the run
    assert page.evaluate(LINES, "gain") == {"A mHC": METHODS["mhc"].dark}
    assert {trace["line"]["color"] for trace in figure["data"]} == {METHODS["mhc"].dark}
