"""Paper: white with dark ink whatever the theme, figures too, no card cut, nothing that only a hand could use."""

import re
import zlib

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit, grow
from tests.browser.conftest import OpenPage, wait_until
from tests.conftest import Server, compute

PAGE_PX = (297 - 2 * 12) / 25.4 * 96  # A4 within its margins
COLORS = """() => ({
  page: getComputedStyle(document.body).backgroundColor,
  card: getComputedStyle(document.querySelector('.card')).backgroundColor,
  ink: getComputedStyle(document.querySelector('.story-card .sentence')).color,
  mark: getComputedStyle(document.querySelectorAll('.story-card')[1]).borderLeftColor,
  papers: [...new Set([...document.querySelectorAll('.plot')].map((plot) => plot.layout?.paper_bgcolor))],
  line: document.querySelector('[data-panel=gain] .plot').data.find((trace) => trace.meta.run === 1).line.color,
})"""
LIGHT = {
    "page": "rgb(255, 255, 255)",
    "card": "rgb(255, 255, 255)",
    "ink": "rgb(26, 28, 31)",
    "mark": "rgb(184, 71, 24)",
    "papers": ["#ffffff"],
    "line": "#b84718",
}

OF_LIGHT = {(26, 28, 31), (93, 97, 104), (184, 71, 24), (15, 102, 176)}  # ink, muted, orange, blue
OF_DARK = {(19, 21, 24), (27, 30, 35), (232, 234, 237), (242, 139, 80), (92, 176, 240)}  # page, card, ink and the two


def colors_of(pdf: bytes) -> set[tuple[int, ...]]:
    """The colours with which a PDF fills and draws, as 0 to 255."""
    found: set[tuple[int, ...]] = set()
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            text = zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue  # no text: a picture or a font
        for numbers in re.findall(rb"([\d.]+ [\d.]+ [\d.]+) (?:rg|RG)\b", text):
            found.add(tuple(round(255 * float(part)) for part in numbers.split()))
    return found


def open_dark(open_page: OpenPage, by_hand: bool) -> Page:
    """A page that is dark as the system is, or by hand where that is light; all that it asks for has come."""
    page = open_page("/#v=1&depth=8", theme="light" if by_hand else "dark")
    if by_hand:
        page.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.wait_for_load_state("networkidle")
    wait_for_figures(page, ["#1b1e23"])
    return page


def wait_for_figures(page: Page, papers: list[str]) -> None:
    """Until all figures stand on this paper: those out of sight are drawn a moment later."""
    for _ in range(100):
        if page.evaluate(COLORS)["papers"] == papers:
            return
        page.wait_for_timeout(50)
    assert page.evaluate(COLORS)["papers"] == papers


@pytest.mark.full
@pytest.mark.parametrize("by_hand", [False, True], ids=["system", "chosen"])
def test_a_dark_page_is_printed_in_light(open_page: OpenPage, by_hand: bool) -> None:
    page = open_dark(open_page, by_hand)
    dark = page.evaluate(COLORS)
    assert dark["page"] == "rgb(19, 21, 24)"
    printed = colors_of(page.pdf(format="A4", prefer_css_page_size=True))
    assert printed >= OF_LIGHT
    assert not OF_DARK & printed
    expect(page.locator("html.printing")).to_have_count(0)
    wait_for_figures(page, ["#1b1e23"])
    assert page.evaluate(COLORS) == dark


@pytest.mark.full
def test_the_printed_form_holds_what_paper_can_show(open_page: OpenPage) -> None:
    page = open_dark(open_page, by_hand=False)
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_class("printing")
    assert page.evaluate(COLORS) == LIGHT
    used = "button:not(.sentence), input, select, textarea, .controls, dialog, .popover:not(.fold), .banner"
    assert page.locator(used).locator("visible=true").all_inner_texts() == []
    expect(page.locator(".brand")).to_be_visible()
    cards = page.locator(".panel, .cost-card, .story-card")
    assert cards.count() > 10
    assert cards.evaluate_all("cards => cards.map((card) => getComputedStyle(card).breakInside)") == ["avoid"] * (
        cards.count()
    )
    assert max(cards.evaluate_all("cards => cards.map((card) => card.getBoundingClientRect().height)")) < PAGE_PX
    hidden = page.locator(".story-card details .sentence")
    assert hidden.count() > 0
    assert all(text.is_visible() for text in hidden.all()), "what is folded on the screen is open on paper"
    grow(page)
    assert [item for item in audit(page) if item.is_short and item.kind != "target"] == []
    page.emulate_media(media="screen")
    expect(page.locator("html.printing")).to_have_count(0)
    wait_for_figures(page, ["#1b1e23"])


@pytest.mark.full
@pytest.mark.parametrize("panel", ["gain", "detail", "cost"])
def test_a_dark_frame_is_printed_in_light(open_page: OpenPage, server: Server, panel: str) -> None:
    kinds = ("residual", "hc", "mhc")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, {"depth": 8, "width": 16, "connection": {"kind": kind}}) for kind in kinds]
        name = http.post("/snapshots", json={"runs": runs, "state": "v=1&depth=8&width=16"}).json()["id"]
    page = open_page(f"/embed/{name}?panel={panel}&theme=dark", theme="light", width=720, wait=False)
    drawn = page.locator("tbody td, .plot .main-svg")
    expect(drawn.first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    read = (
        "() => [getComputedStyle(document.body).backgroundColor, document.querySelector('.plot')?.layout.paper_bgcolor]"
    )
    dark = ["rgb(27, 30, 35)", None if panel == "cost" else "#1b1e23"]
    assert page.evaluate(read) == dark
    printed = colors_of(page.pdf(format="A4", prefer_css_page_size=True))
    assert (26, 28, 31) in printed
    assert not OF_DARK & printed
    expect(page.locator("html.printing")).to_have_count(0)
    wait_until(page, lambda: page.evaluate(read) == dark)


def test_a_narrow_frame_is_printed_whole(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 8, "width": 16, "connection": {"kind": "hc"}})
        name = http.post("/snapshots", json={"runs": [run], "state": "v=1&runs=hc&depth=8&width=16"}).json()["id"]
    page = open_page(f"/embed/{name}?panel=gain&theme=dark", width=390, wait=False)
    expect(page.locator(".plot .main-svg").first).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_class("embed printing")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".plot").evaluate("plot => plot.layout.width <= innerWidth")
