"""One card on the full screen: the arrow keys go on, and the focus comes back."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, choose_more, wait_until_done
from tests.browser.look.test_access import audit, looks

pytestmark = pytest.mark.full

STAGE = "dialog[open] .stage"


def place(page: Page) -> list[str]:
    return page.locator(f"{STAGE} [role=status]").all_text_contents()


def test_arrow_keys_go_through_the_story_and_the_cards(open_page: OpenPage) -> None:
    page = open_page("/", width=1920, height=1080)
    start = page.get_by_role("button", name="More", exact=True)
    choose_more(page, "Present")
    expect(page.get_by_role("dialog", name="How the signal travels")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog[open]') !== null")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(f"{STAGE} [role=status]")).to_have_text(["step 2 of 6: Four streams", "card 1 of 15"])
    wait_until_done(page)
    expect(page.locator(".stage-text")).to_contain_text("Hyper-Connections (HC) use 4 streams")
    expect(page.locator(".stage-runs b")).to_have_text(["A Residual", "B HC"])
    page.keyboard.press("ArrowLeft")
    wait_until_done(page)
    assert place(page)[0] == "step 1 of 6: One stream"
    page.keyboard.press("ArrowDown")
    expect(page.locator(f"{STAGE} .plot .main-svg").first).to_be_attached()
    assert place(page)[1] == "card 2 of 15"
    expect(page.locator(".stage-runs .headline")).to_have_count(1)
    room, figure = (page.locator(f"{STAGE} {part}").bounding_box() for part in (".stage-room", ".plot-box"))
    assert room is not None
    assert figure is not None
    assert room["height"] > 0.6 * 1080
    assert abs(figure["height"] - room["height"]) < 6
    letters = page.locator(f"{STAGE} .xtick text").first.bounding_box()
    assert letters is not None
    assert letters["height"] > 20
    page.keyboard.press("Escape")
    expect(page.locator(STAGE)).to_have_count(0)
    expect(start).to_be_focused()


def test_from_a_card_they_go_through_the_presets(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=32", width=390, height=844)
    menu = page.get_by_role("button", name="Gain, forward: more")
    menu.focus()
    page.keyboard.press("f")
    expect(page.get_by_role("dialog", name="Gain, forward")).to_be_visible()
    assert re.fullmatch(r"\d+ presets", place(page)[0])
    page.get_by_role("button", name="Next preset").click()
    page.wait_for_url(re.compile("/p/"))
    wait_until_done(page)
    assert place(page)[0].startswith("preset 1 of ")
    assert page.locator(STAGE).evaluate("box => box.scrollWidth <= box.clientWidth")
    page.keyboard.press("f")
    expect(page.locator(STAGE)).to_have_count(0)
    expect(menu).to_be_focused()


@looks
def test_axe_finds_nothing_on_the_full_screen(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page("/#v=1&depth=8&width=32", theme=theme, width=width)
    page.keyboard.press("f")
    expect(page.locator(STAGE)).to_be_visible()
    page.wait_for_timeout(500)
    audit(page, "stage", page.locator("dialog[open]"))
