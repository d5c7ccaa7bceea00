"""Presets as pages: opened by their links, they say their claim, show their panel, and take their own headline."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from mhc_core.figures import PANELS
from mhc_core.figures.methods import to_run_styles
from mhc_core.findings.gains import format_reduced
from mhc_scope.presets import BY_NAME, PRESETS, Preset
from tests.browser.conftest import (
    OpenPage,
    Watch,
    create_link,
    expect_layer,
    load_page,
    read_result,
    type_setting,
    wait_until_done,
)
from tests.browser.look.test_access import audit, looks
from tests.conftest import Server, start_server

QUICK = "mhc_fig_7"  # in every run of the tests
# One of each figure, with a view where one has it: else presets differ in texts and numbers, which tests without a
# browser compare.
SHOWN = {preset.panel: preset.name for preset in (*sorted(PRESETS, key=lambda one: bool(one.view)), BY_NAME[QUICK])}
MARKS = """() => [...document.querySelectorAll('.results-table tbody th')]
  .map((run) => run.style.getPropertyValue('--run'))"""
IN_SIGHT = """key => {
  const plot = document.querySelector(`#panel-${key} .plot`).getBoundingClientRect();
  return plot.height > 0 && plot.top >= 0 && plot.top + plot.height / 3 <= innerHeight;
}"""


@pytest.fixture(scope="session")  # as wide as the browser's
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as people start it: it serves the records that ship with the package."""
    running = start_server(tmp_path_factory.mktemp("presets"))
    yield running
    running.kill()


@contextmanager
def stop_workers(server: Server) -> Iterator[None]:
    """Let nothing be computed until the block ends."""
    workers = server.worker_pids()
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def banner(page: Page) -> Locator:
    return page.get_by_role("region", name="Preset")


def to_headlines(server: Server, preset: Preset) -> list[str]:
    results = [read_result(server, spec) for spec in preset.specs]
    return [format_reduced(preset.metric, preset.read_number(one), one.streams) for one in results]


# Before all others, which would have it compute.
@pytest.mark.full
def test_a_preset_on_a_fresh_server_is_drawn_though_no_worker_runs(open_page: OpenPage, server: Server) -> None:
    with stop_workers(server):
        page = open_page("/p/mhc_fig_2")
        assert page.locator("#panel-training .plot .scatterlayer .js-line").count() >= 3
        assert page.locator("#panel-gain .plot .scatterlayer .js-line").count() >= 3


@pytest.mark.full
def test_training_that_waits_for_a_worker_has_its_card(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    busy = start_server(tmp_path_factory.mktemp("busy"), "--no-precompute", "--workers", "1")
    context = browser.new_context()
    try:
        with stop_workers(busy):
            page = load_page(context, Watch(busy.url), "/p/mhc_fig_2", wait=False)
            card = page.locator("#panel-training")
            expect(card).to_contain_text("Computing A Residual, B HC, C mHC …")
            expect(page.locator(".cursor-row")).to_have_count(0)
    finally:
        context.close()
        busy.kill()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == QUICK else pytest.mark.full) for name in SHOWN.values()]
)
def test_a_preset_opened_by_its_link(open_page: OpenPage, server: Server, name: str) -> None:
    preset = BY_NAME[name]
    page = open_page(f"/p/{name}", theme="dark")
    expect(page).to_have_title(f"{preset.title} · mHC Scope")
    said = banner(page)
    expect(said.get_by_role("heading")).to_have_text(preset.title)
    expect(said).to_contain_text(preset.description)
    for text in (preset.reference.says, preset.reference.scale) if preset.reference else ():
        expect(said).to_contain_text(text)
    starts = {spec.connection.init for spec in preset.specs if spec.connection.kind == "mhc"}
    is_said = said.get_by_text("on the first screen").count() == 1
    assert is_said == (len(starts) == 1 and starts != {"lucidrains"}), "another start of mHC"
    headlines = to_headlines(server, preset)
    ours = said.locator("tbody td:nth-of-type(1)").all_text_contents()
    assert ours == headlines, "here"
    expect(said.locator("caption")).to_have_text(preset.to_plain()["told"])
    if preset.reference and preset.reference.numbers:
        theirs = said.locator("tbody td:nth-of-type(2)").all_text_contents()
        assert theirs == [preset.reference.numbers.get(label, "–") for label in preset.labels]
    styles = to_run_styles([spec.connection.kind for spec in preset.specs], "dark")
    assert page.evaluate(MARKS) == [style.color for style in styles if style]
    assert page.evaluate(IN_SIGHT, preset.panel)
    card = page.locator(f"#panel-{preset.panel}")
    expect(card.locator(".plot")).not_to_contain_text("Σ nan")
    if preset.view:
        view = next(view for view in PANELS[preset.panel].views if view.key == preset.view)
        expect(card.locator("[aria-pressed=true]")).to_have_text(view.title)
    assert page.evaluate("scrollY") == 0
    assert page.url.endswith(f"/p/{name}")


