"""Single cards of the page: what each shows beyond its curves."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage


def card_of(page: Page, panel: str) -> Locator:
    """A panel's card, in sight and drawn."""
    card = page.locator(f"[data-panel={panel}]")
    card.scroll_into_view_if_needed()
    expect(card.locator(".plot .main-svg").first).to_be_visible()
    return card


def show_table(page: Page, card: Locator) -> list[list[str]]:
    """The rows of a card's table, once it has been turned over."""
    card.get_by_role("button", name=re.compile(": more$")).click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    return [row.locator("th, td").all_text_contents() for row in card.locator("tbody tr").all()]


def test_unfolded_connections_of_a_residual_and_a_plain_stack(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&layer=4&runs=residual,none&block.kind=mlp")
    rows = show_table(page, card_of(page, "unfolded"))
    assert rows == [
        ["embedding", "1", "0"],
        ["layer 1", "1", "0"],
        ["layer 2", "1", "0"],
        ["layer 3", "1", "1"],
    ]


def test_hovering_a_map_gives_the_weight_itself(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=residual")
    box = card_of(page, "unfolded").locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.8 * box["height"])
    label = page.locator("[data-panel=unfolded] .hoverlayer .hovertext")
    expect(label).to_contain_text("layer 7 reads output 2")
    expect(label).to_contain_text("weight 1")
