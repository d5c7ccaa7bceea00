"""A range of layers, chosen on any figure: all cards show it and speak of it."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    OpenPage,
    open_section_of,
    type_setting,
    wait_until,
    wait_until_done,
    wait_until_drawn,
)
from tests.browser.figures.test_cards import card_of, show_table

pytestmark = pytest.mark.full

VIEW = "/#v=1&depth=24&width=16&runs=residual,hc,mhc"
# The first x axis of every plot that counts layers, as it is drawn, outermost layers alone.
SHOWN = """() => Object.fromEntries([...document.querySelectorAll('.panel, .chart')].flatMap((card) => {
    const plot = card.querySelector('.plot');
    const kind = plot?.layout?.meta.layers?.xaxis;
    if (!kind) return [];
    const before = kind === 'sources' ? 1 : 0;
    const [low, high] = plot._fullLayout.xaxis.range.map((place) => place + before);
    return [[card.dataset.panel, [Math.ceil(low), Math.floor(high)]]];
}))"""
ALL = (
    *("gain", "gain_bwd", "activation", "gradient", "similarity", "cka", "mixing", "streams", "unfolded", "theory"),
    "gauge",
)


def drag(page: Page, panel: str, start: float, end: float) -> None:
    """Draw a range over a figure, from one share of its width to another."""
    card_of(page, panel)
    wait_until_drawn(page, panel)
    box = page.locator(f"[data-panel={panel}] .plot .nsewdrag").first.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    for share in (0.25, 0.5, 0.75, 1):
        page.mouse.move(box["x"] + (start + share * (end - start)) * box["width"], y)
    page.mouse.up()


def shown(page: Page) -> dict[str, list[int]]:
    """The layers that each figure shows, once all are drawn."""
    for panel in ALL:
        wait_until_drawn(page, panel)
    found: dict[str, list[int]] = page.evaluate(SHOWN)
    assert set(found) == set(ALL)
    return found


def test_a_zoom_is_one_for_all_cards_and_a_double_click_resets_and_does_nothing_else(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    chip = page.get_by_role("button", name=re.compile("show all layers"))
    cursor = page.get_by_role("slider", name="Layer")
    expect(chip).to_have_count(0)
    drag(page, "gain", 0.37, 0.63)
    expect(chip).to_have_text(re.compile("layers 10–15"))
    page.wait_for_url("**/#*interval=10-15*")
    assert shown(page) == {key: [10, 15] for key in ALL}
    assert (cursor.get_attribute("min"), cursor.get_attribute("max")) == ("10", "15")

    cursor.fill("12")
    page.wait_for_url("**/#*layer=12*")
    box = card_of(page, "activation").locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + 0.9 * box["width"], box["y"] + 20)
    expect(chip).to_have_count(0)
    assert all(layers == [1, 24] for key, layers in shown(page).items() if key != "mixing")
    expect(cursor).to_have_value("12")
    expect(page).to_have_url(re.compile("layer=12(&|$)"))


def test_it_is_clipped_where_the_stack_ends_and_comes_back_with_it(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&interval=10-15")
    chip = page.get_by_role("button", name=re.compile("show all layers"))
    for layers, told in ((12, "layers 10–12"), (8, None), (32, "layers 10–15")):
        type_setting(page, "Depth", layers)
        wait_until_done(page)
        if told:
            expect(chip).to_have_text(re.compile(told))
        else:
            expect(chip).to_have_count(0)


def test_it_is_chosen_and_cleared_by_keyboard(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    cursor = page.get_by_role("slider", name="Layer")
    chip = page.get_by_role("button", name="layers 5–9: show all layers")
    status = page.get_by_role("status")
    for layer, key in (("5", "i"), ("9", "o")):
        cursor.fill(layer)
        cursor.press(key)
    expect(chip).to_be_visible()
    expect(status.filter(has_text="Layers 5 to 9 are shown.")).to_be_attached()
    chip.press("Enter")
    expect(chip).to_have_count(0)
    expect(page.locator("#field-depth")).to_be_focused()
    cursor.press("i")
    expect(page.get_by_role("button", name="layers 9–24: show all layers")).to_be_visible()
    cursor.press("a")
    expect(page.get_by_role("button", name=re.compile("show all layers"))).to_have_count(0)


# What is drawn over the strips, without names and gains.
STRIPS = """canvas => {
    const copy = new OffscreenCanvas(700, 380).getContext('2d');
    copy.drawImage(canvas, -180, 0);
    return copy.getImageData(0, 0, 700, 380).data.reduce((sum, value) => (31 * sum + value) % 1000003, 7);
}"""


def test_the_picture_veils_other_layers_and_a_double_click_on_it_resets(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    canvas = page.locator(".picture-box canvas").nth(1)
    before = canvas.evaluate(STRIPS)
    cursor = page.get_by_role("slider", name="Layer")
    at = cursor.input_value()
    cursor.press("o")
    expect(page.get_by_role("button", name=f"layers 1–{at}: show all layers")).to_be_visible()
    expect(page.locator(".picture-box:not([aria-busy])")).to_be_attached()
    assert canvas.evaluate(STRIPS) != before
    box = page.locator(".picture-box").bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + 0.6 * box["width"], box["y"] + 50)
    expect(page.get_by_role("button", name=re.compile("show all layers"))).to_have_count(0)
    expect(cursor).to_have_value(at)
    expect(page.locator(".picture-box:not([aria-busy])")).to_be_attached()
    page.mouse.move(2, 2)
    wait_until(page, lambda: canvas.evaluate(STRIPS) == before)


def test_composites_sentences_and_readout_speak_of_the_chosen_layers(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&interval=10-15&layer=15&view.detail=interval")
    gain = page.locator("[data-panel=gain]")
    expect(gain.locator(".unit")).to_have_text("layers 10–15")
    detail = card_of(page, "detail")
    expect(detail.get_by_role("heading")).to_have_text("Mixing matrix, layers 10–15")
    open_section_of(page, "theory")
    expect(page.locator("#panel-theory-title")).to_contain_text(", of all layers")
    wait_until_drawn(page, "detail")
    title = detail.locator(".plot").evaluate("plot => plot.layout.xaxis.title?.text || plot.layout.xaxis2.title?.text")
    forward, _ = re.findall(r"gain . ([\d.]+)", title)
    at_cursor = float(gain.locator(".at-cursor b").nth(1).inner_text())
    assert at_cursor == pytest.approx(float(forward), rel=0.01)
    row = page.locator(".results-table tbody tr", has_text="B HC").first
    assert float(row.locator("td").first.inner_text().strip("×\n ")) >= at_cursor, "the largest of these layers"

    expect(page.locator(".results h2")).to_contain_text("layers 10–15")
    page.get_by_role("button", name="B HC", exact=True).click()
    findings = page.locator(".findings:not([hidden])")
    assert findings.locator("h3").all_text_contents() == ["layers 10–15", "all layers"]
    expect(findings).to_contain_text(
        re.compile(r"The product of up to 6 mixing matrices amplifies up to ×[\d.]+ forward and ×[\d.]+ backward\.")
    )
    expect(findings).to_contain_text(re.compile(r"The gradient is .+ at layer 10 than at layer 15"))
    expect(findings).to_contain_text("The product of up to 24 unconstrained mixing matrices")

    rows = show_table(page, gain)
    assert [row[0] for row in rows] == [str(layer) for layer in range(10, 16)]
    expect(gain.locator("thead")).to_contain_text("B HC, gain, layers 10–15")
    page.get_by_role("button", name="layers 10–15: show all layers").press("Enter")
    expect(findings.locator("h3")).to_have_count(0)
    expect(gain.locator(".unit")).to_have_count(0)


def test_what_is_a_median_over_seeds_stays_of_all_layers_and_says_so(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=16&runs=hc,mhc&seeds=3&interval=3-5")
    expect(page.locator("#panel-gain .unit")).to_have_text("of all layers")
    page.get_by_role("button", name="A HC", exact=True).click()
    findings = page.locator(".findings:not([hidden])")
    expect(findings).to_contain_text("over 3 layers in the median of 3 seeds.")
    expect(findings).not_to_contain_text("3 matrices")


def test_the_page_does_not_move_when_what_is_in_sight_takes_the_focus(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    for part in (page.get_by_role("slider", name="Layer"), page.get_by_role("button", name="Share", exact=True)):
        part.focus()
        expect(part).to_be_focused()
        assert page.evaluate("scrollY") == 0
