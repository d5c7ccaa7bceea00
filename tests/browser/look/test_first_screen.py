"""The first screen stays small: how much a visitor meets there, at 1440 x 900, and how many stops the Tab key makes."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.look.test_access import SECTIONS

pytestmark = pytest.mark.full

MOST = {"controls": 22, "words": 130, "numbers": 30, "sizes": 5}
MOST_CONTROLS = 60  # on the whole page, with closed sections
MOST_STOPS = 110  # with open sections

# What can be seen without scrolling. Text in charts is not counted; neither is what something else covers.
COUNT = """() => {
    const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const isSeen = (element, box) => {
        const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
        const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
        if (box.width < 2 || box.bottom <= 0 || box.top >= innerHeight) return false;
        const top = document.elementFromPoint(x, y);
        return top !== null && (element.contains(top) || top.contains(element));
    };
    const controls = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [role=slider]')]
        .filter((element) => isShown(element) && element.getBoundingClientRect().width > 1);
    const words = [];
    const sizes = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const { currentNode: text } = texts;
        const parent = text.parentElement;
        if (!text.data.trim() || parent.closest('svg, script, style, noscript, option') || !isShown(parent)) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const box = range.getBoundingClientRect();
        if (box.width < 2) continue;
        sizes.add(getComputedStyle(parent).fontSize);
        if (isSeen(parent, box)) words.push(...text.data.trim().split(/\\s+/));
    }
    return {
        controls: controls.filter((element) => isSeen(element, element.getBoundingClientRect())).length,
        words: words.length,
        numbers: words.filter((word) => /\\d/.test(word)).length,
        sizes: sizes.size,
        all: controls.length,
    };
}"""
FOCUSED = """() => {
    const element = document.activeElement;
    if (element === document.body || element.dataset.visited) return element === document.body ? null : 'again';
    element.dataset.visited = 'yes';
    return element.tagName;
}"""


def count(page: Page) -> dict[str, Any]:
    counted: dict[str, Any] = page.evaluate(COUNT)
    return counted


def count_stops(page: Page, most: int) -> int:
    """How often Tab moves the focus until it leaves the page or comes back to where it was."""
    for stops in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) in (None, "again"):
            return stops
    return most


def test_the_first_screen_is_small(open_page: OpenPage) -> None:
    found = count(open_page("/", width=1440, height=900))
    assert found["controls"] > 10, "the count sees controls"
    assert found["words"] > 60, "the count sees words"
    assert {name: found[name] for name, most in MOST.items() if found[name] > most} == {}
    assert found["all"] <= MOST_CONTROLS


def test_tab_reaches_the_end_of_the_page_soon(open_page: OpenPage) -> None:
    page = open_page(f"/#v=1&open={SECTIONS}", width=1440, height=900)
    assert 20 < count_stops(page, 2 * MOST_STOPS) <= MOST_STOPS
