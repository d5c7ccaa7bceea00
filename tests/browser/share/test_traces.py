"""A recording, which has no settings, in the page: a stored view, alone and beside a run, as an embed and as a file."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from mhc_core.record import codec
from tests.browser.conftest import (
    OpenPage,
    create_link,
    open_section_of,
    open_settings,
    wait_until_done,
    wait_until_drawn,
)
from tests.browser.share.test_standalone import Saved, open_findings, save_view
from tests.conftest import Server, compute
from tests.probe.attach.attachable import LAYERS, STREAMS
from tests.traced import NAME, SHORT_NAME, read_trace

pytestmark = pytest.mark.full

SPEC = {"depth": 4, "width": 16, "input": {"tokens": 16}, "connection": {"kind": "hc"}}


@pytest.fixture
def visit(open_page: OpenPage, traced: Server) -> Page:
    """A page of that server, yet to be opened."""
    return open_page("/livez", theme="light", wait=False)


def store_view(server: Server, with_run: bool = False, state: str | None = None) -> str:
    """Store a view of the trace, behind a run or alone; its address."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [*([compute(http, SPEC)] if with_run else []), read_trace().id]
        usual = "v=1&runs=hc,trace&depth=4&width=16&input.tokens=16" if with_run else "v=1&runs=trace"
        stored = http.post("/snapshots", json={"runs": runs, "state": usual if state is None else state})
        return str(stored.json()["url"])


def expect_runs(page: Page, labels: list[str]) -> None:
    """That the table of results has these rows."""
    expect(page.locator(".results-table tbody th")).to_have_text(labels)


def open_view(page: Page, server: Server, path: str) -> None:
    page.goto(server.url + path)
    wait_until_done(page)


@pytest.mark.parametrize("state", [None, ""], ids=["its own state", "no state"])
def test_a_stored_view_shows_the_trace_under_its_name(see_page: OpenPage, traced: Server, state: str | None) -> None:
    visit = see_page(store_view(traced, state=state))
    expect_runs(visit, [f"A {NAME}"])
    open_findings(visit)
    findings = [finding.text for finding in read_trace().result.summary.findings]
    expect(visit.locator(".results-table .sentence")).to_have_text(findings)
    expect(visit.locator("[data-panel=gain] .plot")).to_contain_text(SHORT_NAME)
    drawn = re.compile(rf"A {re.escape(NAME)}: {STREAMS} streams, gain of the mixing ×1.00, sizes from")
    expect(visit.locator(".picture-box")).to_have_attribute("aria-label", drawn)
    expect(visit.locator("#section-training")).to_have_count(0)
    expect(visit.get_by_role("slider", name="Layer", exact=True)).to_have_attribute("max", str(LAYERS))
    wait_until_drawn(visit, "gain")
    assert len(visit.evaluate("document.querySelector('[data-panel=gain] .plot').data[0].x")) == LAYERS
    wait_until_drawn(visit, "detail")
    drawn = visit.evaluate("[...document.querySelector('[data-panel=detail] .plot').data[0].z.map(row => [...row])]")
    assert len(drawn) == STREAMS


