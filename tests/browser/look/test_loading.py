"""A page loads what it runs, all at once, and leaves the rest until it is asked for."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Watch, wait_until_done
from tests.conftest import Server, compute

# Our modules that were loaded, and those that the page named beforehand, without the hash of their addresses.
MODULES = """() => {
    const ours = (urls) => {
        const paths = urls.map((url) => new URL(url).pathname).filter((path) => /^\\/static\\/.*\\.js$/.test(path));
        return [...new Set(paths.map((path) => path.split('/').slice(3).join('/')))].sort();
    };
    const loaded = performance.getEntriesByType('resource').map(({ name }) => name);
    const named = [...document.querySelectorAll('link[rel=modulepreload], script[src]')];
    return [ours(loaded), ours(named.map((item) => item.src || item.href))];
}"""


def find_modules(page: Page) -> tuple[list[str], list[str]]:
    loaded, named = page.evaluate(MODULES)
    return loaded, named


@pytest.mark.parametrize("path", ["/#v=1&runs=mhc&depth=6&width=16", "/embed/{run}?panel=gain"])
def test_a_page_names_beforehand_what_it_runs(open_page: OpenPage, server: Server, path: str) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 6, "width": 16})
    page = open_page(path.format(run=run), wait=False)
    expect(page.locator(".plot .main-svg").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    loaded, named = find_modules(page)
    assert len(named) > 20
    assert loaded == named


def test_what_makes_the_map_comes_with_the_map(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=6&width=16")
    wait_until_done(page)
    assert "js/map/map.js" not in find_modules(page)[0]
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_role("dialog", name="Map")).to_be_visible()
    assert "js/map/map.js" in find_modules(page)[0]


def test_a_part_that_does_not_come_says_what_to_do(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 404")
    page = open_page("/#v=1&runs=mhc&depth=6&width=16")
    wait_until_done(page)
    page.route("**/js/map/map.js", lambda route: route.fulfill(status=404, body=""))
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.get_by_text("did not come from the server. Reload the page to try again.")).to_be_visible()
