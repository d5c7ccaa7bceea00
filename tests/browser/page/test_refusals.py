"""A value that is refused leaves the last good runs in place, marked, and throws nothing."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import OpenPage, Watch, open_settings, type_setting, wait_until, wait_until_done
from tests.browser.page.test_page import curves
from tests.conftest import Server

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=residual,hc&depth=8&width=16"


def enter_depth(page: Page, value: str) -> None:
    """Type into the field of the depth, in the drawer."""
    field = open_settings(page).get_by_role("spinbutton", name="Depth, exact")
    field.fill(value)
    field.press("Enter")


def points(page: Page) -> list[int]:
    """Layers of each curve of the activations."""
    return [len(line["y"]) for line in curves(page, "activation")]


@pytest.mark.parametrize("depth", ["64.5", "-3", "2000000000"])
def test_a_depth_that_is_refused_keeps_the_last_runs(open_page: OpenPage, depth: str) -> None:
    page = open_page(VIEW)
    enter_depth(page, depth)
    expect(page.get_by_role("alert").first).to_have_text("Depth must be a whole number from 1 to 1024.")
    assert points(page) == [8, 8]
    enter_depth(page, "6")
    wait_until_done(page)
    assert points(page) == [6, 6]
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_depth_with_a_fraction_in_a_link_is_named(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc&depth=64.5&width=16")
    expect(page.get_by_role("alert")).to_contain_text("depth must be a whole number from 1 to 1024, not 64.5, so 64 is")
    assert points(page) == [64]


def find_muted(page: Page) -> str:
    """Return the colour of muted text, as the browser writes it."""
    return str(page.locator(".step-text").evaluate("text => getComputedStyle(text).color"))


def check_opening_view_dimmed(page: Page) -> None:
    """Picture, charts and table show the three runs of the opening view, dimmed."""
    expect(page.locator(".picture-box")).to_have_attribute("aria-label", re.compile("A Residual: .*B HC: .*C mHC: "))
    expect(page.locator(".plot-box.stale")).to_have_count(4)
    for number in page.locator(".chart .at-cursor b").all():
        expect(number).to_have_css("color", find_muted(page))
    expect(page.locator(".results tr.stale")).to_have_count(3)
    wait_until(page, lambda: points(page) == [64, 64, 64])


def test_a_link_to_runs_that_are_refused_shows_the_opening_view_dimmed(visitor: BrowserContext, server: Server) -> None:
    page = visitor.new_page()
    page.goto(f"{server.url}/#v=1&runs=hc&width=65&block.heads=4")
    expect(page.locator(".banner")).to_have_text(
        "Heads (4) must divide width (65). Use 1, 5 or 13. The page shows the opening view instead."
    )
    check_opening_view_dimmed(page)
    assert page.url.endswith("width=65&block.heads=4"), "settings of the link can be corrected"
    field = open_settings(page).get_by_role("spinbutton", name="Width, exact")
    field.fill("16")
    field.press("Enter")
    wait_until_done(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".stale")).to_have_count(0)
    assert points(page) == [64]


def test_a_link_to_runs_that_wait_for_run_shows_the_opening_view_dimmed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual&depth=220&width=512", wait=False)
    expect(page.locator(".status")).to_contain_text("Takes about")
    expect(page.locator(".step-text")).to_have_text(
        "These runs are not computed yet. Press Run. The dimmed runs have other settings."
    )
    expect(page.locator("#headline")).to_have_text("One signal, 220 layers, one way to connect them")
    check_opening_view_dimmed(page)
    expect(page.locator(".heading .stale")).to_have_count(0)  # it is about the view
    expect(page.locator(".status")).to_have_attribute("data-phase", "unconfirmed")
    assert page.url.endswith("depth=220&width=512"), "settings of the link stay"
    page.get_by_role("button", name="Run", exact=True).click()
    wait_until(page, lambda: len(points(page)) == 1)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".status")).to_contain_text("cancelled")
    expect(page.locator(".results-table tbody th")).to_contain_text(["A Residual"])


def test_only_runs_that_are_shown_say_median(open_page: OpenPage, watch: Watch) -> None:
    """Settings with several seeds that are refused leave the opening view, which has one."""
    watch.allow("status of 422")
    page = open_page("/#v=1&runs=hc&width=65&block.heads=4&seeds=3", wait=False)
    check_opening_view_dimmed(page)
    expect(page.locator(".results h2")).to_have_text("Results")
    expect(page.locator("[data-panel=gain] .plot")).to_contain_text("mixing alone")
    expect(page.locator("[data-panel=gain] .plot")).not_to_contain_text("median")
    expect(page.locator(".picture-caption")).not_to_contain_text("first seed")
    page.close()
    page = open_page("/#v=1&runs=hc&depth=8&width=16&seeds=3")
    enter_depth(page, "64.5")
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.locator(".results h2")).to_have_text("Results medians over seeds, loss of the first seed")
    expect(page.locator("[data-panel=gain] .plot")).to_contain_text("mixing alone, median")
    expect(page.locator(".picture-caption")).to_contain_text("Drawn: the first seed.")


def test_headline_and_sentence_of_earlier_runs_are_dimmed_until_others_come(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    held: list[Route] = []
    page.route("**/runs/compare*", lambda route: held.append(route))
    type_setting(page, "Width", 24)
    expect(page.locator(".results tr.stale")).to_have_count(2)
    for text in (page.locator("#headline"), page.locator(".step-text")):
        expect(text).to_have_class(re.compile(r"\bstale\b"))
    expect(page.locator("#headline")).to_have_css("color", find_muted(page))
    wait_until(page, lambda: len(held) > 0)
    held[-1].continue_()
    page.unroute("**/runs/compare*")
    wait_until_done(page)
    expect(page.locator(".heading .stale")).to_have_count(0)


def test_a_change_by_slider_that_is_refused_brings_the_last_runs_back(
    open_page: OpenPage, server: Server, watch: Watch
) -> None:
    watch.allow("status of 422")
    page = open_page(VIEW)

    def refuse(route: Route) -> None:
        problem = {"title": "The spec is not valid", "status": 422, "detail": "not today.", "errors": []}
        route.fulfill(status=422, json=problem, content_type="application/problem+json")

    page.route("**/runs/compare*", refuse)
    slider = page.locator("#field-depth")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("alert").first).to_contain_text(
        "not today. The page shows the last valid settings instead."
    )
    expect(page.locator(".stale").first).to_be_attached()
    assert points(page) == [8, 8]
    page.unroute("**/runs/compare*")
    page.keyboard.press("ArrowLeft")
    wait_until_done(page)
    assert points(page) == [5, 5]


def test_a_depth_that_waits_for_run_is_not_described_by_the_gains_of_the_last_runs(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual,hc&depth=2&width=512")
    enter_depth(page, "220")
    expect(page.locator(".status")).to_contain_text("Takes about")
    expect(page.locator("#headline")).to_have_text("One signal, 220 layers, two ways to connect them")
    expect(page.locator(".step-text")).to_have_text(
        "These runs are not computed yet. Press Run. The dimmed runs have other settings."
    )
