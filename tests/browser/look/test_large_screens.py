"""On a very large screen letters and figures grow; what is under the pointer stays what is meant."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, expect_layer, wait_until_done, wait_until_drawn
from tests.browser.look.test_look import EVERY_SECTION, check_paper

pytestmark = pytest.mark.full

# Heights of lines of text, as they are seen.
LETTERS = """() => [...document.querySelectorAll('.hint, .meaning, .step-text, .results td')].flatMap((part) => {
  const range = document.createRange();
  range.selectNodeContents(part);
  return [...range.getClientRects()].map((line) => line.height).filter(Boolean);
})"""


def test_letters_grow_and_nothing_is_wider_than_the_screen(see_page: OpenPage) -> None:
    large, usual = (see_page(f"/#v=1&depth=8&{EVERY_SECTION}", width=width, height=2160) for width in (3840, 1440))
    seen = [min(page.evaluate(LETTERS)) for page in (large, usual)]
    assert seen[0] >= 1.2 * seen[1]
    ticks = [page.locator("[data-panel=gain] .xtick text").first.bounding_box() for page in (large, usual)]
    assert ticks[0]["height"] >= 1.2 * ticks[1]["height"]  # type: ignore[index]
    assert large.evaluate("document.documentElement.scrollWidth") == 3840
    wide = "boxes => boxes.filter((box) => box.scrollWidth > box.clientWidth).length"
    assert large.locator(".cost-card .table-box, .card-head, .plot-box").evaluate_all(wide) == 0


def point(page: Page, panel: str, layer: int) -> tuple[float, float]:
    """Where a layer is on a card's figure, in pixels of the screen."""
    x: float
    y: float
    x, y = page.evaluate(
        """([panel, layer]) => {
          const plot = document.querySelector(`[data-panel=${panel}] .plot`);
          const { xaxis, yaxis } = plot._fullLayout._plots.xy;
          const box = plot.getBoundingClientRect();
          const grown = box.width / plot.offsetWidth;
          const [x, y] = [xaxis._offset + xaxis.l2p(layer), yaxis._offset + yaxis._length / 2];
          return [box.left + grown * x, box.top + grown * y];
        }""",
        [panel, layer],
    )
    return x, y


@pytest.mark.parametrize("panel", ["gain", "streams", "cka"])
def test_a_click_chooses_the_layer_under_the_pointer(see_page: OpenPage, panel: str) -> None:
    page = see_page("/#v=1&depth=24&width=16&layer=3&open=mixing,similarity", width=3840, height=2160)
    page.locator(f"[data-panel={panel}]").scroll_into_view_if_needed()
    wait_until_drawn(page, panel)
    expect_layer(page, 3, 24)
    x, y = point(page, panel, 20)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)  # a hand is slower than the figure is to see what is under it
    page.mouse.click(x, y)
    expect_layer(page, 20, 24)
    wait_until_drawn(page, panel)
    # In one look: a cursor that is drawn anew is another element.
    left, right = page.evaluate(
        """panel => (({ left, right }) => [left, right])(
          document.querySelector(`[data-panel=${panel}] .cursor-x`).getBoundingClientRect())""",
        panel,
    )
    assert (left + right) / 2 == pytest.approx(x, abs=1.5)
    page.mouse.move(2, 2)
    page.get_by_role("slider", name="Layer", exact=True).fill("3")


def test_paper_is_not_magnified(see_page: OpenPage) -> None:
    page = see_page(f"/#v=1&depth=8&{EVERY_SECTION}", width=3840, height=2160)
    check_paper(page)
    wait_until_done(page)
