"""Contrast and target sizes of the default page: a new colour or a small button must not break them."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit, contrast, grow
from tests.browser.conftest import SETTLED, OpenPage, Watch, open_settings
from tests.browser.look.test_access import SECTIONS

pytestmark = pytest.mark.full

LOOKS = [("dark", 1440), ("light", 390)]  # colours depend on the theme alone, and sizes on the width


@pytest.mark.parametrize(("theme", "width"), LOOKS, ids=[f"{theme}-{width}" for theme, width in LOOKS])
def test_the_default_page_can_be_read_and_touched(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page(f"/#v=1&connection.init=lucidrains&open={SECTIONS}", theme=theme, width=width)
    grow(page)
    found = audit(page)
    for kind, least in {"text": 100, "part": 6, "curve": 10, "target": 20}.items():
        assert sum(item.kind == kind for item in found) > least, kind
    assert [item for item in found if item.is_short] == []
    if width == 390:
        page.set_viewport_size({"width": width, "height": 844})
        open_settings(page)
        wait_until_still(page)
        assert [item for item in audit(page, "#settings") if item.is_short] == []


def wait_until_still(page: Page) -> None:
    """Until nothing moves or fades in: what has just been opened begins to move a frame later."""
    page.evaluate(SETTLED)
    page.wait_for_function("document.getAnimations().every((one) => one.playState !== 'running')")


def test_results_of_earlier_runs_remain_legible(open_page: OpenPage, watch: Watch) -> None:
    """Axe cannot tell: behind the table is a gradient."""
    watch.allow("status of 422")
    page = open_page("/#v=1&depth=8&block.heads=7", wait=False)
    expect(page.locator(".results tr.stale")).to_have_count(3)  # of the opening view
    page.locator(".results-table").scroll_into_view_if_needed()
    page.get_by_role("button", name="B HC", exact=True).locator("visible=true").click()
    expect(page.locator("tr.findings:visible")).to_have_count(1)
    wait_until_still(page)
    found = audit(page, ".results-table tbody")
    assert sum(item.kind == "text" for item in found) > 20
    assert [item for item in found if item.is_short] == []


WORSE = {
    "text": ".meaning { color: #8a8a8a !important; }",
    "text in figures": ".plot text { fill: #8a8a8a !important; }",
    "part": "input { border-color: #cccccc !important; }",
    "curve": ".js-line { stroke: #f0b090 !important; }",
    "target": ".card-tools .icon { min-width: 0 !important; width: 14px; padding: 0 !important; margin-left: -3px; }",
}


@pytest.mark.parametrize("what", WORSE)
def test_what_is_made_worse_is_found(see_page: OpenPage, what: str) -> None:
    page = see_page("/#v=1&depth=8&open=mixing", theme="light")
    grow(page)
    if what == "part":
        open_settings(page)
        grow(page)  # the drawer can be longer than the page
        wait_until_still(page)
    style = page.add_style_tag(content=WORSE[what])
    assert {item.kind for item in audit(page) if item.is_short} == {what.split()[0]}
    style.evaluate("style => style.remove()")


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=5e-3)
