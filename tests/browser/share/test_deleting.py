"""Who stored a view can delete its link, from the dialog that made it; no one else is offered to."""

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, create_link
from tests.conftest import Server

pytestmark = pytest.mark.full


def open_share(page: Page) -> Locator:
    """The dialog, with a link of what is shown."""
    create_link(page)
    return page.get_by_role("dialog", name="Share")


def test_a_link_is_deleted_where_it_was_made(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=5")
    dialog = open_share(page)
    expect(dialog).to_contain_text("Expires 180 days after its last visit.")
    link = dialog.get_by_label("Snapshot link").text_content() or ""
    assert httpx.get(link).status_code == 200
    dialog.get_by_role("button", name="Delete this link").click()
    dialog.get_by_role("button", name="Keep it").click()
    assert httpx.get(link).status_code == 200
    dialog.get_by_role("button", name="Delete this link").click()
    dialog.get_by_role("button", name="Delete it for everyone").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("The link is deleted.")).to_be_visible()
    assert httpx.get(link).status_code == 404
    # Share makes it anew, and it can be deleted anew.
    expect(open_share(page).get_by_role("button", name="Delete this link")).to_be_visible()
    assert httpx.get(link).status_code == 200


def test_a_link_of_another_is_not_offered_for_deletion(open_page: OpenPage) -> None:
    first = open_page("/#v=1&depth=7")
    open_share(first)
    first.evaluate("localStorage.removeItem('keys')")  # as in another browser
    dialog = open_share(open_page("/#v=1&depth=7"))
    expect(dialog.get_by_role("button", name="Delete this link")).to_have_count(0)
    expect(dialog).to_contain_text("180 days")
