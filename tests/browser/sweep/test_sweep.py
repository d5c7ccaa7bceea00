"""Sweeps: a grid of runs on the page, by mouse, by keyboard and by link."""

import csv
import io
import math
import re
from pathlib import Path

import httpx
import plotly.io
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import OpenPage, Watch, create_link, wait_until_done
from tests.browser.look.test_access import audit, looks, press
from tests.browser.look.test_keyboard import focus, tab_to
from tests.conftest import Server

BASE = "/#v=1&depth=8&width=32"
SMALL = f"{BASE}&map=B&map.x=depth,2,4,6&map.y=connection.streams,2,3&map.metric=composite_gain_fwd&map.reduce=max"


def dialog_of(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Sweep")


def wait_for_cells(page: Page, cells: int) -> None:
    """Until every cell is done and drawn."""
    dialog = dialog_of(page)
    expect(dialog.get_by_role("status")).to_have_text(f"{cells} of {cells} runs", timeout=60_000)
    expect(dialog.locator("[data-cell]").first).to_be_visible()


def numbers(page: Page) -> list[list[str]]:
    """The cells as they say it, row by row from the top of the figure."""
    texts = [cell.get_attribute("aria-label") or "" for cell in dialog_of(page).locator("[data-cell]").all()]
    parts = [text.rsplit(": ", 1) for text in texts]
    rows = sorted({place for place, _ in parts})
    assert len(rows) == len(parts), "each cell has a place of its own"
    return parts


def test_a_sweep_is_chosen_computed_and_a_cell_opened(open_page: OpenPage, server: Server) -> None:
    page = open_page(BASE)
    press(page, "Sweep")
    dialog = dialog_of(page)
    expect(dialog.get_by_role("combobox", name="x axis: setting")).to_have_value("depth")
    expect(dialog.get_by_role("combobox", name="y axis: setting")).to_have_value("connection.streams")
    expect(dialog.get_by_role("combobox", name="Run")).to_contain_text("B HC")
    dialog.get_by_role("textbox", name="x axis: values").fill("2, 4, 6")
    dialog.get_by_role("textbox", name="y axis: values").fill("2 3")
    dialog.get_by_role("textbox", name="y axis: values").press("Tab")
    expect(dialog.locator(".sweep-acts .cost")).to_contain_text("about ")
    dialog.get_by_role("button", name="Compute 6 runs").click()
    wait_for_cells(page, 6)
    # The same numbers over HTTP, from runs posted alone.
    shown = dict(numbers(page))
    with httpx.Client(base_url=server.api, timeout=30) as http:
        spec = {"depth": 6, "width": 32, "connection": {"kind": "hc", "streams": 3}}
        posted = http.post("/runs", json=spec)
        assert posted.status_code == 200, "the cell is that run"
        gains = http.get(f"/runs/{posted.json()['id']}/result").json()["layers"]["composite_gain_fwd"]
    assert float(shown["Depth 6, Streams 3"]) == pytest.approx(max(gains), rel=1e-3)
    # Another number of the same runs needs none of them again.
    dialog.get_by_role("combobox", name="Metric").select_option("effective_rank")
    expect(dialog.locator("[data-cell]").first).not_to_have_attribute(
        "aria-label", re.compile(re.escape(shown["Depth 2, Streams 2"]))
    )
    assert "map.metric=effective_rank" in page.url
    cell = dialog.get_by_role("button", name=re.compile("^Depth 6, Streams 3:"))
    cell.click()
    expect(dialog).not_to_be_visible()
    wait_until_done(page)
    expect(page.locator("output[for=field-depth]")).to_have_text("6")
    expect(page.locator("output[for=field-connection-streams]")).to_have_text("3")
    assert "map" not in page.url
    page.go_back()
    expect(dialog).to_be_visible()


@pytest.mark.full
def test_a_link_opens_the_sweep(open_page: OpenPage) -> None:
    page = open_page(SMALL, wait=False)
    wait_for_cells(page, 6)
    page.keyboard.press("Escape")
    expect(dialog_of(page)).not_to_be_visible()
    expect(page).not_to_have_url(re.compile("map"))  # the address follows the view a moment later
    wait_until_done(page)


@pytest.mark.full
def test_what_is_being_typed_stays_when_the_choices_are_drawn_anew(open_page: OpenPage) -> None:
    """The list of numbers comes from the server while values are typed already."""
    page = open_page(BASE)
    held: list[Route] = []
    page.route("**/metrics-catalogue", lambda route: held.append(route))
    page.get_by_role("button", name="Sweep", exact=True).click()
    values = dialog_of(page).get_by_role("textbox", name="x axis: values")
    values.fill("2, ")
    page.wait_for_timeout(100)
    held[0].continue_()
    expect(dialog_of(page).get_by_role("option", name="Effective rank")).to_be_attached()
    expect(values).to_have_value("2, ")
    values.press_sequentially("4, 6")
    expect(values).to_have_value("2, 4, 6")


@pytest.mark.full
def test_the_sweep_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page(BASE)
    tab_to(page, "Sweep")
    page.keyboard.press("Enter")
    tab_to(page, "x axis: values")
    page.keyboard.type("2, 4, 6")
    tab_to(page, "y axis: values")
    page.keyboard.type("2, 3")
    tab_to(page, "Compute 6 runs")
    page.keyboard.press("Enter")
    wait_for_cells(page, 6)
    page.locator("[data-cell='0,0']").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert focus(page).startswith("Depth 4, Streams 3: ")
    for key, place in {
        "End": "6, Streams 3",
        "Control+Home": "2, Streams 3",
        "Control+End": "6, Streams 2",
    }.items():
        page.keyboard.press(key)
        assert focus(page).startswith(f"Depth {place}: ")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(dialog_of(page)).not_to_be_visible()
    wait_until_done(page)
    expect(page.locator("output[for=field-depth]")).to_have_text("4")
    expect(page.locator("output[for=field-connection-streams]")).to_have_text("3")


@pytest.mark.full
def test_the_table_says_what_the_cells_say(see_page: OpenPage) -> None:
    page = see_page(SMALL)
    wait_for_cells(page, 6)
    shown = [number for _, number in numbers(page)]
    dialog_of(page).get_by_role("button", name="Table").click()
    assert dialog_of(page).locator("tbody td").all_text_contents() == shown
    assert dialog_of(page).locator("tbody th").all_text_contents() == ["3", "2"], "in the figure's order"
    dialog_of(page).get_by_role("button", name="Table").click()


@pytest.mark.full
def test_cancel_keeps_what_is_done(open_page: OpenPage) -> None:
    slow = SMALL.replace("depth,2,4,6", "depth,2,300,310,320,330,340").replace("width=32", "width=64&input.batch=8")
    page = open_page(slow, wait=False)
    dialog = dialog_of(page)
    expect(dialog.get_by_role("status")).to_contain_text(re.compile(r"^[1-9] of 12 runs"), timeout=60_000)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("status")).to_contain_text("cancelled")
    expect(dialog.get_by_role("button", name=re.compile("^Compute 12 runs"))).to_be_enabled()
    expect(dialog.get_by_role("button", name=re.compile("^Depth 2, Streams 2: [0-9]"))).to_be_visible()
    # Another theme and another number are of what is there: nothing more is computed.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    with page.expect_request(re.compile("figure.*theme=light")):
        page.emulate_media(color_scheme="light")
    with page.expect_request(re.compile("figure.*metric=effective_rank")):
        dialog.get_by_role("combobox", name="Metric").select_option("effective_rank")
    expect(dialog.locator("[aria-busy=true]")).to_have_count(0)
    expect(dialog.get_by_role("status")).to_contain_text("cancelled")
    assert not [line for line in asked if line.startswith("POST")]


