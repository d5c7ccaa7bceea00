"""Menus and help open in their place: they are not seen elsewhere first."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.full

# What is seen right after the click, before anything else can happen, and once the browser has told that it is open.
OPEN = """async (button) => {
  const panel = document.getElementById(button.getAttribute('popovertarget'));
  const look = () => {
    const { left, top } = panel.getBoundingClientRect();
    return { isOpen: panel.matches(':popover-open'), isSeen: getComputedStyle(panel).opacity === '1', left, top };
  };
  const told = new Promise((resolve) => panel.addEventListener('toggle', resolve, { once: true }));
  button.click();
  const first = look();
  await told;
  return [first, look()];
}"""


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["Activation: what it shows", "Activation: more"])
def test_what_opens_is_seen_only_in_its_place(see_page: OpenPage, name: str, width: int) -> None:
    page = see_page("/#v=1&depth=8", width=width, height=844)
    button = page.get_by_role("button", name=name)
    button.scroll_into_view_if_needed()
    for _ in range(2):
        first, then = button.evaluate(OPEN)
        assert first["isOpen"]
        places = [(look["left"], look["top"]) for look in (first, then) if look["isSeen"]]
        assert then["isSeen"]
        assert len(set(places)) == 1, "it was seen elsewhere"
        page.keyboard.press("Escape")
        expect(page.locator(".popover:popover-open")).to_have_count(0)
        page.mouse.wheel(0, -40)
        page.wait_for_timeout(100)


def test_a_long_menu_stays_within_a_low_window(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc&depth=8&width=32", width=1024, height=620)
    button = page.get_by_role("button", name="Gain, forward: more")
    button.evaluate("button => button.scrollIntoView({ block: 'center' })")
    button.click()
    box = page.locator(".popover:popover-open").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 620
