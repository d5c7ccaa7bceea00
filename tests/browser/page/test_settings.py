"""Settings explain themselves: a "?" beside each, and what a setting that changes nothing waits for."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, open_settings, wait_until_done

OPEN = ".popover:popover-open"


def test_every_setting_has_its_help(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    page.locator("details").evaluate_all("all => all.forEach((details) => { details.open = true; })")
    fields = page.locator(".controls .field, .controls .compared-head")
    assert fields.count() > 20
    for field in fields.all():
        expect(field.get_by_role("button", name=re.compile(": what it does$"))).to_have_count(1)
    drift = page.get_by_role("button", name="Drift σ: what it does").first
    drift.focus()
    page.keyboard.press("Enter")
    expect(page.locator(OPEN)).to_contain_text("From 0 to 10. At first 0.3.")
    page.keyboard.press("Escape")
    expect(page.locator(OPEN)).to_have_count(0)
    expect(drift).to_be_focused()


def test_a_first_visit_counts_no_setting_as_changed(open_page: OpenPage) -> None:
    page = open_page()
    open_settings(page)
    expect(page.locator("#settings .group").first).to_be_visible()
    expect(page.locator(".group .count")).to_have_count(0)
    page.get_by_role("spinbutton", name="Depth, exact").fill("8")
    page.keyboard.press("Enter")
    expect(page.locator(".group .count")).to_have_text(["1 changed"])


@pytest.mark.full
def test_help_opens_by_a_tap_and_closes_by_a_tap_beside_it(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    page.get_by_role("button", name="Settings", exact=True).click()
    page.get_by_role("button", name="Depth: what it does").click()
    expect(page.locator(OPEN)).to_contain_text("A layer is one residual branch")
    expect(page.locator("#settings:popover-open")).to_have_count(1)
    box = page.locator(OPEN).bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator(".sheet-head h2").click()
    expect(page.locator(OPEN)).to_have_count(0)
    expect(page.locator("#settings:popover-open")).to_have_count(1)


@pytest.mark.full
def test_dynamic_mixing_that_changes_nothing_says_why_and_what_would(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=4&width=16&input.tokens=16&connection.dynamic=true")
    note = page.locator(".controls .note")
    expect(note).to_contain_text("This changes no number of B and C yet")
    note.get_by_role("button", name="Start as DeepSeek-V4").click()
    wait_until_done(page)
    expect(note).to_contain_text("This changes no number of B yet")
    expect(note).not_to_contain_text("Start as")
    note.get_by_role("button", name="Train 20 steps").click()
    page.wait_for_url(re.compile("connection.init=deepseek_v4&.*train.steps=20"))
    expect(note).to_have_count(0)
    wait_until_done(page)
