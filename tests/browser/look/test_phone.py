"""On a phone nothing is cut off, and settings and bars leave room to the figures."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_until_done, wait_until_drawn

SPEC = {"depth": 6, "connection": {"kind": "hc", "streams": 3}}


@pytest.mark.full
def test_a_phone_needs_no_sideways_scrolling(open_page: OpenPage) -> None:
    page = open_page(width=390, height=844)
    for panel in ("gain", "cka", "mixing", "detail"):
        page.locator(f"[data-panel={panel}]").scroll_into_view_if_needed()
        expect(page.locator(f"[data-panel={panel}] .plot .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scrolled = page.locator(".cost-card .table-box, .card-head, .card-tools")
    assert scrolled.evaluate_all("boxes => boxes.filter((box) => box.scrollWidth > box.clientWidth).length") == 0


def test_settings_of_a_phone_leave_a_figure_in_sight(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    settings = page.get_by_role("button", name="Settings", exact=True)
    depth = page.get_by_role("slider", name="Depth", exact=True)
    expect(depth).not_to_be_visible()
    settings.focus()
    page.keyboard.press("Enter")
    page.locator("[data-panel=gain]").evaluate("card => card.scrollIntoView()")
    expect(depth).to_be_in_viewport(ratio=1)
    sheet = page.locator("#settings").bounding_box()
    card = page.locator("[data-panel=gain] .plot-box").bounding_box()
    assert sheet is not None
    assert card is not None
    assert sheet["y"] - card["y"] > 120, "the figure is seen above the sheet"
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Close settings")).to_be_focused()
    depth.press("ArrowRight")
    wait_until_done(page)
    expect(page.locator(".scrubber label")).not_to_contain_text("/ 8")
    page.keyboard.press("Escape")
    expect(depth).not_to_be_visible()
    expect(settings).to_be_focused()
    settings.click()
    page.set_viewport_size({"width": 1200, "height": 844})
    expect(page.locator("#settings:popover-open")).to_have_count(0)
    expect(depth).to_be_visible()


@pytest.mark.full
def test_bars_leave_a_phone_to_the_figures(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    heights = [page.locator(bar).bounding_box() for bar in (".topbar", ".scrubber")]
    assert sum(box["height"] for box in heights if box) < 100
    page.mouse.wheel(0, 1500)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_in_viewport()
    expect(page.locator(".readout")).not_to_be_visible()
    page.get_by_role("button", name="Values at this layer").click()
    expect(page.locator(".readout tbody tr")).to_have_count(3)
    expect(page.locator(".readout")).to_be_visible()
    more = page.get_by_role("button", name="Presets, share and more")
    more.click()
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("dialog", name="Share")).to_contain_text("Create link")
    page.keyboard.press("Escape")
    expect(more).to_be_focused()


@pytest.mark.full
def test_values_at_the_cursor_are_whole_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("/#v=1&layer=2", width=390)
    card = page.locator("[data-panel=streams]")
    card.scroll_into_view_if_needed()
    read = "labels => labels.map((label) => (({ left, right }) => [left, right])(label.getBoundingClientRect()))"
    for layer in (2, 33, 40, 64):
        page.get_by_role("slider", name="Layer").fill(str(layer))
        expect(page.locator(".scrubber label").first).to_contain_text(f"Layer {layer} / 64")
        wait_until_drawn(page, "streams")
        labels = card.locator(".cursor-value").evaluate_all(read)
        [(left, right)] = card.locator(".plot-box").evaluate_all(read)
        assert len(labels) > 2
        assert [label for label in labels if label[0] < left or label[1] > right] == [], layer
