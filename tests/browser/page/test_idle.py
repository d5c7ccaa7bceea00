"""What is not done again: it would hold up what a hand on the page waits for."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, expect_layer, wait_until, wait_until_done
from tests.browser.page.test_page import drag

pytestmark = pytest.mark.full

# What is drawn from now on: figures, and the cursors over them.
COUNT = """() => {
    window.drawn = [];
    for (const box of document.querySelectorAll('[data-panel] .plot-box')) {
        const { panel } = box.closest('[data-panel]').dataset;
        box.querySelector('.plot').on('plotly_afterplot', () => window.drawn.push(panel));
        const watcher = new MutationObserver(() => window.drawn.push(`cursor of ${panel}`));
        watcher.observe(box.querySelector('.overlay'), { childList: true, subtree: true, attributeFilter: ['style'] });
    }
}"""

# How often the progress of runs is told from now on, as to all cards, and for how many ms.
COUNT_TOLD = """() => {
    window.told = 0;
    window.begun = performance.now();
    const watcher = new MutationObserver((changes) => {
        window.told += changes.length;
        window.took = performance.now() - window.begun;
    });
    watcher.observe(document.querySelector('.topbar'), { subtree: true, attributeFilter: ['value'] });
}"""
TICK_MS = 100  # see static/js/state/follow.js


def test_what_is_shown_already_is_not_drawn_again(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&layer=4")
    waiting = page.locator("[data-waits]")  # also figures out of sight
    expect(waiting).to_have_count(0)
    page.evaluate(COUNT)
    with page.expect_response(re.compile("/runs/compare")):
        page.keyboard.press("r")
    wait_until_done(page)
    expect(waiting).to_have_count(0)
    assert page.evaluate("window.drawn") == []
    page.locator("body").press("ArrowRight")
    expect_layer(page, 5, 8)
    expect(waiting).to_have_count(0)
    wait_until(page, lambda: "cursor of gain" in page.evaluate("window.drawn"))


def test_frames_of_what_is_known_at_once_are_told_a_few_times_a_second(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=96")
    drag(page, "Depth", 0.22, release=False)
    page.evaluate(COUNT_TOLD)
    page.mouse.up()
    wait_until_done(page)
    told, took_ms = page.evaluate("[window.told, window.took]")
    assert 1 <= told <= took_ms / TICK_MS + 2  # the first and the last are told at once
