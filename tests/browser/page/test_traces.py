"""A trace by its address: beside runs in every view, while settings move the others."""

import re
from pathlib import Path

import httpx
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from mhc_probe import attach
from tests.browser.conftest import (
    OpenPage,
    Watch,
    choose_more,
    create_link,
    open_settings,
    open_share,
    type_setting,
    wait_until_done,
)
from tests.browser.page.test_compared import choose_for_run
from tests.browser.share.test_standalone import Saved, save_view
from tests.conftest import Server
from tests.probe.attach.attachable import LAYERS, build_deepseek
from tests.traced import NAME, SHORT_NAME, read_trace

pytestmark = pytest.mark.full

SMALL = "depth=4&width=16&input.tokens=16"
HEADS = ["A HC", f"B {NAME}"]


def address_beside() -> str:
    """The address of a small run and the trace."""
    return f"/#v=1&runs=hc,trace&{SMALL}&B.trace={read_trace().id}"


@pytest.fixture
def beside(open_page: OpenPage, traced: Server) -> Page:
    """A small run and the trace, by their address."""
    return open_page(address_beside())


def heads(page: Page) -> list[str]:
    """What the stories are about."""
    return page.locator(".results-table tbody th").all_text_contents()


def test_an_address_shows_the_trace_beside_a_run(beside: Page) -> None:
    assert heads(beside) == HEADS
    expect(beside.locator(".banner")).to_have_count(0)
    expect(beside.locator("[data-panel=gain] .plot")).to_contain_text(SHORT_NAME)
    expect(beside.locator(".picture-box")).to_have_attribute("aria-label", re.compile(f"B {NAME}: "))
    expect(beside.get_by_role("slider", name="Layer", exact=True)).to_have_attribute("max", str(LAYERS))
    assert f"B.trace={read_trace().id}" in beside.url


def test_settings_move_the_run_and_leave_the_trace(beside: Page) -> None:
    type_setting(beside, "Depth", 7)
    wait_until_done(beside)
    assert heads(beside) == HEADS
    expect(beside.get_by_role("slider", name="Layer", exact=True)).to_have_attribute("max", "7")
    assert f"B.trace={read_trace().id}" in beside.url
    assert "depth=7" in beside.url
    beside.go_back()
    wait_until_done(beside)
    assert beside.url.endswith(address_beside())
    slider = beside.locator("#field-depth")
    slider.focus()
    for _ in range(3):
        beside.keyboard.press("ArrowRight")
    wait_until_done(beside)
    assert heads(beside) == HEADS


def test_it_is_named_taken_away_and_brought_back(beside: Page) -> None:
    choose_for_run(beside, "B", "Rename")
    beside.keyboard.type("ours")
    beside.keyboard.press("Enter")
    wait_until_done(beside)
    assert heads(beside) == ["A HC", "B ours"]
    choose_for_run(beside, "B", "Remove")
    wait_until_done(beside)
    assert heads(beside) == ["A HC"]
    assert "trace" not in beside.url
    beside.go_back()
    wait_until_done(beside)
    assert heads(beside) == ["A HC", "B ours"]
    open_settings(beside).get_by_role("combobox", name="Connection of run B").select_option("mhc")
    wait_until_done(beside)
    assert heads(beside) == ["A HC", "B ours"]
    assert "trace" not in beside.url
    beside.reload()
    wait_until_done(beside)
    assert heads(beside) == ["A HC", "B ours"]


def test_what_was_not_heard_is_said_on_the_page_and_in_a_saved_file(
    open_page: OpenPage, browser: Browser, server: Server, tmp_path: Path
) -> None:
    model = build_deepseek()
    with torch.no_grad(), attach(model) as probe:
        model(torch.arange(12)[None])
    file = tmp_path / "forward.mhct"
    probe.result().save(file)
    headers = {"content-type": "application/octet-stream"}
    trace = httpx.post(f"{server.api}/traces", content=file.read_bytes(), headers=headers).json()["id"]
    page = open_page(f"/#v=1&runs=hc,trace&{SMALL}&B.trace={trace}")
    said = page.locator(".missing")
    expect(said).to_have_text([f"B {NAME}: the recording has no backward pass, so gradients are unknown."])
    expect(page.locator("#panel-gradient .missing")).to_have_count(1)
    saved = Saved(browser, path := save_view(page, tmp_path / "saved.html"))
    expect(saved.page.locator(".missing")).to_have_text(said.all_inner_texts())
    expect(saved.page.locator("[data-panel=gradient] .missing")).to_have_count(1)
    saved.check(path)


