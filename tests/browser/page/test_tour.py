"""The guided tour: its steps, its numbers, its focus, and that it starts only when asked."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_done

STEPS = ["Depth", "What a residual connection does", "What HC gains and risks", "What mHC mends", "Where to look"]


def step(page: Page, title: str) -> str:
    """The text of the step that is shown, which must have the focus."""
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog).to_be_focused()
    expect(dialog).to_be_in_viewport(ratio=1)
    return dialog.locator("p").text_content() or ""


def test_the_tour_by_keyboard(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=12")
    expect(page.get_by_role("dialog")).to_have_count(0)
    start = page.get_by_role("button", name="Take the tour")
    start.focus()
    page.keyboard.press("Enter")
    texts = []
    for index, title in enumerate(STEPS):
        texts.append(step(page, title))
        if index < len(STEPS) - 1:
            page.get_by_role("dialog").get_by_role("button", name="Next").focus()
            page.keyboard.press("Enter")
    sentences = page.locator(".story-card")
    assert "12 layers" in texts[0]
    assert (sentences.nth(0).locator(".sentence").nth(1).text_content() or "?") in texts[1]
    assert (sentences.nth(1).locator(".sentence").first.text_content() or "?") in texts[2]
    assert (sentences.nth(2).locator(".sentence").first.text_content() or "?") in texts[3]
    assert "layer 4 of 12" in texts[4]
    page.get_by_role("dialog").get_by_role("button", name="Back").click()
    step(page, STEPS[3])
    expect(page.locator(".panel.pointed")).to_have_attribute("data-panel", "mixing")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".panel.pointed")).to_have_count(0)
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_focused()
    page.reload()
    wait_until_done(page)
    page.get_by_role("button", name="Tour", exact=True).click()
    step(page, STEPS[0])


@pytest.mark.full
def test_the_tour_follows_the_view(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=hc")
    page.get_by_role("button", name="Take the tour").click()
    assert "8 layers" in step(page, STEPS[0])
    page.get_by_role("spinbutton", name="Depth, exact").fill("9")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=STEPS[0])
    expect(dialog).to_contain_text("9 layers")
    wait_until_done(page)
    dialog.get_by_role("button", name="Next").click()
    assert "No run of this view uses this connection" in step(page, STEPS[1])
    page.get_by_role("dialog").get_by_role("button", name="Next").click()
    assert re.search(r"Here, A HC: 9 free mixing matrices multiplied: gain \d", step(page, STEPS[2]))
    page.get_by_role("button", name="Skip the tour").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.full
def test_the_tour_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    more = page.get_by_role("button", name="Presets, share and more")
    more.click()
    page.get_by_role("button", name="Take the tour").click()
    for title in STEPS:
        step(page, title)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("dialog").get_by_role("button", name=re.compile("^(Next|Done)$")).click()
    expect(more).to_be_focused()
