"""Trained runs, which ship with their records: the switch next to the drift, and the last step of the story."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from mhc_core.record.result import Result
from mhc_scope.presets import TRAINED
from mhc_scope.presets.records import read_result
from tests.browser.conftest import Watch, load_page, wait_until_done
from tests.conftest import Server, start_server

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has the records that ship with the package."""
    running = start_server(tmp_path_factory.mktemp("shipped"), "--workers", "1")
    yield running
    running.kill()


@pytest.fixture(scope="module")
def visitor(browser: Browser, shipped: Server) -> Iterator[BrowserContext]:
    """A profile for that server; one page of it stays open, for its process, which has the code, ends with the last."""
    context = browser.new_context()
    context.new_page().goto(f"{shipped.url}/livez")
    yield context
    context.close()


@pytest.fixture
def open_shipped(visitor: BrowserContext, shipped: Server) -> Iterator[Callable[[str], Page]]:
    """Open an address of that server."""
    watch = Watch(shipped.url)
    yield partial(load_page, visitor, watch)
    first, *others = visitor.pages
    for page in others:
        page.close()
    first.evaluate("localStorage.clear()")
    watch.check()


def switch(page: Page) -> Locator:
    return page.get_by_role("switch", name="Trained stacks instead of noise")


def drift(result: Result) -> float:
    """Root mean square change of the entries of H_res."""
    changes = result.matrices["h_res"].astype(np.float64) - result.kept["step_h_res"][0]
    return float(np.sqrt((changes**2).mean()))


def test_trained_runs_open_with_their_measured_drift_and_noise_leads_back(open_shipped: Callable[[str], Page]) -> None:
    page = open_shipped("/#v=1&depth=20")
    before = page.url
    switch(page).focus()
    page.keyboard.press("Enter")
    wait_until_done(page)
    expect(switch(page)).to_have_attribute("aria-checked", "true")
    expect(switch(page)).to_be_focused()
    _, hc, mhc = (read_result(spec.id) for spec in TRAINED.specs)
    measured = f"Drift of H_res after 200 steps: HC {drift(hc):.2g}, mHC {drift(mhc):.2g}"
    expect(page.locator(".slider-measured")).to_have_text(measured)
    expect(page.get_by_role("slider", name="Drift σ")).to_have_count(0)
    assert "(HC) amplify a shared signal up to ×631" in page.locator(".step-text").inner_text()
    page.keyboard.press("Space")
    wait_until_done(page)
    assert page.url == before
    expect(switch(page)).to_be_focused()
    expect(page.get_by_role("slider", name="Drift σ")).to_be_visible()


def test_the_last_step_is_drawn_with_log_until_someone_chooses(open_shipped: Callable[[str], Page]) -> None:
    page = open_shipped("/")
    scale = page.get_by_role("switch", name="Logarithmic widths")
    for step, is_log in (("6: What four", "true"), ("4: Doubly", "false"), ("6: What four", "true")):
        page.get_by_role("button", name=step).click()
        wait_until_done(page)
        expect(scale).to_have_attribute("aria-checked", is_log)
    scale.click()
    expect(scale).to_have_attribute("aria-checked", "false")
    assert "view.picture=linear" in page.url
    page.reload()
    wait_until_done(page)
    expect(scale).to_have_attribute("aria-checked", "false")


def test_back_leads_from_trained_runs_to_the_view_before(open_shipped: Callable[[str], Page]) -> None:
    page = open_shipped("/")
    before = page.url
    switch(page).click()
    wait_until_done(page)
    page.go_back()
    wait_until_done(page)
    assert page.url == before
    expect(switch(page)).to_have_attribute("aria-checked", "false")


def test_runs_that_train_from_a_noisy_start_keep_the_slider(open_shipped: Callable[[str], Page]) -> None:
    page = open_shipped("/#v=1&runs=hc&depth=4&train.steps=2")
    expect(switch(page)).to_have_attribute("aria-checked", "false")
    expect(page.get_by_role("slider", name="Drift σ")).to_be_enabled()


def test_the_last_step_says_what_streams_gain_and_then_asks_to_drag_the_drift(
    open_shipped: Callable[[str], Page],
) -> None:
    page = open_shipped("/")
    page.get_by_role("button", name="6: What four streams").click()
    wait_until_done(page)
    sentence = page.locator(".step-text")
    expect(sentence).to_contain_text("We measured no benefit of four streams: at equal compute")
    assert len(sentence.inner_text().split()) <= 24
    expect(switch(page)).to_have_attribute("aria-checked", "true")
    page.get_by_role("button", name="Your turn").click()
    wait_until_done(page)
    drift_slider = page.get_by_role("slider", name="Drift σ")
    expect(drift_slider).to_be_focused()
    expect(sentence).to_contain_text("Your turn: drag “Drift σ”")
    page.keyboard.press("PageUp")
    wait_until_done(page)
    expect(sentence).to_contain_text("amplify a shared signal")


LOSSES = """() => {
    const shown = document.querySelector('#panel-training .plot')?.data?.filter(({visible}) => visible !== false) ?? [];
    const drawn = shown.filter(({meta}) => meta.key === 'step_loss' && meta.end);
    drawn.sort((one, other) => one.meta.run - other.meta.run);
    return drawn.length > 0 && drawn.map(({y}) => Array.from(y));
}"""


def test_steps_of_a_stored_training_come_after_its_figures(open_shipped: Callable[[str], Page]) -> None:
    """The first response has no training steps; a second one has all of them, and the figure of training waits."""
    page = open_shipped(f"/p/{TRAINED.name}")
    page.locator("#section-training > summary").click()
    losses = page.wait_for_function(LOSSES).json_value()
    measured = [read_result(spec.id).steps["step_loss"] for spec in TRAINED.specs]
    np.testing.assert_allclose(losses, measured, rtol=1e-6)
    sent = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert [name.split("frames=")[1].split("&")[0] for name in sent if "frames=" in name] == ["result", "steps"]