def test_what_a_trace_does_not_know_is_said(see_page: OpenPage, traced: Server) -> None:
    visit = see_page(store_view(traced))
    expect(visit.locator(".banners")).to_contain_text("Edit anything to recompute; recordings stay as they are.")
    expect(visit.locator(".topbar .status")).to_have_text("")
    open_section_of(visit, "theory")
    expect(visit.locator(".theory-notes")).to_contain_text("A recording has no settings to predict from.")
    expect(visit.locator(".verify-button")).to_have_count(1)
    expect(visit.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    sweep = visit.get_by_role("button", name="Sweep", exact=True)
    expect(sweep).to_be_disabled()
    expect(sweep).to_have_attribute("title", "A recording has no settings to vary")
    visit.get_by_role("button", name="All settings").click()
    expect(visit.locator(".drawer .compared")).to_contain_text("so settings don't apply")
    visit.get_by_role("button", name="Close settings").click()


def test_beside_a_run_both_are_drawn_compared_and_subtracted(visit: Page, traced: Server) -> None:
    open_view(visit, traced, store_view(traced, with_run=True))
    expect_runs(visit, ["A HC", f"B {NAME}"])
    wait_until_drawn(visit, "cka")
    expect(visit.locator("[data-panel=cka] .plot")).to_contain_text(f"B {NAME}")
    open_settings(visit).get_by_role("checkbox", name="Relative to A").check()
    wait_until_done(visit)
    expect(visit.locator("[data-panel=gain] .plot")).to_contain_text(re.compile("Deepse….* / A"))
    card = visit.locator("#panel-gain")
    card.get_by_role("button", name="Gain, forward: more").click()
    card.get_by_role("button", name="Show as table").click()
    expect(visit.locator("#panel-gain table tbody tr")).to_have_count(LAYERS)


def test_a_change_computes_the_runs_and_keeps_the_trace(visit: Page, traced: Server) -> None:
    path = store_view(traced, with_run=True)
    open_view(visit, traced, path)
    open_settings(visit).get_by_role("combobox", name="Connection of run A").select_option("residual")
    wait_until_done(visit)
    expect_runs(visit, ["A Residual", f"B {NAME}"])
    expect(visit.locator(".banner")).to_have_count(0)
    assert f"B.trace={read_trace().id}" in visit.url
    visit.go_back()
    wait_until_done(visit)
    expect_runs(visit, ["A HC", f"B {NAME}"])
    visit.get_by_role("combobox", name="Connection of run B").select_option("mhc")
    wait_until_done(visit)
    expect_runs(visit, ["A HC", "B mHC"])


def test_it_is_shared_again_framed_and_saved(visit: Page, traced: Server, browser: Browser, tmp_path: Path) -> None:
    open_view(visit, traced, store_view(traced))
    file = save_view(visit, tmp_path / "trace.html")
    dialog = visit.get_by_role("dialog", name="Share")
    expect(dialog.get_by_label("Link to these settings")).to_contain_text(f"A.trace={read_trace().id}")
    short = create_link(visit)
    frame = re.search(r'src="([^"]+)"', dialog.get_by_label("Embed code").text_content() or "")
    assert frame is not None
    saved = Saved(browser, file)
    expect(saved.page.locator("article.run h2")).to_have_text(f"A {NAME}")
    expect(saved.page.locator("body")).to_contain_text("Its seed, training and type are unknown.")
    expect(saved.page.locator("section.panel svg").first).to_be_visible()
    assert "undefined" not in saved.page.locator("body").inner_text()
    saved.check(file)
    open_view(visit, traced, short.removeprefix(traced.url))
    expect_runs(visit, [f"A {NAME}"])
    visit.goto(frame[1].replace("&amp;", "&"))
    expect(visit.locator("#panel-gain .plot")).to_contain_text(f"A {NAME}")


def test_every_card_of_it_can_be_framed(visit: Page, traced: Server) -> None:
    panels = httpx.get(f"{traced.api}/panels").json()["panels"]
    for panel in panels:
        visit.goto(f"{traced.url}/embed/{read_trace().id}?panel={panel['key']}&theme=light")
        card = visit.locator(f"#panel-{panel['key']}")
        expect(card.locator("h1")).to_contain_text(panel["title"])
        expect(visit.locator("[aria-busy=true], .loading:visible, .stale")).to_have_count(0)
        expect(card.locator(".plot .main-svg").first).to_be_attached()


def test_the_page_s_columns_are_python_s(see_page: OpenPage, traced: Server) -> None:
    visit = see_page(store_view(traced))
    drawn = visit.evaluate("[...document.querySelector('[data-panel=activation] .plot').data.at(-1).y]")
    wanted = codec.to_plain(read_trace().result.layers_log10["act_rms"])
    assert drawn == pytest.approx(list(wanted), rel=1e-6)
