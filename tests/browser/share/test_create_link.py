"""Opening Share publishes nothing: a button creates the link, and Copy alone writes to the clipboard."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, create_link, open_share, wait_until_done

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=hc&depth=4&width=16"
CLIPBOARD = "navigator.clipboard.readText()"


def test_share_stores_and_copies_on_request_only(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    page.evaluate("navigator.clipboard.writeText('mine')")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    dialog = open_share(page)
    expect(dialog.get_by_label("Link to these settings")).to_contain_text("#v=1&runs=hc")
    page.wait_for_timeout(300)
    assert not sent
    dialog.get_by_role("button", name="Create link").click()
    link = dialog.get_by_label("Snapshot link")
    expect(link).to_have_text(re.compile(r"/s/\w+$"))
    assert [url.rsplit("/", 1)[1] for url in sent] == ["snapshots"]
    assert page.evaluate(CLIPBOARD) == "mine"
    dialog.get_by_role("button", name="Copy").first.click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate(CLIPBOARD) == link.text_content()


def test_share_warns_that_a_loopback_link_opens_on_this_computer_alone(open_page: OpenPage) -> None:
    dialog = open_share(open_page(VIEW))
    expect(dialog.locator(".warning")).to_contain_text("127.0.0.1")
    expect(dialog.locator(".warning")).to_contain_text("only works on this computer")


def test_a_snapshot_opens_with_the_story_which_goes_on_from_there(open_page: OpenPage) -> None:
    link = create_link(open_page(VIEW))
    page = open_page("/s/" + link.rsplit("/", 1)[1])
    expect(page.locator("#headline")).to_contain_text("4 layers")
    expect(page.locator(".step-text")).to_contain_text("HC")
    page.locator(".next").click()
    wait_until_done(page)
    expect(page.locator(".step[aria-current=step]")).to_have_count(1)
    assert "/s/" not in page.url
    page.go_back()
    page.wait_for_url(link)
    expect(page.locator("#headline")).to_contain_text("4 layers")
