"""What is not done again: it would hold up what a hand on the page waits for."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_until, wait_until_done

# What is drawn from now on: figures, and the cursors over them.
COUNT = """() => {
    window.drawn = [];
    for (const box of document.querySelectorAll('[data-panel] .plot-box')) {
        const { panel } = box.closest('[data-panel]').dataset;
        box.querySelector('.plot').on('plotly_afterplot', () => window.drawn.push(panel));
        const watcher = new MutationObserver(() => window.drawn.push(`cursor of ${panel}`));
        watcher.observe(box.querySelector('.overlay'), { childList: true });
    }
}"""


@pytest.mark.full
def test_what_is_shown_already_is_not_drawn_again(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&layer=4")
    waiting = page.locator("[data-waits]")  # also figures out of sight
    expect(waiting).to_have_count(0)
    page.evaluate(COUNT)
    with page.expect_response(re.compile("/runs/compare")):
        page.get_by_role("button", name="Run", exact=True).click()
    wait_until_done(page)
    expect(waiting).to_have_count(0)
    assert page.evaluate("window.drawn") == []
    page.locator("body").press("ArrowRight")
    expect(page.locator(".scrubber label").first).to_contain_text("Layer 5")
    expect(waiting).to_have_count(0)
    wait_until(page, lambda: "cursor of gain" in page.evaluate("window.drawn"))