@pytest.mark.full
def test_the_card_of_a_preset_whose_training_is_queued_says_that_it_is_computed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc&depth=4&width=16")

    def answer_in_part(route: Route) -> None:
        response = route.fetch()
        submitted, *frames = response.text().split("\n\n")
        start = next(frame for frame in frames if '"type":"start"' in frame)
        route.fulfill(response=response, body=f"{submitted}\n\n{start}\n\n")

    page.route("**/runs/compare*", answer_in_part)  # the first run begins, and the others wait
    page.route("**/runs/events*", lambda _: None)
    page.get_by_role("button", name="Examples").click()
    page.get_by_role("link", name=BY_NAME["mhc_fig_2"].title, exact=True).click()
    plot = page.locator("#panel-training .plot")
    expect(plot).to_contain_text("Computing A Residual, B HC, C mHC …")
    expect(plot).not_to_contain_text("No run")
    expect(plot.locator(".xtick, .ytick")).to_have_count(0)


@pytest.mark.full
def test_a_change_by_hand_ends_what_is_said_and_back_brings_it_again(open_page: OpenPage) -> None:
    page = open_page("/p/no_skip")
    type_setting(page, "Depth", 8)
    wait_until_done(page)
    expect(banner(page)).to_contain_text("You changed this preset; its text no longer applies.")
    expect(banner(page)).not_to_contain_text(BY_NAME["no_skip"].description)
    expect(page).to_have_title("Plain, Residual at depth 8 · mHC Scope")
    assert re.search(r"/#v=1&preset=no_skip&runs=none,residual&depth=8", page.url)
    page.go_back()
    wait_until_done(page)
    assert page.url.endswith("/p/no_skip")
    expect(banner(page)).to_contain_text(BY_NAME["no_skip"].description)
    page.get_by_role("button", name="Close the preset").click()
    expect(banner(page)).not_to_be_visible()
    assert "#v=1&runs=none,residual&block.kind=mlp" in page.url


@pytest.mark.full
def test_a_stored_view_of_a_preset_keeps_what_is_said(open_page: OpenPage, server: Server) -> None:
    page = open_page("/p/no_skip#v=1&layer=3")
    expect_layer(page, 3, 64)
    dialog = page.get_by_role("dialog", name="Share")
    link = create_link(page)
    expect(dialog.get_by_label("Link to these settings")).to_have_text(f"{server.url}/p/no_skip#v=1&layer=3")
    stored = open_page(link.removeprefix(server.url))
    expect(banner(stored)).to_contain_text(BY_NAME["no_skip"].description)
    expect(banner(stored).locator("caption")).to_contain_text("Effective rank")
    expect(stored.locator("#panel-cka .plot")).to_be_visible()


@pytest.mark.full
def test_a_hash_names_a_preset_and_what_differs_from_it(open_page: OpenPage) -> None:
    page = open_page("/#preset=no_skip")
    assert page.url.endswith("/p/no_skip")
    changed = open_page("/#preset=no_skip&depth=8")
    expect(banner(changed)).to_contain_text("You changed this preset; its text no longer applies.")
    expect(changed.locator("output[for=field-depth]")).to_have_text("8")
    changed.get_by_role("link", name="Back to the preset").click()
    wait_until_done(changed)
    expect(banner(changed)).to_contain_text(BY_NAME["no_skip"].description)
    unknown = open_page("/#v=1&preset=nothing&depth=8&width=16")
    expect(unknown.get_by_role("alert")).to_contain_text('no preset named "nothing"')


@pytest.mark.full
@looks
def test_axe_finds_nothing_on_a_presets_page(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page("/p/mhc_fig_8", theme=theme, width=width)
    audit(page, "preset", banner(page))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