@pytest.mark.full
def test_what_would_be_refused_says_so_before_it_is_asked_for(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 422")
    page = open_page(BASE)
    press(page, "Sweep")
    values = dialog_of(page).get_by_role("textbox", name="x axis: values")
    values.fill("2, 2000")
    values.press("Tab")
    expect(dialog_of(page).locator(".sweep-acts")).to_contain_text("Depth must be a whole number from 1 to 1024.")


@pytest.mark.full
def test_a_grid_that_is_refused_says_which_field(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 422")
    page = open_page(SMALL.replace("streams,2,3", "streams,2,99"), wait=False)
    expect(dialog_of(page).get_by_role("alert")).to_contain_text("Streams must be a whole number from 1 to 16.")


def share_sweep(page: Page) -> Locator:
    """Share, opened from the sweep's own menu."""
    dialog_of(page).get_by_role("button", name="Sweep: more").click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile("^Embed")).click()
    share = page.get_by_role("dialog", name="Share")
    expect(share).to_be_visible()
    create_link(page)
    return share


def open_stored(open_page: OpenPage, server: Server, share: Locator) -> tuple[Page, list[str]]:
    """The link that Share gives, in another page, and what that page asks the server for."""
    link = share.get_by_label("Snapshot link").text_content() or ""
    page = open_page("/docs", wait=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.removeprefix(server.url)}"))
    page.goto(link)
    return page, asked


@pytest.mark.full
def test_a_sweep_is_shared_and_opens_as_it_was(open_page: OpenPage, server: Server) -> None:
    page = open_page(SMALL)
    wait_for_cells(page, 6)
    shown = numbers(page)
    share = share_sweep(page)
    expect(share.get_by_label("Embed code")).to_contain_text("panel=map")
    stored, asked = open_stored(open_page, server, share)
    dialog = dialog_of(stored)
    expect(dialog.get_by_role("status")).to_have_text("6 of 6 runs, from this snapshot")
    expect(dialog.locator("[data-cell]")).to_have_count(6)
    assert numbers(stored) == shown
    dialog.get_by_role("combobox", name="Metric").select_option("effective_rank")
    expect(dialog.locator("[data-cell]").first).not_to_have_attribute("aria-label", ": ".join(shown[0]))
    dialog.get_by_role("button", name="Close").click()
    press(stored, "Sweep")
    expect(dialog.locator("[aria-busy=true]")).to_have_count(0)
    assert numbers(stored) == shown, "the button opens the sweep that was stored"
    assert not [line for line in asked if line.startswith("POST /api/v1/runs/sweep ")]
    assert not [line for line in asked if re.match("POST .*/sweep$", line)], "nothing is computed"
    # Shared again it is the same link, and a cell opens its run.
    again = share_sweep(stored)
    assert again.get_by_label("Snapshot link").text_content() == share.get_by_label("Snapshot link").text_content()
    stored.keyboard.press("Escape")
    dialog.get_by_role("button", name=re.compile("^Depth 4, Streams 3:")).click()
    wait_until_done(stored)
    expect(stored.locator("output[for=field-depth]")).to_have_text("4")


@pytest.mark.full
def test_a_sweep_that_is_shared_half_done_says_what_is_missing(open_page: OpenPage, server: Server) -> None:
    slow = SMALL.replace("depth,2,4,6", "depth,2,301,311,321").replace("width=32", "width=64&input.batch=8")
    page = open_page(slow, wait=False)
    expect(dialog_of(page).get_by_role("status")).to_contain_text(re.compile("^[1-9] of 8 runs"), timeout=60_000)
    dialog_of(page).get_by_role("button", name="Cancel").click()
    expect(dialog_of(page).get_by_role("status")).to_contain_text("cancelled")
    wait_until_done(page)
    stored, _ = open_stored(open_page, server, share_sweep(page))
    dialog = dialog_of(stored)
    shown = re.compile(r"^([1-7]) of 8 runs; (\d) not computed, from this snapshot$")
    expect(dialog.get_by_role("status")).to_have_text(shown)
    expect(dialog.get_by_role("button", name="Depth 321, Streams 3: cancelled")).to_be_visible()
    expect(dialog.get_by_role("button", name="Compute 8 runs")).to_be_enabled()


@pytest.mark.full
def test_a_sweep_is_taken_along_in_numbers_and_pictures(see_page: OpenPage, tmp_path: Path) -> None:
    page = see_page(SMALL)
    wait_for_cells(page, 6)
    taken = {}
    for title, name in {"CSV": "csv", "JSON": "json", "SVG": "svg", "PNG": "png"}.items():
        dialog_of(page).get_by_role("button", name="Sweep: more").click()
        with page.expect_download() as loading:
            page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{title}")).click()
        assert loading.value.suggested_filename == f"mhc-scope-sweep.{name}"
        loading.value.save_as(tmp_path / name)
        taken[name] = (tmp_path / name).read_bytes()
    rows = list(csv.DictReader(io.StringIO(taken["csv"].decode())))
    shown = dict(numbers(page))
    assert [row["status"] for row in rows] == ["done"] * 6
    for row in rows:
        place = f"Depth {row['depth']}, Streams {row['connection.streams']}"
        value = float(row["composite_gain_fwd max"])
        assert float(shown[place]) == pytest.approx(value, rel=1e-3)
        assert float(row["log10 composite_gain_fwd max"]) == pytest.approx(math.log10(value))
    drawn = plotly.io.from_json(taken["json"].decode())
    assert [[10**z for z in row] for row in drawn.data[1].z] == [
        pytest.approx([float(row["composite_gain_fwd max"]) for row in part]) for part in (rows[:3], rows[3:])
    ]
    svg = taken["svg"].decode()
    assert "Gain, forward, largest over layers · Depth × Streams" in svg
    assert "mHC Scope · HC, width 32, seed 0, float32 · 6 runs" in svg
    assert taken["png"].startswith(b"\x89PNG")


@pytest.mark.full
@looks
def test_axe_finds_nothing_in_the_sweep(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page(SMALL, theme=theme, width=width, wait=False)
    wait_for_cells(page, 6)
    audit(page, "figure", dialog_of(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dialog_of(page).get_by_role("button", name="Table").click()
    audit(page, "table", dialog_of(page))
