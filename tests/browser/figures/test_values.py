"""The values at the cursor are in the title of each chart, in the colours of the runs."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_until, wait_until_drawn

VIEW = "/#v=1&connection.init=mhc_lite&depth=24&width=16&layer=5"
STRIP = ("gain", "gain_bwd", "activation", "gradient")


@pytest.mark.full
def test_the_charts_have_one_cursor_and_their_values_in_their_titles(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    tops = {round(page.locator(f"#panel-{panel}").bounding_box()["y"]) for panel in STRIP}  # type: ignore[index]
    assert len(tops) == 1, "side by side"
    for panel in STRIP:
        wait_until_drawn(page, panel)
        values = page.locator(f"#panel-{panel} .at-cursor")
        expect(values).to_have_text(re.compile(r"^at 5: \S+ · \S+ · \S+$"))
        colors = values.locator("b").evaluate_all("all => all.map((item) => getComputedStyle(item).color)")
        assert len(set(colors)) == 3
    gain = page.locator("#panel-gain .at-cursor")
    assert re.search(r"^at 5: 1\.00 ", gain.inner_text()), "the residual network"


@pytest.mark.full
def test_charts_are_level_if_the_values_of_one_take_two_lines(see_page: OpenPage) -> None:
    page = see_page(VIEW, width=1085)
    for panel in STRIP:
        wait_until_drawn(page, panel)
    heads = page.locator(".strip .at-cursor").evaluate_all("all => all.map((head) => head.clientHeight)")
    assert len(set(heads)) > 1
    boxes = [box.bounding_box() for box in page.locator(".strip .plot-box").all()]
    assert len({box["y"] for box in boxes if box}) == 1


@pytest.mark.full
def test_a_chart_says_at_its_axis_what_its_numbers_are_of(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    said = {"gain": "mixing alone", "gain_bwd": "mixing alone", "activation": "mean of streams"}
    for panel, words in (said | {"gradient": "sum over streams"}).items():
        wait_until_drawn(page, panel)
        axis = page.locator(f"#panel-{panel} .annotation-text", has_text=words)
        expect(axis).to_have_count(1)
        box, chart, values = (
            part.bounding_box()
            for part in (axis, page.locator(f"#panel-{panel}"), page.locator(f"#panel-{panel} .ytick text").first)
        )
        assert box is not None
        assert chart is not None
        assert values is not None
        assert box["height"] > box["width"], "along the axis"
        assert chart["x"] <= box["x"]
        half_px = 7  # of its letters: the box has room for lines above and below
        assert box["x"] + box["width"] / 2 + half_px <= values["x"], panel


# How far the numbers of a chart's upright axis are from its left edge, and the words on curves from its right.
ROOMS = """chart => {
    const edges = (item) => item.getBoundingClientRect();
    const { left, right } = edges(chart);
    const ticks = [...chart.querySelectorAll('.ytick text')].map((text) => edges(text).left - left);
    const words = [...chart.querySelectorAll('.annotation-text')].map((text) => right - edges(text).right);
    return [Math.min(...ticks), Math.min(...words)];
}"""


@pytest.mark.full
@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(
    "view",
    [
        "depth=16&view.gradient=linear&view.activation=linear&view.gain=linear",
        "depth=64&connection.noise=0",
        "depth=256&connection.noise=1&runs=hc",
    ],
)
def test_numbers_and_words_of_a_small_chart_are_whole(open_page: OpenPage, view: str, width: int) -> None:
    page = open_page(f"/#v=1&width=16&{view}", width=width)
    for panel in STRIP:
        page.locator(f"#panel-{panel}").scroll_into_view_if_needed()
        wait_until_drawn(page, panel)
        ticks, words = page.locator(f"#panel-{panel}").evaluate(ROOMS)
        assert ticks >= 2, panel
        assert words >= 0, panel


@pytest.mark.full
def test_the_tools_of_a_chart_cover_none_of_its_values(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    chart = page.locator("#panel-gradient")
    chart.hover()
    tools, title = chart.locator(".card-tools").bounding_box(), chart.locator(".chart-head").bounding_box()
    assert tools is not None
    assert title is not None
    assert tools["y"] + tools["height"] <= title["y"] + 1
    chart.get_by_role("button", name="what it shows").click()
    about = page.locator(".popover:popover-open")
    expect(about).to_be_visible()
    assert about.evaluate("box => box.scrollWidth <= box.clientWidth + 1"), "its sentences wrap"
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)


def test_pointing_at_a_chart_moves_the_values_of_all_and_shows_no_tooltip(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    box = page.locator("#panel-gain .plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.4 * box["height"])
    wait_until(page, lambda: "at 22:" in page.locator("#panel-gain .at-cursor").inner_text())
    for panel in STRIP:
        expect(page.locator(f"#panel-{panel} .at-cursor")).to_contain_text("at 22:")
    expect(page.locator(".hoverlayer .hovertext, .hoverlayer .legend")).to_have_count(0)
    page.mouse.move(2, 2)
    expect(page.locator("#panel-gain .at-cursor")).to_contain_text("at 5:")


@pytest.mark.full
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_title_leaves_its_chart(see_page: OpenPage, width: int) -> None:
    page = see_page(VIEW, width=width, height=844)
    for panel in STRIP:
        wait_until_drawn(page, panel)
        chart, values = (page.locator(f"#panel-{panel}{part}").bounding_box() for part in ("", " .at-cursor"))
        assert chart is not None
        assert values is not None
        assert values["x"] + values["width"] <= chart["x"] + chart["width"] + 1
