"""The map: a grid of runs on the page, by mouse, by keyboard and by link."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, Watch, wait_until_done
from tests.browser.test_access import audit, looks, press
from tests.browser.test_keyboard import focus, tab_to
from tests.conftest import Server

BASE = "/#v=1&depth=8&width=32"
SMALL = f"{BASE}&map=B&map.x=depth,2,4,6&map.y=connection.streams,2,3&map.metric=composite_gain_fwd&map.reduce=max"


def dialog_of(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Map")


def wait_for_cells(page: Page, cells: int) -> None:
    """Until every cell is done and drawn."""
    dialog = dialog_of(page)
    expect(dialog.get_by_role("status")).to_have_text(f"{cells} of {cells} runs", timeout=60_000)
    expect(dialog.locator("[data-cell]").first).to_be_visible()


def numbers(page: Page) -> list[list[str]]:
    """The cells as they say it, row by row from the first value of y."""
    texts = [cell.get_attribute("aria-label") or "" for cell in dialog_of(page).locator("[data-cell]").all()]
    parts = [text.rsplit(": ", 1) for text in texts]
    rows = sorted({place for place, _ in parts})
    assert len(rows) == len(parts), "each cell has a place of its own"
    return parts


def test_a_map_is_chosen_computed_and_a_cell_opened(open_page: OpenPage, server: Server) -> None:
    page = open_page(BASE)
    press(page, "Map")
    dialog = dialog_of(page)
    expect(dialog.get_by_role("combobox", name="Across: setting")).to_have_value("depth")
    expect(dialog.get_by_role("combobox", name="Up: setting")).to_have_value("connection.streams")
    expect(dialog.get_by_role("combobox", name="Run")).to_contain_text("B HC")
    dialog.get_by_role("textbox", name="Across: values").fill("2, 4, 6")
    dialog.get_by_role("textbox", name="Up: values").fill("2 3")
    dialog.get_by_role("textbox", name="Up: values").press("Tab")
    expect(dialog.locator(".map-acts .cost")).to_contain_text("≈")
    dialog.get_by_role("button", name="Compute 6 runs").click()
    wait_for_cells(page, 6)
    # The same numbers over HTTP, from runs posted alone.
    told = dict(numbers(page))
    with httpx.Client(base_url=server.api, timeout=30) as http:
        spec = {"depth": 6, "width": 32, "connection": {"kind": "hc", "streams": 3}}
        posted = http.post("/runs", json=spec)
        assert posted.status_code == 200, "the cell is that run"
        gains = http.get(f"/runs/{posted.json()['id']}/result").json()["layers"]["composite_gain_fwd"]
    assert float(told["Depth 6, Expansion rate n 3"]) == pytest.approx(max(gains), rel=1e-3)
    # Another number of the same runs needs none of them again.
    dialog.get_by_role("combobox", name="Number").select_option("effective_rank")
    expect(dialog.locator("[data-cell]").first).not_to_have_attribute(
        "aria-label", re.compile(re.escape(told["Depth 2, Expansion rate n 2"]))
    )
    assert "map.metric=effective_rank" in page.url
    cell = dialog.get_by_role("button", name=re.compile("^Depth 6, Expansion rate n 3:"))
    cell.click()
    expect(dialog).not_to_be_visible()
    wait_until_done(page)
    expect(page.get_by_role("spinbutton", name="Depth, exact")).to_have_value("6")
    expect(page.get_by_role("spinbutton", name="Expansion rate n, exact")).to_have_value("3")
    assert "map" not in page.url
    page.go_back()
    expect(dialog).to_be_visible()


def test_a_link_opens_the_map(open_page: OpenPage) -> None:
    page = open_page(SMALL, wait=False)
    wait_for_cells(page, 6)
    page.keyboard.press("Escape")
    expect(dialog_of(page)).not_to_be_visible()
    assert "map" not in page.url
    wait_until_done(page)


def test_the_map_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page(BASE)
    tab_to(page, "Map")
    page.keyboard.press("Enter")
    tab_to(page, "Across: values")
    page.keyboard.type("2, 4, 6")
    tab_to(page, "Up: values")
    page.keyboard.type("2, 3")
    tab_to(page, "Compute 6 runs")
    page.keyboard.press("Enter")
    wait_for_cells(page, 6)
    page.locator("[data-cell='0,0']").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert focus(page).startswith("Depth 4, Expansion rate n 3: ")
    page.keyboard.press("Enter")
    expect(dialog_of(page)).not_to_be_visible()
    wait_until_done(page)
    expect(page.get_by_role("spinbutton", name="Depth, exact")).to_have_value("4")
    expect(page.get_by_role("spinbutton", name="Expansion rate n, exact")).to_have_value("3")


def test_the_table_says_what_the_cells_say(open_page: OpenPage) -> None:
    page = open_page(SMALL, wait=False)
    wait_for_cells(page, 6)
    told = [number for _, number in numbers(page)]
    dialog_of(page).get_by_role("button", name="Table").click()
    assert dialog_of(page).locator("tbody td").all_text_contents() == told


def test_cancel_keeps_what_is_done(open_page: OpenPage) -> None:
    slow = SMALL.replace("depth,2,4,6", "depth,2,300,310,320,330,340").replace("width=32", "width=64&input.batch=8")
    page = open_page(slow, wait=False)
    dialog = dialog_of(page)
    expect(dialog.get_by_role("status")).to_contain_text(re.compile(r"^[1-9] of 12 runs"), timeout=60_000)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("status")).to_contain_text("cancelled")
    expect(dialog.get_by_role("button", name=re.compile("^Compute 12 runs"))).to_be_enabled()
    expect(dialog.get_by_role("button", name=re.compile("^Depth 2, Expansion rate n 2: [0-9]"))).to_be_visible()


def test_what_would_be_refused_says_so_before_it_is_asked_for(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 422")
    page = open_page(BASE)
    press(page, "Map")
    values = dialog_of(page).get_by_role("textbox", name="Across: values")
    values.fill("2, 2000")
    values.press("Tab")
    expect(dialog_of(page).locator(".map-acts")).to_contain_text("depth: got 2000, wanted an integer from 1 to 1024")


def test_a_grid_that_is_refused_says_which_field(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 422")
    page = open_page(SMALL.replace("streams,2,3", "streams,2,99"), wait=False)
    expect(dialog_of(page).get_by_role("alert")).to_contain_text(
        "connection.streams: got 99, wanted an integer from 1 to 16"
    )


@looks
def test_axe_finds_nothing_in_the_map(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page(SMALL, theme=theme, width=width, wait=False)
    wait_for_cells(page, 6)
    audit(page, "figure")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dialog_of(page).get_by_role("button", name="Table").click()
    audit(page, "table")
