"""The atlas of all cuts: computed, read, clicked, moved over with keys, and the same after a reload."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_done
from tests.browser.look.test_access import audit

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=residual,mhc&depth=12&width=16&layer=4&edits=stream:2:zero:3"
STREAMS = 4


def find_cell(page: Page, stream: int, layer: int) -> tuple[float, float]:
    """The middle of a cell: the line of the cursor spans a layer and all streams."""
    cursor = page.locator(".atlas-cursor").bounding_box()
    assert cursor is not None
    at = int(page.get_by_role("slider", name="Layer", exact=True).input_value())
    return cursor["x"] + cursor["width"] * (0.5 + layer - at), cursor["y"] + cursor["height"] * (stream - 0.5) / STREAMS


def test_every_cut_is_mapped_read_made_an_edit_undone_and_found_again(open_page: OpenPage) -> None:
    page = open_page(VIEW, height=1100)
    page.locator(".edits").get_by_role("button", name="Map every cut").click()
    cells, said = page.locator(".atlas-box"), page.locator("#atlas-cell")
    expect(page.locator(".atlas")).to_be_focused()
    expect(cells).to_be_visible()
    expect(page.locator(".atlas-progress")).to_have_count(0)
    page.wait_for_url(re.compile("view.atlas=zero"))
    spot = find_cell(page, stream=3, layer=7)
    page.mouse.move(*spot)
    expect(said).to_contain_text(
        re.compile(r"B mHC: Stream 3 is cut at layer 7: the last state differs by [\d.]+ %, the loss")
    )
    page.mouse.click(*spot)
    page.wait_for_url(re.compile("edits=stream:2:zero:3,stream:3:zero:7"))
    wait_until_done(page)
    expect(page.locator(".edits li")).to_have_count(2)
    audit(page, "the map", page.locator("main"))
    page.get_by_role("button", name="Undo").click()
    wait_until_done(page)
    expect(page.locator(".edits li")).to_have_count(1)
    # Keys move the cell and the layer of all figures; Enter makes the edit, and removes it.
    cells.focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider", name="Layer", exact=True).input_value() == "8"
    expect(said).to_contain_text("Stream 3 is cut at layer 8")
    page.get_by_role("group", name="What a cut does").get_by_role("button", name="no mixing").click()
    page.wait_for_url(re.compile("view.atlas=identity"))
    expect(page.locator(".atlas")).to_contain_text("A Residual has one stream")
    cells.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("h_res:3:identity:8"))
    wait_until_done(page)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("edits=stream:2:zero:3&"))
    wait_until_done(page)
    # The same numbers after a reload, as a table.
    page.reload()
    wait_until_done(page)
    page.get_by_role("button", name="Every single cut: more").click()
    page.get_by_role("button", name="Show as table").click()
    table = page.get_by_role("region", name="Every single cut, table")
    expect(table.locator("thead th")).to_have_text(["layer", *(f"B mHC, stream {stream}" for stream in range(1, 5))])
    expect(table.locator("tbody tr")).to_have_count(12)
    page.get_by_role("button", name="Close the atlas").press("Enter")
    expect(page.get_by_role("button", name="Map every cut")).to_be_focused()
