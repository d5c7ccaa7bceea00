"""A hand on a slider renders what it changes: counted in components, for time says little on a busy machine."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, wait_until_done

pytestmark = pytest.mark.full

COUNT = """async () => {
    const { options } = await import('preact');
    const before = options.__r;
    window.rendered = {};
    options.__r = (node) => {
        const name = node.type?.name || 'unnamed';
        window.rendered[name] = (window.rendered[name] ?? 0) + 1;
        before?.(node);
    };
}"""
MOVE = """() => new Promise((resolve) => {
    const slider = document.getElementById('field-depth');
    slider.value = String(Number(slider.value) - 1);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(() => setTimeout(() => {
        const found = { ...window.rendered };
        slider.dispatchEvent(new Event('change', { bubbles: true }));
        resolve(found);
    }));
})"""


def count_renders(page: Page) -> dict[str, int]:
    """Components that one step of the depth renders, by name."""
    page.evaluate(COUNT)
    found: dict[str, int] = page.evaluate(MOVE)
    wait_until_done(page)
    return found


def test_a_step_of_the_depth_renders_what_it_changes(open_page: OpenPage) -> None:
    page = open_page("/")
    found = count_renders(page)
    assert found["RangeInput"] == 1, "the other sliders stay as they are"
    assert sum(found.values()) < 300