def test_the_map_of_a_recording_shows_numbers_and_offers_no_edit(
    open_page: OpenPage, server: Server, tmp_path: Path
) -> None:
    model, file = build_deepseek(), tmp_path / "cuts.mhct"
    batch = {"input_ids": torch.arange(12)[None]}
    probe = attach(model)
    with torch.no_grad():
        with probe:
            model(**batch)
        probe.atlas(batch)
    probe.result().save(file)
    headers = {"content-type": "application/octet-stream"}
    trace = httpx.post(f"{server.api}/traces", content=file.read_bytes(), headers=headers).json()["id"]
    page = open_page(f"/#v=1&runs=trace&A.trace={trace}", height=1100)
    expect(page.get_by_role("region", name="Edits")).to_contain_text("was recorded with an atlas of every cut")
    page.get_by_role("button", name="Map every cut").click()
    expect(page).to_have_url(re.compile("view.atlas=zero"))
    cells, said = page.locator(".atlas-box"), page.locator("#atlas-cell")
    expect(said).to_have_text("Point at a cell for its numbers. A recording cannot be edited.")
    expect(cells).to_have_attribute("aria-label", "Every single cut: arrow keys move between cells")
    cells.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text(re.compile(r"Stream 1 is cut at layer \d: the last state differs by [\d.]+ %"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Make this edit")).to_have_count(0)
    assert "edits=" not in page.url


def test_its_numbers_are_held_against_each_other(beside: Page) -> None:
    expect(beside.locator(".missing")).to_have_count(0)
    beside.get_by_role("button", name=f"Verify run B {NAME}").click()
    dialog = beside.get_by_role("dialog")
    expect(dialog.locator(".verdict.holds").first).to_contain_text("checks hold")
    expect(dialog).not_to_contain_text("another seed")


def test_alone_it_needs_nothing_computed(open_page: OpenPage, traced: Server) -> None:
    page = open_page(f"/#v=1&runs=trace&A.trace={read_trace().id}")
    assert heads(page) == [f"A {NAME}"]
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Sweep", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Map every cut")).to_have_count(0)
    page.get_by_role("button", name="All settings").click()  # of a recording alone there are none
    expect(page.locator(".drawer")).to_contain_text("It has no atlas of every cut.")
    page.locator(".drawer").get_by_role("button", name="Add a run").click()
    wait_until_done(page)
    assert heads(page)[0] == f"A {NAME}"
    expect(page.locator(".results-table tbody th[scope=row]")).to_have_count(2)


def test_a_link_to_a_trace_that_is_not_here_says_so(open_page: OpenPage, watch: Watch, traced: Server) -> None:
    watch.allow("404")
    page = open_page(f"/#v=1&runs=hc,trace&{SMALL}&B.trace={'0' * 20}", wait=False)
    wait_until_done(page)
    expect(page.locator(".banner")).to_contain_text(f"recording {'0' * 20}: not on this server")
    assert heads(page) == ["A HC"]


@pytest.mark.parametrize(
    ("hash_", "said"),
    [
        (f"runs=hc,trace&{SMALL}&B.trace=x", "B.trace must be the id of a recording"),
        (f"runs=hc&{SMALL}&A.trace=THERE", "A.trace: run A is not a recording"),
        (f"runs=hc,trace&{SMALL}", "this link doesn't name its recording"),
    ],
    ids=["no id", "no trace", "not named"],
)
def test_what_a_link_gets_wrong_is_said(open_page: OpenPage, traced: Server, hash_: str, said: str) -> None:
    page = open_page(f"/#v=1&{hash_.replace('THERE', read_trace().id)}")
    expect(page.locator(".banner")).to_contain_text(said)
    assert heads(page) == ["A HC"]


def test_it_is_shared_with_both_links_and_the_code_names_it(beside: Page, traced: Server) -> None:
    dialog = open_share(beside)
    expect(dialog.get_by_label("Link to these settings")).to_contain_text(f"B.trace={read_trace().id}")
    short = create_link(beside)
    dialog.get_by_role("button", name="Close").click()
    choose_more(beside, "API")
    beside.get_by_role("button", name="Python").click()
    expect(beside.get_by_label("Python", exact=True)).to_contain_text(f'runs.insert(1, "{read_trace().id}")')
    beside.goto(short)
    wait_until_done(beside)
    assert heads(beside) == HEADS
    open_settings(beside).get_by_role("combobox", name="Connection of run A").select_option("residual")
    wait_until_done(beside)
    assert heads(beside) == ["A Residual", f"B {NAME}"]
    assert f"B.trace={read_trace().id}" in beside.url
