"""The page of families: its links open the comparison, and it can be read in both themes and on a phone."""

from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.audit import audit
from tests.browser.conftest import OpenPage, choose_more, wait_until_done
from tests.browser.look.test_access import looks
from tests.conftest import Server

pytestmark = pytest.mark.full


def test_a_family_is_added_to_the_comparison_from_the_menu(open_page: OpenPage) -> None:
    page = open_page("/")
    choose_more(page, "Families")
    expect(page.get_by_role("heading", name="How layers can be connected")).to_be_visible()
    compare = page.locator("#kromhc").get_by_role("link", name="Compare")
    expect(compare).to_be_hidden()
    page.emulate_media(media="print")
    expect(compare).to_be_visible()
    page.emulate_media(media="screen")
    page.locator("#kromhc summary").click()
    compare.click()
    wait_until_done(page)
    names = page.locator(".results-table tbody th").all_text_contents()
    assert names == ["A Residual", "B HC", "C mHC", "D KromHC"]


@looks
def test_the_page_can_be_read(
    visitor: BrowserContext, server: Server, theme: Literal["light", "dark"], width: int
) -> None:
    page = visitor.new_page()
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 7000})
    page.goto(f"{server.url}/families")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("details").evaluate_all("all => all.forEach((item) => { item.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = audit(page)
    assert sum(item.kind == "text" for item in found) > 100
    assert [item for item in found if item.is_short] == []
    page.close()
