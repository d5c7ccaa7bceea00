"""The lens of a run: opened from its menu, as charts and tables."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.page.test_compared import choose_for_run

pytestmark = pytest.mark.full


def test_the_lens_of_a_run_is_shown_as_charts_and_tables(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual,hc&depth=3&width=16")
    choose_for_run(page, "B", "Lens")
    rows = page.get_by_role("region", name="Read-out at each layer, table").locator("tbody tr")
    expect(rows).to_have_count(4, timeout=30_000)
    expect(rows.last.locator("td").first).to_have_text("0")
    expect(page.get_by_role("img", name="Divergence from the final output by layer")).to_be_visible()
    expect(page.get_by_role("img", name="Accuracy for the next token by layer").locator("polyline")).to_have_count(4)
    page.locator(".lens summary").first.click()
    expect(page.get_by_role("region", name="Accuracy for the position, table").locator("tbody tr")).to_have_count(4)
