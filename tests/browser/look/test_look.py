"""How the page looks and can be used: widths, themes, keyboard, tables, exports."""

import base64
import re
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import (
    OpenPage,
    choose_more,
    create_link,
    expect_layer,
    open_section_of,
    wait_until,
    wait_until_done,
    wait_until_drawn,
)
from tests.browser.page.test_page import at_cursor, curves
from tests.conftest import Server

SPEC = {"depth": 6, "connection": {"kind": "hc", "streams": 3}}


@pytest.mark.full
@pytest.mark.parametrize(("theme", "card"), [("dark", "rgb(21, 26, 33)"), ("light", "rgb(255, 255, 255)")])
def test_figures_follow_the_theme_of_the_system(see_page: OpenPage, theme: str, card: str) -> None:
    page = see_page("/#v=1&depth=8&open=similarity", theme=theme)
    wait_until_drawn(page, "similarity")
    paper = "document.querySelector('[data-panel=similarity] .plot').layout.paper_bgcolor"
    back = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.evaluate(back) == card
    red, green, blue = (int(part) for part in re.findall(r"\d+", card))
    assert page.evaluate(paper) == f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.full
def test_a_chosen_theme_is_kept(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=4&width=16&open=similarity", theme="dark")
    choose_more(page, "Theme: as the system")
    paper = "document.querySelector('[data-panel=similarity] .plot').layout.paper_bgcolor"
    page.locator("[data-panel=similarity]").scroll_into_view_if_needed()
    wait_until(page, lambda: page.evaluate(paper) == "#ffffff")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    wait_until_done(page)


def cursor_left(page: Page, panel: str) -> float:
    """Where a panel's cursor line stands once it is drawn, in pixels."""
    wait_until_drawn(page, panel)
    # In one look: a cursor that is drawn anew is another element.
    left: float = page.evaluate(
        "panel => document.querySelector(`[data-panel=${panel}] .cursor-x`).getBoundingClientRect().x", panel
    )
    return left


def test_the_keyboard_moves_one_cursor_through_all_panels(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=12&runs=residual,hc")
    slider = page.get_by_role("slider", name="Layer", exact=True)
    slider.focus()
    slider.press("Home")
    expect_layer(page, 1, 12)
    first = {panel: cursor_left(page, panel) for panel in ("gain", "activation")}
    numbers = at_cursor(page)
    for _ in range(9):
        slider.press("ArrowRight")
    expect_layer(page, 10, 12)
    page.wait_for_url(re.compile(r"#v=1&.*&layer=10$"))
    assert at_cursor(page) != numbers
    for panel, left in first.items():
        assert cursor_left(page, panel) > left + 10
    line = curves(page, "gain")[1]
    said = page.locator("[data-panel=gain] .at-cursor").inner_text()
    assert said.startswith("at 10: ")
    assert f"{10 ** line['y'][9]:.3g}" in said


NAME_OF_FOCUS = """(() => {
  const { id, textContent } = document.activeElement;
  return document.activeElement.getAttribute('aria-label') ?? (id || textContent.trim());
})()"""


@pytest.mark.full
def test_everything_can_be_reached_by_the_keyboard(see_page: OpenPage) -> None:
    page = see_page(theme="dark")
    page.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(110):
        page.keyboard.press("Tab")
        names.append(page.evaluate(NAME_OF_FOCUS))
    for wanted in (
        "Examples",
        "All settings",
        "field-depth",
        "Gain, forward: what it shows",
        "Gain, forward: more",
    ):
        assert wanted in names


def test_help_opens_and_closes(see_page: OpenPage) -> None:
    page = see_page(theme="dark")
    page.get_by_role("button", name="Gain, forward: what it shows").click()
    popover = page.locator(".popover:popover-open")
    expect(popover).to_contain_text("arXiv 2512.24880")
    page.keyboard.press("Escape")
    expect(popover).to_have_count(0)


def test_linear_and_log(see_page: OpenPage) -> None:
    page = see_page(theme="dark")
    for scale, low, high in (("Linear", 100, 1e5), ("Logarithmic", 2, 10)):
        page.get_by_role("button", name="Gain, forward: more").click()
        page.locator(".popover:popover-open").get_by_role("button", name=f"{scale} scale").click()
        expect(page.locator("[data-panel=gain] .plot .main-svg").first).to_be_visible()
        wait_until(page, partial(is_between, page, low, high))


def is_between(page: Page, low: float, high: float) -> bool:
    return low < max(hc_gain(page)) < high


def hc_gain(page: Page) -> list[float]:
    """The curve of HC, on the scale of the axis."""
    (line,) = (line for line in curves(page, "gain") if re.search(r"\bHC$", line["name"]))
    return list(line["y"])


def show_figure(page: Page, card: Locator) -> None:
    """Turn a card's table back."""
    card.get_by_role("button", name=re.compile(": more$")).click()
    page.get_by_role("button", name="Show the figure").locator("visible=true").click()
    expect(card.locator(".plot .main-svg").first).to_be_attached()


@pytest.mark.sample(5)
@pytest.mark.parametrize("panel", ["gain", "cka", "mixing", "detail", "streams"])
def test_every_figure_has_its_table(see_page: OpenPage, panel: str) -> None:
    page = see_page("/#v=1&depth=8")
    open_section_of(page, panel)
    card = page.locator(f"[data-panel={panel}]")
    card.get_by_role("button", name=re.compile(": more$")).click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    rows = card.locator("tbody tr")
    expect(rows).to_have_count(10 if panel == "detail" else 8)  # two matrices of four rows with their column sums
    assert all(text.strip() for text in rows.first.locator("td").all_text_contents())
    show_figure(page, card)


@pytest.mark.full
@pytest.mark.parametrize(
    ("item", "ending", "start"),
    [("PNG", "png", b"\x89PNG"), ("SVG", "svg", b"<svg"), ("CSV", "csv", b"layer,"), ("JSON", "json", b"{")],
)
def test_a_figure_can_be_taken_away(see_page: OpenPage, tmp_path: Path, item: str, ending: str, start: bytes) -> None:
    page = see_page("/#v=1&depth=8")
    page.get_by_role("button", name="Gain, forward: more").click()
    with page.expect_download() as waiting:
        page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{item}")).click()
    path = tmp_path / "figure"
    waiting.value.save_as(path)
    assert waiting.value.suggested_filename == f"mhc-scope-gain.{ending}"
    body = path.read_bytes()
    assert body.startswith(start)
    assert len(body) > 200


@pytest.mark.full
def test_numbers_in_a_picture_are_black_or_white(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/#v=1&depth=6&runs=hc,mhc", theme="light")
    wait_until_drawn(page, "detail")
    card = page.locator("[data-panel=detail]")
    card.scroll_into_view_if_needed()
    card.get_by_role("button", name=re.compile(": more$")).click()
    with page.expect_download() as taken:
        page.locator(".popover:popover-open").get_by_role("button", name="SVG").click()
    taken.value.save_as(tmp_path / "figure.svg")
    picture = (tmp_path / "figure.svg").read_text()
    numbers = re.findall(r'<g class="textpoint"[^>]*>\s*<text[^>]*style="([^"]*)"[^>]*>([−\d.]+)</text>', picture)
    assert len(numbers) == 2 * 4 * 4
    inks = {re.search(r"(?<!-)fill: ([^;]+);", style)[1] for style, _ in numbers}  # type: ignore[index]
    assert inks == {"rgb(0, 0, 0)", "rgb(255, 255, 255)"}
    assert "heatmap-label" not in picture


@pytest.mark.full
def test_an_embedded_panel(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=hc,mhc")
    name = create_link(page).rsplit("/", 1)[1]
    embedded = open_page(f"/embed/{name}?panel=activation&theme=dark", wait=False)
    expect(embedded.locator("[data-panel]")).to_have_count(1)
    expect(embedded.locator(".plot .main-svg").first).to_be_visible()
    assert curves(embedded, "activation") == curves(page, "activation")


def drawn(page: Page) -> int:
    """How many figures hold a drawing."""
    count: int = page.locator(".plot-box .plot .main-svg:first-child").count()
    return count


EVERY_SECTION = "open=mixing,similarity,training,cost,expert"


def check_paper(page: Page) -> None:
    """Print: every figure is there, as wide as its place on the paper."""
    page.evaluate("""() => addEventListener('beforeprint', () => {
        const boxes = [...document.querySelectorAll('.plot-box')];
        window.printed = boxes.map((box) => [box.querySelector('.plot').layout?.width ?? 0, box.clientWidth]);
    })""")
    page.pdf()
    printed = page.evaluate("window.printed")
    assert len(printed) == page.locator(".chart, .panel").count()
    assert all(width == room for width, room in printed), printed
    charts = page.locator(".chart").count()
    assert all(300 < room <= 350 for _, room in printed[:charts]), printed
    assert all(600 < room <= 700 for _, room in printed[charts:]), printed


@pytest.mark.full
def test_paper_holds_figures_that_nobody_has_scrolled_to(open_page: OpenPage) -> None:
    page = open_page(f"/#v=1&depth=8&{EVERY_SECTION}", height=500)
    check_paper(page)
    assert page.evaluate("document.documentElement.className") == ""
    page.locator("[data-panel=gain]").scroll_into_view_if_needed()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    # Or the figures keep the width of the paper.
    wait_until(page, lambda: page.evaluate("document.querySelector('[data-panel=gain] .plot').layout.width") < 600)


@pytest.mark.full
def test_a_picture_of_the_whole_page_holds_all_figures(open_page: OpenPage) -> None:
    page = open_page(f"/#v=1&depth=8&{EVERY_SECTION}", height=500)
    expect(page.locator("[data-panel=detail] .plot .main-svg").first).to_be_attached()
    assert drawn(page) == page.locator(".chart, .panel").count()
    assert page.evaluate("scrollY") == 0


@pytest.mark.full
def test_a_sentence_points_at_its_figure(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", height=700)
    page.locator(".results-table").get_by_role("button", name="B HC", exact=True).click()
    card = page.locator("#findings-1")
    pointed = page.locator(".chart.pointed, .panel.pointed")
    for word, panel in (("amplifies", "gain"), ("Activations", "activation"), ("gradient", "gradient")):
        card.locator(".sentence", has_text=word).first.hover()
        expect(pointed).to_have_count(1)
        expect(pointed).to_have_attribute("data-panel", panel)
    sentence = card.locator(".sentence", has_text="gradient").first
    page.mouse.move(0, 0)
    expect(pointed).to_have_count(0)
    sentence.focus()
    expect(pointed).to_have_attribute("data-panel", "gradient")
    page.keyboard.press("Enter")
    expect(page.locator("[data-panel=gradient] .plot")).to_be_in_viewport(ratio=0.9)


@pytest.mark.full
@pytest.mark.parametrize(("view", "metric"), [("activation", "act_rms_streams"), ("gradient", "grad_rms_streams")])
def test_streams_are_those_of_the_interface(see_page: OpenPage, server: Server, view: str, metric: str) -> None:
    page = see_page("/#v=1&depth=6&runs=residual,hc&connection.streams=3&open=mixing")
    card = page.locator("[data-panel=streams]")
    card.get_by_role("button", name=view).click()
    expect(card.locator(".plot .main-svg").first).to_be_visible()
    run = httpx.post(f"{server.api}/runs", json=SPEC).json()["id"]
    packed = httpx.get(f"{server.api}/runs/{run}/result.json?arrays=packed").json()["layers"][metric]
    measured = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).reshape(6, 3)
    wait_until_drawn(page, "streams")
    lines = curves(page, "streams")[1]["y"]
    streams = [[10**value for value in lines[7 * k : 7 * k + 6]] for k in range(3)]
    assert np.transpose(streams) == pytest.approx(measured, rel=1e-5)
    assert lines[6] is None, "one stream's line does not run into the next"
    card.get_by_role("button", name=re.compile(": more$")).click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    heads = card.locator("thead th").all_text_contents()
    assert [head for head in heads if head.startswith(f"B HC, {view}")] == [f"B HC, {view} {k}" for k in (1, 2, 3)]
    column = heads.index(f"B HC, {view} 2")
    cell = card.locator("tbody tr").nth(3).locator("th, td").nth(column).text_content() or ""
    if "×" not in cell:
        assert float(cell.replace("−", "-")) == pytest.approx(measured[3][1], rel=1e-3)
    show_figure(page, card)


@pytest.mark.full
def test_values_of_streams_at_the_cursor_say_which_stream(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=6&runs=residual,hc,mhc&connection.streams=3&layer=4&open=mixing")
    card = page.locator("[data-panel=streams]")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, "streams")
    run = httpx.post(f"{server.api}/runs", json=SPEC).json()["id"]
    packed = httpx.get(f"{server.api}/runs/{run}/result.json?arrays=packed").json()["layers"]["act_rms_streams"]
    sizes = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).reshape(6, 3)[3]
    said = card.locator(".at-cursor b").all_text_contents()
    hc = [text for text in said if re.search(r"\(stream \d\)$", text)]
    assert [int(text[-2]) for text in hc] == [int(np.argmax(sizes)) + 1, int(np.argmin(sizes)) + 1]
    assert [float(text.partition("(")[0]) for text in hc] == pytest.approx([max(sizes), min(sizes)], rel=1e-3)
    assert [text for text in said if text.endswith("(all 3 streams)")], "those of mHC start alike and stay so"
    assert len([text for text in said if "stream" not in text]) == 1, "a residual stack has no streams to name"
