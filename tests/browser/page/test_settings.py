"""The drawer of all settings: its search, its help, what it refuses, and how it opens and closes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, open_settings, type_setting, wait_until_done

OPEN = ".popover:popover-open"


@pytest.mark.full
def test_every_setting_has_its_help(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8")
    drawer = open_settings(page)
    fields = drawer.locator(".field, .compared-head")
    assert fields.count() > 20
    for field in fields.all():
        expect(field.get_by_role("button", name=re.compile(": help$"))).to_have_count(1)
    drift = drawer.get_by_role("button", name="Drift σ: help").first
    drift.focus()
    page.keyboard.press("Enter")
    expect(page.locator(OPEN)).to_contain_text("0 to 10 · Default 0.3 · API name: connection.noise")
    page.keyboard.press("Escape")
    expect(page.locator(OPEN)).to_have_count(0)
    expect(drift).to_be_focused()
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")


def test_the_drawer_opens_by_key_and_gives_the_focus_back(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8")
    depth = page.get_by_role("slider", name="Depth", exact=True)
    depth.focus()
    page.keyboard.press("e")
    expect(page.get_by_role("searchbox", name="Search settings")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_have_count(0)
    expect(depth).to_be_focused()


def test_settings_are_found_by_name_and_by_what_they_do(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8")
    drawer = open_settings(page)
    search = drawer.get_by_role("searchbox")
    search.fill("sinkhorn rounds")
    expect(drawer.get_by_role("slider", name="Sinkhorn rounds")).to_be_visible()
    expect(drawer.get_by_role("slider", name="Depth")).to_have_count(0)
    search.fill("standard deviation")
    expect(drawer.get_by_role("slider", name="Drift σ")).to_be_visible()
    search.fill("no such thing")
    expect(drawer).to_contain_text("No setting matches “no such thing”.")
    search.fill("")
    expect(drawer.get_by_role("slider", name="Depth")).to_be_visible()
    page.keyboard.press("Escape")


@pytest.mark.full
def test_a_depth_that_is_no_whole_number_is_refused_in_a_sentence(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    type_setting(page, "Depth", 64.5)
    field = page.locator(".drawer [data-path=depth]")
    expect(field.get_by_role("alert")).to_have_text("Depth must be a whole number from 1 to 1024.")
    expect(field.get_by_role("spinbutton")).to_have_value("8")
    assert page.url.endswith("#v=1&depth=8")
    type_setting(page, "Depth", 9)
    expect(field.get_by_role("alert")).to_have_count(0)
    page.wait_for_url("**/#v=1&depth=9")


@pytest.mark.full
def test_nothing_is_counted_as_changed_on_a_first_visit(open_page: OpenPage) -> None:
    page = open_page("/")
    drawer = open_settings(page)
    expect(drawer.locator(".group").first).to_be_visible()
    expect(drawer.locator(".count")).to_have_count(0)
    type_setting(page, "Streams", 3)
    expect(drawer.locator(".group .count")).to_have_text(["1 changed"])
    expect(drawer.locator(".count")).to_have_count(1)


@pytest.mark.full
def test_on_a_phone_the_drawer_leaves_the_picture_in_sight(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8", width=390, height=844)
    drawer = open_settings(page)
    picture, sheet = (part.bounding_box() for part in (page.locator(".picture-box"), drawer))
    assert picture is not None
    assert sheet is not None
    assert picture["y"] >= 0
    assert sheet["y"] - picture["y"] > 150
    drawer.get_by_role("button", name="Depth: help").click()
    box = page.locator(OPEN).bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.locator("#settings-title").click()
    expect(page.locator(OPEN)).to_have_count(0)
    expect(drawer).to_be_visible()


@pytest.mark.full
def test_dynamic_mixing_that_changes_nothing_says_why_and_what_would(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=4&width=16&input.tokens=16&connection.dynamic=true")
    note = open_settings(page).locator(".note").first
    expect(note).to_contain_text("This does not change B and C yet")
    note.get_by_role("button", name="Start as DeepSeek-V4").click()
    wait_until_done(page)
    expect(note).to_contain_text("This does not change B yet")
    expect(note).not_to_contain_text("Start as")
    note.get_by_role("button", name="Train 20 steps").click()
    page.wait_for_url(re.compile("connection.init=deepseek_v4&.*train.steps=20"))
    expect(note).to_have_count(0)
    wait_until_done(page)


@pytest.mark.full
def test_the_help_of_a_slider_covers_no_chart_and_leaves_once_it_moves(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&width=16&runs=hc&connection.noise=3", height=900)
    drift = page.get_by_role("slider", name="Drift")
    expect(page.locator("output[for=field-connection-noise]")).to_have_text("3.00")
    assert drift.input_value() == drift.get_attribute("max"), "the track ends at 1, and 3 is beyond it"
    page.get_by_role("slider", name="Streams").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(drift).to_be_focused()
    about = page.locator("#field-connection-noise-help")
    expect(about).to_be_visible()
    box, track = about.bounding_box(), drift.bounding_box()
    assert box is not None
    assert track is not None
    assert box["y"] + box["height"] <= track["y"]
    assert drift.evaluate("input => parseFloat(getComputedStyle(input).outlineOffset)") < 0, "the name is right above"
    page.keyboard.press("ArrowLeft")
    expect(about).to_be_hidden()
    expect(page.locator("output[for=field-connection-noise]")).to_have_text("0.95")
    type_setting(page, "Drift σ", 2)
    expect(page.locator("output[for=field-connection-noise]")).to_have_text("2.00")
    wait_until_done(page)
