"""Back closes the sweep and stays on the page."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, create_link, wait_until_done
from tests.browser.look.test_access import press
from tests.browser.sweep.test_sweep import dialog_of

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=hc&depth=4&width=16"


def test_back_closes_the_sweep(open_page: OpenPage) -> None:
    page = open_page("/docs", wait=False)
    page.goto(page.url.replace("/docs", VIEW))
    wait_until_done(page)
    opened = page.url
    press(page, "Sweep")
    expect(dialog_of(page)).to_be_visible()
    page.go_back()
    expect(dialog_of(page)).not_to_be_visible()
    assert page.url == opened
    page.go_forward()
    expect(dialog_of(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog_of(page)).not_to_be_visible()
    page.wait_for_url(opened)
    page.go_back()
    page.wait_for_url("**/docs")


def test_back_closes_the_sweep_on_a_snapshot(open_page: OpenPage) -> None:
    link = create_link(open_page(VIEW))
    page = open_page("/s/" + link.rsplit("/", 1)[1])
    press(page, "Sweep")
    expect(dialog_of(page)).to_be_visible()
    page.go_back()
    expect(dialog_of(page)).not_to_be_visible()
    assert page.url == link


def test_forward_right_after_back_shows_the_sweep_again(open_page: OpenPage) -> None:
    """The browser reports the close of the dialog only when Forward has opened it again."""
    page = open_page(VIEW)
    press(page, "Sweep")
    expect(dialog_of(page)).to_be_visible()
    for delay_ms in (0, 1, 5, 10, 20, 40):
        page.evaluate(
            """(delay_ms) => new Promise((done) => {
                const goOn = () => setTimeout(() => history.forward(), delay_ms);
                addEventListener('popstate', goOn, { once: true });
                history.back();
                setTimeout(done, 500);
            })""",
            delay_ms,
        )
        expect(dialog_of(page)).to_be_visible()
