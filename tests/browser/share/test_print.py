"""Paper: white with dark ink whatever the theme, figures too, no card cut, nothing that only a hand could use."""

import re
import zlib
from io import BytesIO

import httpx
import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from mhc_core.figures.methods import METHODS
from mhc_core.figures.style import THEMES
from mhc_scope.presets import PRESETS
from tests.browser.audit import audit, grow
from tests.browser.conftest import OpenPage, to_css, to_rgb, wait_until
from tests.browser.share.test_standalone import open_findings, open_sections
from tests.conftest import Server, compute

pytestmark = pytest.mark.full

PAGE_PX = (297 - 2 * 12) / 25.4 * 96  # A4 within its margins
COLORS = """() => ({
  page: getComputedStyle(document.body).backgroundColor,
  card: getComputedStyle(document.querySelector('.card')).backgroundColor,
  ink: getComputedStyle(document.querySelector('.results-table tbody td')).color,
  mark: document.querySelectorAll('.results-table tbody th .swatch line')[1].getAttribute('stroke'),
  letters: [...new Set([...document.querySelectorAll('.plot')].map((plot) => plot.layout?.font.color))],
  line: document.querySelector('[data-panel=gain] .plot').data.find((trace) => trace.meta.run === 1).line.color,
})"""
LIGHT = {
    "page": "rgb(255, 255, 255)",
    "card": "rgb(255, 255, 255)",
    "ink": to_css(THEMES["light"].ink),
    "mark": METHODS["hc"].light,
    "letters": [THEMES["light"].muted],
    "line": METHODS["hc"].light,
}

LIGHT_THEME, DARK_THEME = THEMES["light"], THEMES["dark"]
RUNS = [METHODS["hc"], METHODS["mhc"]]
DARK_PAGE = "#0e1116"  # of tokens.css
OF_LIGHT = {to_rgb(color) for color in (LIGHT_THEME.ink, LIGHT_THEME.muted, *(method.light for method in RUNS))}
OF_DARK = {to_rgb(color) for color in (DARK_PAGE, DARK_THEME.card, DARK_THEME.ink, *(method.dark for method in RUNS))}


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
    wait_for_figures(page, [DARK_THEME.muted])
    return page


def wait_for_figures(page: Page, inks: list[str]) -> None:
    """Until all figures have letters in these colours: those out of sight are drawn a moment later."""
    wait_until(page, lambda: page.evaluate(COLORS)["letters"] == inks)


@pytest.mark.parametrize("by_hand", [False, True], ids=["system", "chosen"])
def test_a_dark_page_is_printed_in_light(open_page: OpenPage, by_hand: bool) -> None:
    page = open_dark(open_page, by_hand)
    dark = page.evaluate(COLORS)
    assert dark["page"] == to_css(DARK_PAGE)
    printed = colors_of(page.pdf(format="A4", prefer_css_page_size=True))
    assert printed >= OF_LIGHT
    assert not OF_DARK & printed
    expect(page.locator("html.printing")).to_have_count(0)
    wait_for_figures(page, [DARK_THEME.muted])
    assert page.evaluate(COLORS) == dark


def test_the_printed_form_holds_what_paper_can_show(open_page: OpenPage) -> None:
    page = open_dark(open_page, by_hand=False)
    open_findings(page)
    open_sections(page)
    wait_for_figures(page, [DARK_THEME.muted])
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_class("printing")
    assert page.evaluate(COLORS) == LIGHT
    # The name of a run and its findings are buttons whose text paper shows.
    used = (
        "button:not(.sentence, .results-table th button), input, select, textarea, .drawer, dialog, .popover, .banner"
    )
    assert page.locator(used).locator("visible=true").all_inner_texts() == []
    expect(page.locator(".brand")).to_be_visible()
    cards = page.locator(".panel, .cost-card, .picture-card, .strip, .results")
    assert cards.count() > 10
    assert cards.evaluate_all("cards => cards.map((card) => getComputedStyle(card).breakInside)") == ["avoid"] * (
        cards.count()
    )
    assert max(cards.evaluate_all("cards => cards.map((card) => card.getBoundingClientRect().height)")) < PAGE_PX
    findings = page.locator(".results-table .sentence")
    assert findings.count() > 3
    assert all(text.is_visible() for text in findings.all())
    grow(page)
    assert [item for item in audit(page) if item.is_short and item.kind != "target"] == []
    page.emulate_media(media="screen")
    expect(page.locator("html.printing")).to_have_count(0)
    wait_for_figures(page, [DARK_THEME.muted])


def test_paper_has_the_edits_without_their_controls(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual,hc&depth=8&width=16&edits=stream:2:zero:3")
    controls = page.locator(".edits :is(input, button:not(.sentence))").locator("visible=true")
    expect(controls).to_have_count(3)  # switch, remove, atlas
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_class("printing")
    expect(controls).to_have_count(0)
    for text in ("Stream 2 is cut at layer 3", "it runs without this edit", "The state after layer 3 differs"):
        expect(page.locator(".edits").get_by_text(text)).to_be_visible()


def test_what_is_folded_on_a_phone_is_open_on_paper(open_page: OpenPage) -> None:
    preset = next(preset for preset in PRESETS if preset.reference)
    page = open_page(f"/p/{preset.name}", width=390, wait=False)
    source = page.locator(".preset-claim details p").first
    expect(source).to_be_attached()
    expect(source).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.locator("html")).to_have_class("printing")
    expect(source).to_be_visible()


@pytest.mark.parametrize("panel", ["gain", "detail", "cost"])
def test_a_dark_frame_is_printed_in_light(open_page: OpenPage, server: Server, panel: str) -> None:
    kinds = ("residual", "hc", "mhc")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, {"depth": 8, "width": 16, "connection": {"kind": kind}}) for kind in kinds]
        name = http.post("/snapshots", json={"runs": runs, "state": "v=1&depth=8&width=16"}).json()["id"]
    page = open_page(f"/embed/{name}?panel={panel}&theme=dark", theme="light", width=720, wait=False)
    drawn = page.locator(".main-svg")
    expect(drawn.first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    read = (
        "() => [getComputedStyle(document.body).backgroundColor, document.querySelector('.plot')?.layout.paper_bgcolor]"
    )
    dark = [to_css(DARK_THEME.card), None if panel == "cost" else DARK_THEME.card]
    assert page.evaluate(read) == dark
    printed = colors_of(page.pdf(format="A4", prefer_css_page_size=True))
    assert to_rgb(LIGHT_THEME.ink) in printed
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


def test_a_printed_pdf_holds_the_picture(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    pages = PdfReader(BytesIO(page.pdf(format="A4", prefer_css_page_size=True))).pages
    # The card's letters on screen are on canvases, which browsers may print empty.
    words = " ".join(" ".join(sheet.extract_text() for sheet in pages).split())
    assert "Inside layer 3 of HC" in words


@pytest.mark.parametrize("noise", [0.3, 0.5])
def test_the_foot_of_paper_names_the_drift(open_page: OpenPage, noise: float) -> None:
    page = open_page(f"/#v=1&depth=8&connection.noise={noise}")
    page.emulate_media(media="print")
    foot = page.locator(".only-print").filter(has_text="mHC Scope")
    expect(foot).to_contain_text(f"depth 8, width 64, drift {noise}, seed 0")


def test_paper_has_every_column_of_the_results(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    page.emulate_media(media="print")
    table = page.locator(".results > .table-box")
    wait_until(page, lambda: bool(table.evaluate("box => box.scrollWidth <= box.clientWidth + 1")))
    expect(table.get_by_role("columnheader", name="Verified")).to_be_visible()
