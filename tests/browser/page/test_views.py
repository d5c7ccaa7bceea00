"""The list of views that this browser keeps, and going on where the page was closed."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, choose_more, type_setting, wait_until, wait_until_done
from tests.browser.look.test_access import audit, looks
from tests.conftest import Server

pytestmark = pytest.mark.full

SMALL = "/#v=1&runs=residual,hc&depth=8&width=32"
OTHER = "/#v=1&runs=mhc&depth=8&width=32"
FILL = """() => { for (let size = 1 << 22; size > 0; size >>= 1)
    try { localStorage.setItem('fill' + size, 'x'.repeat(size)); } catch {} }"""
MANY = "/#v=1&runs=residual,hc,mhc,mhc_lite&depth=9&width=32"


def names(page: Page) -> list[str]:
    return page.locator(".views-what > a").all_text_contents()


def open_list(page: Page) -> Locator:
    choose_more(page, "Your views")
    dialog = page.get_by_role("dialog", name="Your views")
    expect(dialog).to_be_visible()
    return dialog


def visit(page: Page, server: Server, url: str) -> None:
    """Look at a view until it is in the list."""
    page.goto("about:blank")
    page.goto(server.url + url)
    wait_until_done(page)
    page.keyboard.press("v")  # the list notes what is shown when it opens
    expect(page.get_by_role("dialog", name="Your views")).to_be_visible()
    page.keyboard.press("Escape")


def kept(page: Page) -> list[dict[str, str]]:
    return list(json.loads(page.evaluate("localStorage.getItem('views') ?? '[]'")))


def test_a_view_that_stays_is_listed_named_deleted_and_brought_back(open_page: OpenPage, server: Server) -> None:
    page = open_page(SMALL)
    wait_until(page, lambda: len(kept(page)) == 1)  # by itself, after a while
    visit(page, server, OTHER)
    dialog = open_list(page)
    assert names(page) == ["A mHC · Depth 8 · Width 32", "A Residual, B HC · Depth 8 · Width 32"]
    headline = page.locator(".results-table tbody td").first.text_content() or "?"
    expect(dialog.locator(".views-entry").first).to_contain_text(headline)
    expect(dialog.locator(".views-entry").last).to_contain_text("A Residual ×1 · B HC ×")

    entry = dialog.locator(".views-entry").nth(1)
    entry.locator("summary").click()
    entry.get_by_label("Name", exact=True).fill("small <b>")
    entry.get_by_label("Note", exact=True).fill("two runs")
    entry.get_by_label("Note", exact=True).press("Tab")
    assert names(page)[1] == "small <b>"
    dialog.get_by_role("button", name="Delete small <b>").click()
    assert names(page) == ["A mHC · Depth 8 · Width 32"]
    undo = dialog.get_by_role("button", name="Undo delete of")
    expect(undo).to_be_focused()
    undo.click()
    assert names(page)[1] == "small <b>"
    dialog.get_by_role("button", name="Delete all").click()
    assert kept(page) == []
    dialog.get_by_role("button", name="Undo delete of 2 views").click()
    expect(dialog.locator(".views-entry")).to_have_count(2)
    dialog.get_by_role("link", name="small <b>").click()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == ["A Residual", "B HC"]
    page.go_back()
    expect(page.locator(".results-table tbody th")).to_have_text(["A mHC"])


def test_two_views_are_compared_run_by_run_or_in_the_pairs_that_fit(open_page: OpenPage, server: Server) -> None:
    page = open_page(SMALL)
    for url in (SMALL, OTHER, MANY):
        visit(page, server, url)
    dialog = open_list(page)
    button = dialog.get_by_role("button", name="Compare", exact=True)
    expect(button).to_be_disabled()
    boxes = dialog.get_by_role("checkbox")
    boxes.nth(1).check()
    boxes.nth(2).check()
    expect(boxes.nth(0)).to_be_disabled()
    expect(dialog).to_contain_text("Shows all 3 runs of both views side by side.")
    boxes.nth(1).uncheck()
    boxes.nth(0).check()
    expect(dialog).to_contain_text("Shows Residual and HC of each view: 4 of 6 runs.")
    button.click()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == [
        "A Residual 9",
        "B HC 9",
        "C Residual 8",
        "D HC 8",
    ]
    assert "/#v=1&runs=residual,hc,residual,hc&" in page.url


def compare_two(page: Page, server: Server, urls: tuple[str, str]) -> Locator:
    """Look at two views, tick them in the list, and compare them; the sentence beside the button."""
    for url in urls:
        visit(page, server, url)
    dialog = open_list(page)
    for box in dialog.get_by_role("checkbox").all()[:2]:
        box.check()
    return dialog


def test_runs_that_differ_are_compared_and_not_the_residual_network_with_itself(
    open_page: OpenPage, server: Server
) -> None:
    views = ("/#v=1&depth=8&width=16", "/#v=1&depth=9&width=16")
    page = open_page(views[0])
    dialog = compare_two(page, server, views)
    expect(dialog).to_contain_text("Shows HC and mHC of each view: 4 of 6 runs.")
    dialog.get_by_role("button", name="Compare", exact=True).click()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == ["A HC 9", "B mHC 9", "C HC 8", "D mHC 8"]


def test_two_seeds_are_compared(open_page: OpenPage, server: Server) -> None:
    views = ("/#v=1&runs=hc&depth=8&width=16&seed=1", "/#v=1&runs=hc&depth=8&width=16&seed=2")
    page = open_page(views[0])
    dialog = compare_two(page, server, views)
    expect(dialog).to_contain_text("The runs differ in seed, so part of what differs is chance.")
    dialog.get_by_role("button", name="Compare", exact=True).click()
    wait_until_done(page)
    assert page.locator(".results-table tbody th").all_text_contents() == ["A HC 2", "B HC 1"]
    first, second = page.locator(".results-table [data-metric=forward]").all_text_contents()
    assert first != second


def test_tabs_add_to_one_list_and_a_full_storage_says_so(open_page: OpenPage, server: Server) -> None:
    one = open_page(SMALL)
    visit(one, server, SMALL)
    other = open_page(OTHER)
    visit(other, server, OTHER)
    open_list(one)
    expect(one.locator(".views-entry")).to_have_count(2)
    before = kept(one)
    one.evaluate(FILL)
    entry = one.locator(".views-entry", has_text="A Residual")
    entry.locator("summary").click()
    field = entry.get_by_label("Note", exact=True)
    field.fill("n" * 900)
    field.press("Tab")
    expect(one.get_by_role("dialog", name="Your views").get_by_role("alert")).to_contain_text(
        "storage for the page is full"
    )
    assert kept(one) == before
    one.evaluate("localStorage.setItem('views', '{')")
    other.keyboard.press("v")
    expect(other.get_by_role("dialog", name="Your views").get_by_role("alert")).to_contain_text("can't be read")


def test_the_page_opened_anew_offers_to_go_on_and_back_undoes(open_page: OpenPage, server: Server) -> None:
    page = open_page(SMALL)
    for depth in (9, 10):
        type_setting(page, "Depth", depth)
        page.wait_for_url(re.compile(rf"depth={depth}\b"))
    wait_until_done(page)
    page.close()

    link = open_page(OTHER)
    expect(link.locator(".continue")).to_have_count(0)
    assert link.locator(".results-table tbody th").all_text_contents() == ["A mHC"]
    link.close()

    page = open_page("/")
    assert page.url == f"{server.url}/"
    line = page.locator(".continue")
    expect(line).to_contain_text("A Residual, B HC · Depth 10 · Width 32")
    line.get_by_role("button", name="Resume").click()
    expect(line).to_have_count(0)
    wait_until_done(page)
    assert page.url.endswith("depth=10&width=32")
    page.go_back()
    page.wait_for_url(re.compile(r"depth=9\b"))
    page.go_back()
    page.wait_for_url(re.compile(r"/#v=1&runs=residual,hc&depth=8&width=32$"))
    wait_until_done(page)
    expect(page.locator("output[for=field-depth]")).to_have_text("8")
    page.go_back()
    page.wait_for_url(f"{server.url}/")


@looks
def test_axe_finds_nothing_in_the_list(open_page: OpenPage, server: Server, theme: str, width: int) -> None:
    page = open_page(SMALL, theme=theme, width=width)
    visit(page, server, SMALL)
    dialog = open_list(page)
    audit(page, "views", dialog)
    assert dialog.evaluate("box => box.scrollWidth <= box.clientWidth")
