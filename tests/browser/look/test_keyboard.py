"""The main job without a mouse, and the single keys."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, choose_more, expect_layer, open_settings, wait_until_done
from tests.browser.page.test_page import curves

FOCUS = """() => { const at = document.activeElement, style = getComputedStyle(at);
    return {name: at.getAttribute('aria-label') ?? at.id ?? '', text: at.textContent.trim().slice(0, 40),
        isSeen: at.matches(':focus-visible')
            && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2}; }"""


def focus(page: Page) -> str:
    """What has the focus, which must be seen."""
    found = page.evaluate(FOCUS)
    assert found["isSeen"], found
    return str(found["name"] or found["text"])


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until the named thing has the focus; everything on the way must show its own."""
    for _ in range(180):
        page.keyboard.press(key)
        if focus(page) == name:
            return
    raise AssertionError(f"{name} is not reached")


def depth(page: Page) -> int:
    """The depth that the page is set to."""
    return int(page.locator("output[for=field-depth]").inner_text())


@pytest.mark.full
def test_the_main_job_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=32")
    tab_to(page, "field-depth")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile(r"#.*\bdepth=11\b"))
    wait_until_done(page)
    assert [len(line["y"]) for line in curves(page, "gain")] == [11] * 3
    assert focus(page) == "field-depth", "runs come and go under the hand that is on the slider"

    tab_to(page, "Gain, forward: more")
    page.keyboard.press("Enter")
    tab_to(page, "Show as table")
    page.keyboard.press("Enter")
    table = page.locator("[data-panel=gain] tbody tr")
    expect(table).to_have_count(11)
    assert focus(page) == "Gain, forward: more"
    tab_to(page, "Gain, forward, table")
    page.keyboard.press("Escape")
    expect(table).to_have_count(0)
    assert focus(page) == "Gain, forward: more"

    tab_to(page, "Share", "Shift+Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share")
    expect(dialog).to_contain_text("Live link")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('dialog') !== null"), "the focus stays in the dialog"
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert focus(page) == "Share"

    tab_to(page, "Layer")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect_layer(page, 2, 11)
    page.wait_for_url("**/#*layer=2")


def test_single_keys(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=8&width=32&layer=4")
    for key, layer in (("ArrowRight", 5), ("ArrowRight", 6), ("ArrowLeft", 5)):
        page.keyboard.press(key)
        expect_layer(page, layer, 8)
    length = page.evaluate("history.length")
    page.keyboard.press("]")
    page.keyboard.press("]")
    page.keyboard.press("[")
    page.wait_for_url(re.compile(r"#.*\bdepth=9\b"))
    wait_until_done(page)
    # Each press is one step back, as each drag is. The depth is 9 after the first already: wait for the others.
    page.wait_for_function("length => history.length === length", arg=length + 3)
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Share")).to_contain_text("Live link")
    page.keyboard.press("]")
    page.keyboard.press("Escape")
    assert depth(page) == 9, "keys rest while a dialog is open"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_contain_text("less or more depth")


@pytest.mark.full
def test_a_long_run_starts_by_key(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual&depth=220&width=512", wait=False)
    expect(page.locator(".status")).to_contain_text("Takes about")
    page.keyboard.press("r")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".status")).to_contain_text("cancelled")


@pytest.mark.full
@pytest.mark.parametrize("role", ["spinbutton", "textbox", "combobox"])
def test_keys_rest_while_someone_types(see_page: OpenPage, role: str) -> None:
    page = see_page("/#v=1&depth=8")
    drawer = open_settings(page)
    name = {"spinbutton": "Depth, exact", "textbox": "Text", "combobox": "Connection of run A"}[role]
    drawer.get_by_role(role, name=name, exact=True).last.focus()  # type: ignore[arg-type]
    for key in ("]", "t", "s", "?"):
        page.keyboard.press(key)
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert depth(page) == 8
    assert page.evaluate("document.documentElement.dataset.theme") is None


@pytest.mark.full
def test_keys_can_be_turned_off(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=mhc")
    choose_more(page, "Help")
    page.get_by_role("checkbox", name="Enable keyboard shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    wait_until_done(page)
    page.keyboard.press("]")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert depth(page) == 8
    assert page.url.endswith("#v=1&depth=8&runs=mhc")
