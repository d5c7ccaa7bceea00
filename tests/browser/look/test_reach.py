"""Without a mouse or without seeing: a short way to the figures, and what they show in words."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.look.test_keyboard import focus

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=residual,hc,mhc&depth=8&width=16"


def test_two_stops_lead_past_the_bar_to_figures_and_settings(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    address = page.url
    page.keyboard.press("Tab")
    assert focus(page) == "Skip to the figures"
    expect(page.get_by_role("link", name="Skip to the figures")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "panel-picture"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.picture-card') !== null")
    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider", name="Depth", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "field-depth"
    assert page.url == address, "the hash is the view's"


def test_a_skip_link_leads_to_the_sliders_of_a_phone(open_page: OpenPage) -> None:
    page = open_page(VIEW, width=390, height=844)
    page.get_by_role("link", name="Skip to the sliders").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "field-depth"
    expect(page.get_by_role("slider", name="Depth", exact=True)).to_be_in_viewport()


def test_a_figure_is_called_after_what_it_shows(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    name = page.locator("[data-panel=gain] .plot-box").get_attribute("aria-label") or ""
    assert "B HC: " in name
    assert "C mHC: " in name


def test_the_cursor_says_one_sentence_when_it_rests(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    said = page.locator("p.sr[role=status]").first
    before = said.text_content()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert said.text_content() == before, "nothing is said of what is passed"
    expect(said).to_have_text(
        re.compile(r"^Layer 6: A Residual activation [\d.]+, gradient \S+, gain forward 1; B HC activation .*\.$")
    )
