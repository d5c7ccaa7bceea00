"""A text of 200 kB is computed and shared, and is in no address."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, create_link, open_settings, open_share, wait_until_done

pytestmark = pytest.mark.full

TEXT = "All that is measured here comes from this text. " * 4200
VIEW = "/#v=1&runs=mhc&depth=4&width=16&input.tokens=16"
OMITTED = "v=1&runs=mhc&depth=4&width=16&input.tokens=16&omitted=input.text"


def text_of(page: Page) -> str:
    """What the page computes from."""
    return open_settings(page).locator("#setting-input-text").input_value()


def test_a_long_text_stays_out_of_the_address_and_in_the_view(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    field = open_settings(page).locator("#setting-input-text")
    field.fill(TEXT)
    field.press("Tab")
    page.wait_for_url(f"**/#{OMITTED}")
    wait_until_done(page)
    expect(page.locator(".drawer")).to_contain_text("too long for the address")
    page.reload()
    wait_until_done(page)
    assert text_of(page) == TEXT
    dialog = open_share(page)
    expect(dialog).to_contain_text("Your text is too long for this link")
    short = create_link(page)
    stored = open_page("/" + short.split("/", 3)[3])
    assert text_of(stored) == TEXT
    expect(stored.get_by_role("alert")).to_have_count(0)
    copied = open_page(f"/#{OMITTED}")
    expect(copied.get_by_role("alert")).to_contain_text("the text is too long for this link")
    assert text_of(copied) != TEXT
    page.keyboard.press("Escape")
    page.go_back()
    wait_until_done(page)
    assert text_of(page) != TEXT
