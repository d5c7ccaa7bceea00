"""A trace, which has no spec, in the page: a stored view, alone and beside a run, as an embed and as a file."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from mhc_core.record import codec
from tests.browser.conftest import OpenPage, create_link, wait_until_done, wait_until_drawn
from tests.browser.share.test_standalone import Saved, save_view
from tests.conftest import Server, compute
from tests.core.attach.attachable import LAYERS, STREAMS
from tests.traced import NAME, capture_trace

NO_SPEC = "A trace has no spec"
SPEC = {"depth": 4, "width": 16, "input": {"tokens": 16}, "connection": {"kind": "hc"}}


@pytest.fixture
def visit(open_page: OpenPage, traced: Server) -> Page:
    """A page of that server, yet to be opened."""
    return open_page("/livez", theme="light", wait=False)


def store_view(server: Server, with_run: bool = False, state: str | None = None) -> str:
    """Store a view of the trace, behind a run or alone; its address."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [*([compute(http, SPEC)] if with_run else []), capture_trace().id]
        usual = "v=1&runs=hc,trace&depth=4&width=16&input.tokens=16" if with_run else "v=1&runs=trace"
        stored = http.post("/snapshots", json={"runs": runs, "state": usual if state is None else state})
        return str(stored.json()["url"])


def open_view(page: Page, server: Server, path: str) -> None:
    page.goto(server.url + path)
    wait_until_done(page)


@pytest.mark.sample(2)
@pytest.mark.parametrize("state", [None, ""], ids=["its own state", "no state"])
def test_a_stored_view_shows_the_trace_under_its_name(see_page: OpenPage, traced: Server, state: str | None) -> None:
    visit = see_page(store_view(traced, state=state))
    story = visit.locator(".story-card")
    expect(story).to_have_count(1)
    expect(story.locator("h2")).to_have_text(f"A {NAME}")
    expect(story.locator(".sentence").first).to_have_text(capture_trace().result.summary.findings[0].text)
    expect(visit.locator("[data-panel=gain] .plot")).to_contain_text(f"A {NAME}")
    drawn = re.compile(rf"A {re.escape(NAME)}: {STREAMS} streams, sizes from")
    expect(visit.locator(".picture-box")).to_have_attribute("aria-label", drawn)
    expect(visit.locator("[data-panel=training]")).to_have_count(0)
    expect(visit.locator(".scrubber")).to_contain_text(f"{LAYERS}")
    wait_until_drawn(visit, "gain")
    assert len(visit.evaluate("document.querySelector('[data-panel=gain] .plot').data[0].x")) == LAYERS
    wait_until_drawn(visit, "detail")
    drawn = visit.evaluate("[...document.querySelector('[data-panel=detail] .plot').data[0].z.map(row => [...row])]")
    assert len(drawn) == STREAMS


@pytest.mark.full
def test_what_a_trace_does_not_know_is_said(see_page: OpenPage, traced: Server) -> None:
    visit = see_page(store_view(traced))
    expect(visit.locator(".banners")).to_contain_text("Change anything to compute anew; a trace stays as it is.")
    expect(visit.locator(".status")).to_contain_text("1 run stored · cpu · a trace")
    expect(visit.locator(".compared")).to_contain_text(NO_SPEC)
    expect(visit.locator(".theory-notes")).to_contain_text(NO_SPEC)
    expect(visit.locator(".verify-button")).to_have_count(1)
    for name, told in (("Run", "so it cannot be computed"), ("Map", "whose settings a map could vary")):
        button = visit.get_by_role("button", name=name, exact=True)
        expect(button).to_be_disabled()
        expect(button).to_have_attribute("title", re.compile(told))


@pytest.mark.full
def test_beside_a_run_both_are_drawn_compared_and_subtracted(visit: Page, traced: Server) -> None:
    open_view(visit, traced, store_view(traced, with_run=True))
    expect(visit.locator(".story-card h2")).to_have_text(["A HC", f"B {NAME}"])
    expect(visit.locator("[data-panel=cka] .plot")).to_contain_text(f"B {NAME}")
    visit.get_by_role("checkbox", name="Difference to A").check()
    wait_until_done(visit)
    expect(visit.locator("[data-panel=gain] .plot")).to_contain_text(f"B {NAME} / A")
    card = visit.locator("#panel-gain")
    card.get_by_role("button", name="Gain, forward: more").click()
    card.get_by_role("button", name="Show as table").click()
    expect(visit.locator("#panel-gain table tbody tr")).to_have_count(LAYERS)


@pytest.mark.full
def test_a_change_computes_the_runs_and_keeps_the_trace(visit: Page, traced: Server) -> None:
    path = store_view(traced, with_run=True)
    open_view(visit, traced, path)
    visit.get_by_role("combobox", name="Connection of run A").select_option("residual")
    wait_until_done(visit)
    expect(visit.locator(".story-card h2")).to_have_text(["A Residual", f"B {NAME}"])
    expect(visit.locator(".banner")).to_have_count(0)
    assert f"B.trace={capture_trace().id}" in visit.url
    visit.go_back()
    wait_until_done(visit)
    expect(visit.locator(".story-card h2")).to_have_text(["A HC", f"B {NAME}"])
    visit.get_by_role("combobox", name="Connection of run B").select_option("mhc")
    wait_until_done(visit)
    expect(visit.locator(".story-card h2")).to_have_text(["A HC", "B mHC"])


@pytest.mark.full
def test_it_is_shared_again_framed_and_saved(visit: Page, traced: Server, browser: Browser, tmp_path: Path) -> None:
    open_view(visit, traced, store_view(traced))
    file = save_view(visit, tmp_path / "trace.html")
    dialog = visit.get_by_role("dialog", name="Share")
    expect(dialog.get_by_label("Link to these settings")).to_contain_text(f"A.trace={capture_trace().id}")
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
    expect(visit.locator(".story-card h2")).to_have_text(f"A {NAME}")
    visit.goto(frame[1].replace("&amp;", "&"))
    expect(visit.locator("#panel-gain .plot")).to_contain_text(f"A {NAME}")


@pytest.mark.full
def test_every_card_of_it_can_be_framed(visit: Page, traced: Server) -> None:
    panels = httpx.get(f"{traced.api}/panels").json()["panels"]
    for panel in panels:
        visit.goto(f"{traced.url}/embed/{capture_trace().id}?panel={panel['key']}&theme=light")
        card = visit.locator(f"#panel-{panel['key']}")
        expect(card.locator("h1")).to_contain_text(panel["title"])
        expect(visit.locator("[aria-busy=true], .loading:visible, .stale")).to_have_count(0)
        expect(card.locator(".plot .main-svg").first).to_be_attached()


@pytest.mark.full
def test_the_page_s_columns_are_python_s(see_page: OpenPage, traced: Server) -> None:
    visit = see_page(store_view(traced))
    drawn = visit.evaluate("[...document.querySelector('[data-panel=activation] .plot').data.at(-1).y]")
    wanted = codec.to_plain(capture_trace().result.layers_log10["act_rms"])
    assert drawn == pytest.approx(list(wanted), rel=1e-6)
