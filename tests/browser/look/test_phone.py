"""On a phone nothing is cut off, and a slider and what it changes are visible together."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import (
    OpenPage,
    choose_more,
    open_section_of,
    open_settings,
    wait_until_done,
    wait_until_drawn,
)

pytestmark = pytest.mark.full

# Left, top, right and bottom of elements, in pixels.
BOXES = """elements => elements.map((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return [left, top, right, bottom];
})"""


def cover(one: list[float], other: list[float]) -> bool:
    """Whether two boxes have more than a line in common."""
    sides = [min(one[end], other[end]) - max(one[end - 2], other[end - 2]) for end in (2, 3)]
    return min(sides) > 1


def test_a_phone_needs_no_sideways_scrolling(see_page: OpenPage) -> None:
    page = see_page("/", width=390, height=844)
    for panel in ("gain", "cka", "mixing", "detail"):
        open_section_of(page, panel)
        page.locator(f"[data-panel={panel}]").scroll_into_view_if_needed()
        expect(page.locator(f"[data-panel={panel}] .plot .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scrolled = page.locator(".cost-card .table-box, .card-head, .card-tools")
    assert scrolled.evaluate_all("boxes => boxes.filter((box) => box.scrollWidth > box.clientWidth).length") == 0


@pytest.mark.parametrize("width", [390, 320])
def test_the_picture_stays_above_the_sliders(open_page: OpenPage, width: int) -> None:
    page = open_page("/#v=1&depth=8", width=width, height=844)
    page.locator("[data-panel=gradient]").scroll_into_view_if_needed()
    picture = page.locator(".picture-card").bounding_box()
    assert picture is not None
    assert picture["y"] == pytest.approx(0, abs=1), "it is at the top while its sliders and charts pass"
    assert picture["height"] <= 0.45 * 844
    depth = page.get_by_role("slider", name="Depth", exact=True)
    page.locator(".picture-card").evaluate("card => card.parentElement.scrollIntoView()")
    for name in ("Depth", "Streams", "Drift σ"):
        expect(page.get_by_role("slider", name=name)).to_be_in_viewport(ratio=1)
    depth.press("ArrowRight")
    wait_until_done(page)
    expect(page.locator("output[for=field-depth]")).to_have_text("9")


@pytest.mark.parametrize("width", [390, 320])
def test_curves_fill_half_of_the_screen(see_page: OpenPage, width: int) -> None:
    page = see_page("/#v=1&depth=8", width=width, height=844)
    for panel in ("gain", "gain_bwd", "activation", "gradient"):
        wait_until_drawn(page, panel)
        box = page.locator(f"#panel-{panel} .plot .nsewdrag").first.bounding_box()
        assert box is not None
        assert box["width"] > width / 2


def test_the_drawer_leaves_the_picture_in_sight_and_closes(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    opener = page.get_by_role("button", name="All settings")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".drawer")).to_be_visible()
    drawer = open_settings(page)
    picture, sheet = (part.bounding_box() for part in (page.locator(".picture-box"), drawer))
    assert picture is not None
    assert sheet is not None
    assert sheet["y"] - picture["y"] > 150
    drawer.get_by_role("slider", name="Depth", exact=True).press("ArrowRight")
    wait_until_done(page)
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(opener).to_be_focused()
    expect(page.locator("output[for=field-depth]")).to_have_text("9")


def test_share_and_the_menu_are_in_the_bar_of_a_phone(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    bar = page.locator(".topbar").bounding_box()
    assert bar is not None
    assert bar["height"] <= 48
    for name in ("Examples", "Sweep", "Share", "1: One stream"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_in_viewport(ratio=1)
    choose_more(page, "Help")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="More", exact=True)).to_be_focused()


def test_values_at_the_cursor_are_whole_on_a_phone(open_page: OpenPage) -> None:
    page = open_page("/#v=1&layer=2", width=390)
    open_section_of(page, "streams")
    for panel in ("gain", "gradient", "streams"):
        card = page.locator(f"[data-panel={panel}]")
        card.scroll_into_view_if_needed()
        for layer in (2, 33, 40, 64):
            page.get_by_role("slider", name="Layer", exact=True).fill(str(layer))
            wait_until_drawn(page, panel)
            expect(card.locator(".at-cursor")).to_contain_text(f"at {layer}: ")
            values = card.locator(".at-cursor b").evaluate_all(BOXES)
            [(left, _, right, _)] = card.locator(".plot-box").evaluate_all(BOXES)
            tools = card.locator(".card-tools button").evaluate_all(BOXES)
            assert len(values) > 2
            assert [value for value in values if value[0] < left - 1 or value[2] > right + 1] == [], layer
            assert [value for value in values if any(cover(value, tool) for tool in tools)] == [], layer


# Whether words of the results' head are cut at the right edge of their box, and whether they hide the shadow there.
HEADS = """box => {
    const edge = box.getBoundingClientRect().right;
    return [...box.querySelectorAll('thead th')].map((head) => {
        const range = document.createRange();
        range.selectNodeContents(head);
        const { left, right } = range.getBoundingClientRect();
        const { backgroundColor } = getComputedStyle(head);
        return { isCut: left < edge && right > edge, hidesShadow: backgroundColor !== 'rgba(0, 0, 0, 0)' };
    });
}"""


@pytest.mark.parametrize("width", [390, 430])
def test_columns_of_the_results_are_whole_on_a_phone(see_page: OpenPage, width: int) -> None:
    page = see_page("/", width=width, height=844)
    heads = page.locator(".results .table-box").evaluate(HEADS)
    assert len(heads) == 7
    assert [head for head in heads if head["isCut"] or head["hidesShadow"]] == []


def test_numbers_of_an_axis_stay_clear_of_the_values_above_on_a_phone(see_page: OpenPage) -> None:
    page = see_page("/", width=390, height=844)
    for panel in ("gain", "gain_bwd", "activation", "gradient"):
        page.locator(f"#panel-{panel}").scroll_into_view_if_needed()
        wait_until_drawn(page, panel)
        [(_, _, _, bottom)] = page.locator(f"#panel-{panel} .chart-head").evaluate_all(BOXES)
        ticks = page.locator(f"#panel-{panel} .ytick text").evaluate_all(BOXES)
        assert min(top for _, top, _, _ in ticks) >= bottom, panel


# How many pixels of the magnified layer are drawn within so many pixels of the right edge, and in the whole of it.
DRAWN = """(canvas, [top_px, edge_px]) => {
    const scale = canvas.width / canvas.getBoundingClientRect().width;
    const top = canvas.height - Math.round(top_px * scale);
    const { data, width } = canvas.getContext('2d').getImageData(0, top, canvas.width, canvas.height - top);
    const drawn = [];
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) drawn.push(((at - 3) / 4) % width);
    return [drawn.filter((x) => x >= width - edge_px * scale).length, drawn.length];
}"""


def test_words_inside_a_layer_end_before_the_padding_of_the_card(open_page: OpenPage) -> None:
    page = open_page("/", width=390, height=844)
    page.get_by_role("button", name="Inside layer 17").click()
    wait_until_done(page)
    canvas = page.locator(".picture-box canvas").nth(1)
    inside_px, padding_px = 450, 18  # below the line that parts it from the strips
    assert canvas.bounding_box()["height"] > inside_px + 200  # type: ignore[index]
    at_edge, all_drawn = canvas.evaluate(DRAWN, [inside_px, padding_px])
    assert all_drawn > 1000
    assert at_edge == 0


def test_long_names_end_inside_the_small_charts_and_leave_room_for_curves(open_page: OpenPage) -> None:
    edits = "B.edits=h_res:identity:1-24&C.edits=h_res:identity:1-12,h_res:2:swap:3:20"
    page = open_page(f"/#v=1&runs=mhc,mhc,mhc&depth=48&layer=20&{edits}", width=390, height=844)
    charts = page.locator(".strip .plot-box")
    expect(charts).to_have_count(4)
    shortened = 0
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        [(left, _, right, _)] = chart.evaluate_all(BOXES)
        names = chart.locator(".annotation")
        expect(names.first).to_be_attached()
        for name, box in zip(names.all_text_contents(), names.evaluate_all(BOXES), strict=True):
            assert box[0] >= left - 1, name
            assert box[2] <= right + 1, name
            shortened += name in ("A mHC", "B mHC", "C mHC")
        plot = chart.locator(".nsewdrag").first.bounding_box()
        assert plot is not None
        assert plot["width"] >= 0.3 * (right - left)
    assert shortened >= 4, "in every chart at least one name does not fit as a whole"
