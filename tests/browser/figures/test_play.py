"""Sliders played as an animation."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, open_settings, wait_until_done
from tests.browser.page.test_page import curves

pytestmark = pytest.mark.full

ROUNDS = "/#v=1&runs=mhc&depth=6&width=32&connection.noise=1&connection.sinkhorn_iters={}"
# Every value that the figures have shown to the end, in order.
RECORD = """() => {
    window.shown = [];
    const status = document.querySelector('.status');
    new MutationObserver(() => {
        const value = Number(document.getElementById('setting-connection-sinkhorn_iters-exact').value);
        if (status.dataset.phase === 'idle' && shown.at(-1) !== value) shown.push(value);
    }).observe(status, {attributes: true, attributeFilter: ['data-phase']});
}"""


def exact(page: Page) -> Locator:
    return page.get_by_role("spinbutton", name="Sinkhorn rounds, exact").last


def play(page: Page) -> Locator:
    """The button of the setting that all runs share: a run has one for its own."""
    field = page.locator(".drawer [data-path='connection.sinkhorn_iters']")
    return field.get_by_role("button", name="Play Sinkhorn rounds")


def rounds(page: Page) -> int:
    return int(exact(page).input_value())


def test_a_slider_is_played_to_its_end_and_no_step_is_skipped(open_page: OpenPage) -> None:
    page = open_page(ROUNDS.format(50))
    open_settings(page)
    page.evaluate(RECORD)
    length = page.evaluate("history.length")
    play(page).click()
    expect(page.get_by_role("button", name="Pause Sinkhorn rounds")).to_be_visible()
    expect(play(page)).to_be_visible(timeout=60_000)
    wait_until_done(page)
    assert rounds(page) == 200
    assert page.evaluate("shown") == [70, 100, 150, 200]
    assert page.evaluate("history.length") == length + 1, "Back leads to where it began"
    page.go_back()
    wait_until_done(page)
    assert rounds(page) == 50


def test_escape_ends_it_where_it_is(open_page: OpenPage) -> None:
    page = open_page(ROUNDS.format(0))
    open_settings(page)
    play(page).click()
    expect(exact(page)).to_have_value(re.compile("^([2-9]|..+)$"))
    page.keyboard.press("Escape")
    expect(play(page)).to_be_visible()  # the drawer is still open
    wait_until_done(page)
    stopped = rounds(page)
    assert 2 <= stopped < 200
    page.wait_for_timeout(1500)
    assert rounds(page) == stopped
    assert re.search(rf"sinkhorn_iters={stopped}\b", page.url)
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_have_count(0)


def test_the_button_pauses_and_any_input_does(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual&depth=4&width=32")
    open_settings(page)
    page.get_by_role("button", name="Play Depth").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Pause Depth").click()
    expect(page.get_by_role("button", name="Play Depth")).to_be_visible()
    page.get_by_role("button", name="Play Depth").click()
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Play Depth")).to_be_visible()
    wait_until_done(page)
    depth = len(curves(page, "activation")[0]["y"])
    page.wait_for_timeout(1500)
    assert len(curves(page, "activation")[0]["y"]) == depth


def test_reduced_motion_steps_slowly(open_page: OpenPage) -> None:
    page = open_page(ROUNDS.format(100))
    open_settings(page)
    page.emulate_media(reduced_motion="reduce")
    begun = page.evaluate("performance.now()")
    play(page).click()
    expect(page.get_by_role("button", name="Pause Sinkhorn rounds")).to_be_visible()
    expect(play(page)).to_be_visible(timeout=60_000)
    assert rounds(page) == 200
    assert page.evaluate("performance.now()") - begun >= 2000, "150 and 200, each a second in sight"


def test_the_dial_of_the_gallery_plays(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=32")
    page.get_by_role("button", name="Examples").click()
    page.get_by_role("link", name="Sinkhorn rounds, from 0 to 200").click()
    pause = page.get_by_role("region", name="Preset").get_by_role("button", name="Pause Sinkhorn rounds")
    expect(pause).to_be_visible()
    page.wait_for_url(re.compile(r"sinkhorn_iters=([3-9]|\d\d)"), timeout=60_000)
    pause.click()
    expect(pause).to_have_count(0)
    wait_until_done(page)
    open_settings(page)
    assert rounds(page) >= 3
