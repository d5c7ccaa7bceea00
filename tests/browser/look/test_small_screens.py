"""Screens of all sizes: the bar is one line, nothing overlaps, and the first figure is in sight."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, wait_until_done

pytestmark = pytest.mark.full

SIZES = [(1440, 900), (1024, 768), (720, 450), (390, 844)]
# Of what can be pressed in the bar, what lies over something else of it.
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('.topbar :is(a, button, .status)')]
    .filter((part) => part.checkVisibility() && !part.closest('[popover]'))
    .map((part) => [part.textContent.trim(), part.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(([other]) => `${one} and ${other}`));
}"""
# How much of the first figure is in the window.
SEEN = """() => {
  const box = document.querySelector('main :is(.featured .plot-box, .bench .picture-box)');
  const { top, bottom } = box.getBoundingClientRect();
  return Math.min(bottom, innerHeight) - Math.max(top, 0);
}"""


def check(page: Page, width: int) -> None:
    """One line above, nothing cut off at the side."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.querySelector('.topbar').getBoundingClientRect().height") <= 56


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("path", ["/", "/p/mhc_fig_7"])
@pytest.mark.parametrize(("width", "height"), SIZES, ids=[f"{width}x{height}" for width, height in SIZES])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_first_screen_shows_a_figure(see_page: OpenPage, path: str, width: int, height: int, theme: str) -> None:
    page = see_page(path, width=width, height=height, theme=theme)
    check(page, width)
    assert page.evaluate(SEEN) >= 90


def test_the_bar_is_one_line_at_every_width(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=1180, height=768)
    for width in (1180, 1024, 761, 480, 320):
        page.set_viewport_size({"width": width, "height": 768})
        wait_until_done(page)
        check(page, width)
