"""The runs that are compared: added, changed, copied, named, removed, with overrides."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, create_link, open_settings, wait_until_done
from tests.browser.page.test_page import curves

pytestmark = pytest.mark.full


def choose_for_run(page: Page, letter: str, item: str) -> None:
    """Take an item of a compared run's menu."""
    open_settings(page)
    page.get_by_role("button", name=f"Run {letter}: more").click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{item}")).click()


def test_presets_and_runs_can_be_changed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    page.get_by_role("button", name="Examples").click()
    page.get_by_role("link", name=re.compile("^Without skip connections")).click()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == ["A Plain", "B Residual"]
    open_settings(page).get_by_role("button", name="Add a run").click()
    wait_until_done(page)
    expect(page.locator(".results-table tbody th[scope=row]")).to_have_count(3)
    page.get_by_role("button", name="Run A: more").click()
    page.get_by_role("button", name="Remove", exact=True).locator("visible=true").click()
    wait_until_done(page)
    expect(page.locator(".results-table tbody th[scope=row]")).to_have_count(2)
    page.get_by_label("Connection of run A").select_option("hc")
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents()[0] == "A HC"


def test_a_run_can_have_settings_of_its_own(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    run = open_settings(page).locator(".run", has=page.get_by_label("Connection of run C"))
    run.get_by_role("spinbutton", name="Sinkhorn rounds, exact").fill("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#v=1&depth=8&C.connection.sinkhorn_iters=1")
    wait_until_done(page)
    run.get_by_role("button", name="Use shared Sinkhorn rounds").click()
    page.wait_for_url("**/#v=1&depth=8")


def test_a_run_can_be_copied_changed_named_and_removed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=residual,mhc")
    choose_for_run(page, "B", "Duplicate")
    page.wait_for_url("**/#v=1&runs=residual,mhc,mhc&depth=8")
    run = open_settings(page).locator(".run", has=page.get_by_label("Connection of run C"))
    run.get_by_role("spinbutton", name="Sinkhorn rounds, exact").fill("1")
    page.keyboard.press("Enter")
    choose_for_run(page, "C", "Rename")
    expect(page.get_by_role("textbox", name="Name of run C")).to_be_focused()
    page.keyboard.type("one round & done")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run C: more")).to_be_focused()
    page.wait_for_url("**/#*&C.name=one+round+%26+done&*")
    wait_until_done(page)
    labels = ["A Residual", "B mHC 20", "C one round & done"]
    assert page.locator(".results-table tbody th").all_text_contents() == labels
    assert [line["name"] for line in curves(page, "gain")] == labels

    rows = page.locator(".differences tbody tr").all_text_contents()
    assert rows == ["ConnectionResidualmHCmHC", "Sinkhorn rounds–201"]

    name = create_link(page).rsplit("/", 1)[1]
    assert open_page(f"/s/{name}").locator(".results-table tbody th").all_text_contents() == labels
    embedded = open_page(f"/embed/{name}?panel=activation", wait=False)
    expect(embedded.locator(".plot .main-svg").first).to_be_visible()
    expect(embedded.locator(".plot")).to_contain_text("C one round & done")
    page.keyboard.press("Escape")

    choose_for_run(page, "C", "Remove")
    expect(page.get_by_role("button", name="Add a run")).to_be_focused()
    page.wait_for_url("**/#v=1&runs=residual,mhc&depth=8")


def test_a_name_that_is_given_up_changes_nothing(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc,mhc&depth=4&width=16")
    choose_for_run(page, "B", "Rename")
    expect(page.get_by_role("textbox", name="Name of run B")).to_be_focused()
    page.keyboard.type("x")
    page.keyboard.press("Escape")
    expect(page.get_by_role("textbox", name="Name of run B")).to_have_count(0)
    expect(page.get_by_role("button", name="Run B: more")).to_be_focused()
    assert page.evaluate("location.hash") == "#v=1&runs=hc,mhc&depth=4&width=16"
