"""At 320 px, and at 200 % zoom of a common screen, nothing is wider than the window and nothing is cut off."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, open_settings
from tests.browser.look.test_access import press

pytestmark = pytest.mark.full

# A window of 1440 x 900 px at 200 % has half as many of the page's pixels.
SIZES = {"320 px": (320, 640), "200 %": (720, 450)}
# What reaches beyond the window, but for what is in a part that scrolls sideways by itself, shapes that a figure cuts
# at its axes, and what stands outside for screen readers and for measuring.
BEYOND = """root => {
    const scrolls = (element) => element && element !== document.documentElement && (
        ['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const isShape = (element) => element.ownerSVGElement && element.tagName !== 'text';
    return [...root.querySelectorAll('*')].filter((element) => {
        const { left, right, width, height } = element.getBoundingClientRect();
        const isSeen = width > 1 && height > 1 && element.checkVisibility({ visibilityProperty: true });
        const isBeyond = right > innerWidth + 1 || left < -1;
        const isApart = element.closest('.skip, #js-plotly-tester') || scrolls(element.parentElement);
        return isSeen && isBeyond && !isShape(element) && !isApart;
    }).map((element) => `${element.tagName} ${element.getAttribute('class')} ${element.textContent.slice(0, 40)}`);
}"""
# Texts of buttons and headings that their own box cuts.
CUT = """root => [...root.querySelectorAll('button, h1, h2, h3, output, legend')].filter((element) => {
    const isCut = getComputedStyle(element).overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1;
    return isCut && element.checkVisibility() && !element.closest(".sr");
}).map((element) => element.textContent)"""
OPENERS = ("Share", "API", "Help", "Examples", "Sweep", "Your views")


def check(page: Page, where: str = "body") -> None:
    """Nothing of it is beyond the window or cut."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
    part = page.locator(where)
    assert part.evaluate(BEYOND) == [], where
    assert part.evaluate(CUT) == [], where


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_a_small_window(see_page: OpenPage, size: str) -> None:
    width, height = SIZES[size]
    page = see_page("/", width=width, height=height)
    check(page)
    open_settings(page)
    check(page, ".drawer")
    page.keyboard.press("Escape")


@pytest.mark.parametrize("size", SIZES)
def test_no_dialog_is_wider_than_a_small_window(see_page: OpenPage, size: str) -> None:
    width, height = SIZES[size]
    page = see_page("/", width=width, height=height)
    for name in OPENERS:
        press(page, name)
        expect(page.locator("dialog[open]")).to_have_count(1)
        page.wait_for_timeout(300)
        check(page, "dialog[open]")
        for _ in range(2):  # it stands on the fold of a phone
            page.keyboard.press("Escape")
