"""A server that computes for those with a token alone: a person signs in, and comes back to the same view."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Watch, load_page, wait_until_done
from tests.browser.look.test_access import audit
from tests.conftest import Server
from tests.service.conftest import start_service
from tests.service.ownership.conftest import give_token

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where those without a token look only."""
    running = start_service(tmp_path_factory.mktemp("reading"), "--no-precompute", "--anonymous", "read")
    yield running
    running.kill()


def test_who_is_refused_signs_in_and_goes_on(browser: Browser, reading: Server) -> None:
    watch = Watch(reading.url)
    watch.allow("401")
    page = load_page(browser.new_context(), watch, "/#v=1&depth=7&width=16", wait=False)
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("Access token required.")
    refused.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    audit(page, "sign in")
    page.get_by_label("Access token").fill("no token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This server does not know the token.")
    page.get_by_label("Access token").fill(give_token(reading.data))
    page.keyboard.press("Enter")
    wait_until_done(page)
    expect(page.locator("output[for=field-depth]")).to_have_text("7")
    page.goto(f"{reading.url}/sign-in")
    expect(page.get_by_text("with the right to run")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    watch.check()
