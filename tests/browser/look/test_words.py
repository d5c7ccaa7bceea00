"""Words on the page are whole and none lies on another: labels in figures, the status on a phone."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, expect_layer, wait_until_drawn

pytestmark = pytest.mark.full

LOST = "/#v=1&runs=hc,hc,mhc&depth=96&width=16&connection.noise=3&A.connection.noise=2.8"
BOXES = """card => [...card.querySelectorAll('.annotation-text-g')].map((word) => {
  const { left, right, top, bottom } = word.getBoundingClientRect();
  return { text: word.textContent, left, right, top, bottom };
})"""
SLACK_PX = 2.5  # the boxes of letters hold the room above and below them


def overlaps(page: Page, panel: str) -> list[tuple[str, str]]:
    """Pairs of words on a card's figure that overlap."""
    words = page.locator(f"[data-panel={panel}]").evaluate(BOXES)
    return [
        (one["text"], other["text"])
        for index, one in enumerate(words)
        for other in words[index + 1 :]
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > SLACK_PX
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > SLACK_PX
    ]


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("panel", ["activation", "similarity", "gradient", "streams"])
def test_where_curves_are_lost_no_label_lies_on_another(see_page: OpenPage, panel: str, width: int) -> None:
    page = see_page(f"{LOST}&layer=40&open=mixing,similarity", width=width, height=844)
    card = page.locator(f"[data-panel={panel}]")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, panel)
    said = " ".join(card.locator(".annotation-text").all_text_contents())
    assert "nan" in said or "overflow" in said
    slider = page.get_by_role("slider", name="Layer", exact=True)
    for layer in (20, 40, 48, 50, 52, 53, 60, 90):
        slider.fill(str(layer))
        expect_layer(page, layer, 96)
        wait_until_drawn(page, panel)
        assert overlaps(page, panel) == [], layer
    edge = card.locator(".plot-box").evaluate("box => box.getBoundingClientRect().right")
    assert max(word["right"] for word in card.evaluate(BOXES)) <= edge + 0.5, "none is cut off"
