"""Single cards of the page: what each shows beyond its curves."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, wait_until_done


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


def test_theory_stands_beside_measurement_or_says_why_not(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    card = card_of(page, "theory")
    notes = card.locator(".theory-notes dd")
    expect(notes).to_have_count(3)
    expect(notes.nth(0)).to_contain_text("Doubly stochastic. At every step")
    expect(notes.nth(0)).to_contain_text("8 of 8 layers lie in the band")
    expect(notes.nth(1)).to_contain_text("Drift gain.")
    card.get_by_role("button", name="activation").click()
    expect(notes.nth(0)).to_have_text("No law here. Block is Transformer; the law wants mlp.")
    expect(notes.nth(1)).to_contain_text("Drift of the mixing σ is 0.3; the law wants 0")
    expect(card.locator(".plot")).to_contain_text("No law applies to these runs here.")


def test_a_view_in_which_laws_apply_is_one_press_away(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    card = card_of(page, "theory")
    card.get_by_role("button", name="Show a view").click()
    wait_until_done(page)
    for view in ("activation", "gradient"):
        card.get_by_role("button", name=view).click()
        for run in (0, 1, 3):
            expect(card.locator(".theory-notes dd").nth(run)).to_contain_text(re.compile(r"6\d of 64 layers lie in"))
    rows = show_table(page, card)
    assert len(rows) == 64
    assert all("…" in row[2] for row in rows), "the law of the first run stands beside its column"
    assert "block.kind=mlp" in page.evaluate("location.hash")
