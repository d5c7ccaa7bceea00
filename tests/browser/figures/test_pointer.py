"""A pointer over one figure: all cards show the layer under it."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import OpenPage, Watch, expect_layer, load_page, wait_until, wait_until_drawn
from tests.browser.figures.test_cards import card_of

pytestmark = pytest.mark.full

VIEW = "/#v=1&depth=24&width=16&runs=residual,hc,mhc&layer=6"
# Where a card's lines of cursors stand, as layers.
PLACES = """card => {
    const plot = card.querySelector('.plot');
    const { _offset, _length, range: [low, high] } = plot._fullLayout.xaxis;
    return [...card.querySelectorAll('.cursor-x')].map((line) => {
        const x = line.offsetLeft + 0.5 - _offset;
        return Math.round(low + (x / _length) * (high - low));
    });
}"""


def move_to(page: Page, panel: str, share: float) -> None:
    """Put the pointer over a figure that is in sight."""
    box = page.locator(f"[data-panel={panel}] .plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.3 * box["height"])


def values(card: Locator) -> list[str]:
    return card.locator(".at-cursor b").all_text_contents()


def test_all_cards_show_the_layer_under_the_pointer_and_forget_it(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    gain, activation = card_of(page, "gain"), card_of(page, "activation")
    for panel in ("gain", "activation"):
        wait_until_drawn(page, panel)
    before, glass = values(gain), page.locator(".picture-box").get_attribute("aria-label")
    move_to(page, "activation", 0.65)
    wait_until(page, lambda: gain.evaluate(PLACES) == [6, 16])
    assert activation.evaluate(PLACES) == [6, 16]
    assert values(gain) != before
    expect_layer(page, 6, 24)
    assert page.locator(".picture-box").get_attribute("aria-label") == glass, "words follow the cursor alone"
    page.mouse.move(2, 2)
    wait_until(page, lambda: gain.evaluate(PLACES) == [6])
    assert values(gain) == before

    picture = page.locator(".picture-box")
    picture.scroll_into_view_if_needed()
    lens = picture.locator("canvas").nth(1)
    still = lens.evaluate("canvas => canvas.toDataURL()")
    box = picture.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60)
    wait_until(page, lambda: lens.evaluate("canvas => canvas.toDataURL()") != still)


def test_the_lines_of_cursors_pass_behind_words_and_the_pointers_label(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    for panel in ("activation", "cka"):
        card = card_of(page, panel)
        wait_until_drawn(page, panel)
        move_to(page, panel, 0.5)
        ranks = card.evaluate(
            """card => ['.cursor-x', '.main-svg:has(.hoverlayer)', '.main-svg:has(.infolayer)']
                .map((name) => Number(getComputedStyle(card.querySelector(name)).zIndex))"""
        )
        assert ranks[0] < min(ranks[1:])
        # Nothing between them makes ranks count for less.
        assert card.locator(".overlay").evaluate("overlay => getComputedStyle(overlay).zIndex") == "auto"
        assert card.locator(".plot").evaluate("plot => getComputedStyle(plot).zIndex") == "auto"
    word = card_of(page, "activation").locator(".annotation-text").first
    assert word.evaluate("word => getComputedStyle(word).stroke === getComputedStyle(document.body).backgroundColor")


def test_under_a_finger_values_stand_below_the_figure(browser: Browser, watch: Watch) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True)
    page = load_page(context, watch, VIEW, width=390, height=844)
    for panel, told in (("cka", r"layers (\d+) and \d+, CKA [\d.]+"),):
        card = card_of(page, panel)
        wait_until_drawn(page, panel)
        box = card.locator(".plot .nsewdrag").first.bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
        strip = card.locator(".touched")
        expect(strip).to_contain_text(re.compile(told))
        expect(card.locator(".hoverlayer")).to_be_hidden()
        below = strip.bounding_box()
        figure = card.locator(".plot-box").bounding_box()
        assert below is not None
        assert figure is not None
        assert below["y"] >= figure["y"] + figure["height"] - 1
        found = re.search(told, strip.text_content() or "")
        assert found is not None
        expect_layer(page, int(found[1]), 24)
    context.close()
    watch.check()
