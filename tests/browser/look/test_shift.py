"""What is in sight stays where it is while a page loads: everything takes its room before it is there."""

import pytest
from playwright.sync_api import Browser, ViewportSize

from benchmarks.visit import SHIFTED_PAGES, SHIFTED_SIZES, SHIFTS, TARGET_SHIFT
from tests.browser.conftest import OpenPage, wait_until_done
from tests.conftest import Server

pytestmark = pytest.mark.full


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("size", SHIFTED_SIZES, ids=["1440", "390"])
@pytest.mark.parametrize("path", [*SHIFTED_PAGES, "/#v=1&runs=mhc&depth=8", "/p/no_skip"])
def test_a_page_does_not_move_while_it_loads(
    open_page: OpenPage, browser: Browser, server: Server, path: str, size: ViewportSize
) -> None:
    open_page(path)  # so that its runs are stored, as for most who come
    context = browser.new_context(viewport=size)  # with an empty cache
    page = context.new_page()
    page.add_init_script(SHIFTS)
    page.goto(server.url + path)
    wait_until_done(page)
    page.wait_for_load_state("networkidle")
    shifts = page.evaluate("window.shifts")
    context.close()
    assert sum(shift["value"] for shift in shifts) <= TARGET_SHIFT, shifts
