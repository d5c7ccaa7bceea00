"""The Share dialog stays closed once it was closed, also while a link is on its way."""

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import OpenPage, create_link, open_share

pytestmark = pytest.mark.full

VIEW = "/#v=1&depth=8&width=16"


def test_a_dialog_that_was_closed_while_a_link_was_made_stays_closed(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    dialog = open_share(page)
    held: list[Route] = []
    page.route("**/snapshots", lambda route: held.append(route))
    dialog.get_by_role("button", name="Create link").click()
    page.wait_for_timeout(100)
    assert len(held) == 1
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    with page.expect_response("**/snapshots") as answered:
        held[0].continue_()
    assert answered.value.ok
    page.wait_for_timeout(300)
    expect(dialog).to_be_hidden()
    page.unroute("**/snapshots")
    assert "/s/" in create_link(page)
