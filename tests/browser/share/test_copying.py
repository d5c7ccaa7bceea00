"""A figure on the clipboard: as an image, and what is said where the browser does not let a page do it."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from mhc_core.figures.methods import METHODS
from mhc_core.figures.style import THEMES
from tests.browser.conftest import OpenPage, to_rgb

pytestmark = pytest.mark.full

READ_IMAGE = """async () => {
    const [item] = await navigator.clipboard.read();
    if (item.types.join() !== 'image/png') return item.types.join();
    const bytes = new Uint8Array(await (await item.getType('image/png')).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}"""


def choose(page: Page, card: str, item: str) -> None:
    """Take an item of a card's menu."""
    page.get_by_role("button", name=f"{card}: more").click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{item}")).click()


def read_image(page: Page) -> np.ndarray:
    """The clipboard's PNG as pixels."""
    image = Image.open(io.BytesIO(base64.b64decode(page.evaluate(READ_IMAGE))))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def test_a_figure_is_copied_as_an_image(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    choose(page, "Gain, forward", "Copy as image")
    expect(page.locator(".toast[role=status]")).to_have_text("Copied as an image")
    pixels = read_image(page)
    assert pixels.shape == (2 * (420 + 66), 2 * 960, 3)
    assert np.mean(np.all(pixels == to_rgb(THEMES["dark"].card), axis=2)) > 0.8, "the card's own ground"
    for kind in ("residual", "hc", "mhc"):
        assert np.sum(np.all(pixels == to_rgb(METHODS[kind].dark), axis=2)) > 200, "a curve of each run"
    expect(page.locator(".toast")).to_have_count(0, timeout=10_000)


def test_the_keyboard_copies_too_and_a_table_does_not_stand_in_the_way(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=8", theme="light")
    choose(page, "Activation", "Show as table")
    more = page.get_by_role("button", name="Activation: more")
    more.focus()
    page.keyboard.press("Enter")
    items = page.locator(".popover:popover-open button").all_inner_texts()
    for _ in range(1 + next(index for index, item in enumerate(items) if item.startswith("Copy as image"))):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("Copy as image")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_have_text("Copied as an image")
    assert np.mean(read_image(page) == 255) > 0.8


def test_a_browser_that_cannot_says_so(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=4&width=16")
    page.evaluate("delete window.ClipboardItem")
    choose(page, "Gain, forward", "Copy as image")
    expect(page.locator(".toast")).to_contain_text("does not let a page copy images: download the PNG instead")


def test_a_refusal_of_the_clipboard_is_told(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=4&width=16")
    page.context.clear_permissions()
    page.context.grant_permissions(["geolocation"])  # and with it nothing else
    choose(page, "Gain, forward", "Copy as image")
    expect(page.locator(".toast")).to_contain_text("may not write to the clipboard. Download the PNG instead")
