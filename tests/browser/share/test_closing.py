"""The Share dialog stays closed once it was closed, also while a link is on its way."""

from playwright.sync_api import Route, expect

from tests.browser.conftest import OpenPage

VIEW = "/#v=1&depth=8&width=16"


def test_a_dialog_that_was_closed_while_a_link_was_made_stays_closed(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    page.get_by_role("button", name="Share", exact=True).click()
    dialog = page.get_by_role("dialog", name="Share")
    link = dialog.get_by_label("Link to the snapshot")
    expect(link).to_contain_text("/s/")
    before = link.text_content() or ""
    held: list[Route] = []
    page.route("**/snapshots", lambda route: held.append(route))
    dialog.get_by_label("Title").fill("Made too late")
    dialog.get_by_role("button", name="Link with this title and note").click()
    page.wait_for_timeout(100)
    assert len(held) == 1
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    with page.expect_response("**/snapshots") as answered:
        held[0].continue_()
    assert answered.value.ok
    page.wait_for_timeout(300)
    expect(dialog).to_be_hidden()
    assert page.evaluate("navigator.clipboard.readText()") == before, "what no one waits for takes no place"
    page.unroute("**/snapshots")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(link).to_have_text(before)
