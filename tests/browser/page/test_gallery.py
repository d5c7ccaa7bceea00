"""The gallery of presets: stored pictures, our numbers beside the papers', a click opens the runs."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, wait_until_done
from tests.browser.look.test_access import audit, looks, press
from tests.browser.look.test_keyboard import focus, tab_to

pytestmark = pytest.mark.full


def open_gallery(page: Page) -> None:
    press(page, "Examples")
    expect(page.get_by_role("dialog", name="Examples")).to_be_visible()


def card(page: Page, title: str) -> Locator:
    return page.locator(".gallery-card", has=page.get_by_role("link", name=title, exact=True))


def test_pictures_and_numbers_are_those_of_the_runs(open_page: OpenPage) -> None:
    page = open_page("/#v=1")
    in_table = page.locator(".results-table tbody td:nth-of-type(1)").all_inner_texts()
    open_gallery(page)
    default = card(page, "Residual, HC, mHC")
    expect(default.locator(".spark path")).to_have_count(3)
    for path in default.locator("path").all():
        assert (path.get_attribute("d") or "").startswith("M")
    numbers = default.locator("dd").all_text_contents()
    assert numbers == [text.strip() for text in in_table]
    # Exactly 1, as text and results write it: only one stream has no digits to lose.
    assert card(page, "Relatives of mHC").locator("dd").all_text_contents() == ["×1.02", "×1.00", "×1.00", "×1.00"]
    assert "theirs is ×1.00." in card(page, "Relatives of mHC").inner_text()


def test_a_paper_stands_beside_our_number_with_the_difference_of_scale(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8&width=32", width=1440)
    open_gallery(page)
    figure = card(page, "Fig. 3: HC's gain compounds")
    expect(figure).to_contain_text("up to about 3000")
    expect(figure).to_contain_text("27B")
    expect(figure).to_contain_text("here width 64")
    page.keyboard.press("Escape")


def test_a_card_opens_its_runs_by_keyboard(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=32")
    page.get_by_role("button", name="Examples").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Examples")).to_be_visible()
    tab_to(page, "Fig. 3: HC's gain compounds")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Examples")).not_to_be_visible()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == ["A Residual", "B HC"]
    expect(page.locator("output[for=field-depth]")).to_have_text("60")
    assert focus(page) == "Examples"


@looks
def test_axe_finds_nothing_in_the_gallery(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page("/#v=1&depth=8&width=32", theme=theme, width=width)
    open_gallery(page)
    expect(page.locator(".gallery-card .spark path").first).to_be_attached(timeout=60_000)
    audit(page, "gallery", page.get_by_role("dialog", name="Examples"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1440])
def test_each_card_fits_its_dialog(see_page: OpenPage, width: int) -> None:
    page = see_page("/#v=1&depth=8&width=32", width=width)
    open_gallery(page)
    dialog = page.get_by_role("dialog", name="Examples")
    assert dialog.evaluate("box => box.scrollWidth <= box.clientWidth")
    page.keyboard.press("Escape")
