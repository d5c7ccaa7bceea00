"""Sliders of a saved view: moved in a file that was opened from disk, they show what the server says."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from tests.browser.conftest import OpenPage, read_result
from tests.browser.look.test_access import audit
from tests.browser.share.test_standalone import Saved, save_view
from tests.conftest import Server

pytestmark = pytest.mark.full

KINDS = ["residual", "hc", "mhc"]
DEPTH = 12
SPEC: dict[str, Any] = {"depth": DEPTH, "width": 16}
VIEW = f"/#v=1&depth={DEPTH}&width=16"
# The curves that a card shows, by run and metric, as they are drawn.
DRAWN = """card => card.querySelector('.live:not([hidden])').data.filter((trace) => trace.visible !== false)
    .map(({ meta, y, z }) => ({ run: meta.run, key: meta.key, values: y ?? z }))"""


def move(page: Page, path: str, value: float) -> None:
    """Put a slider of a file on the stop of a value, as a key does: stop by stop."""
    slider = page.locator(f"#try-it [data-path='{path}']")
    output = slider.locator("output")
    slider.locator("input").focus()
    while float(output.inner_text()) != value:
        page.keyboard.press("ArrowRight" if float(output.inner_text()) < value else "ArrowLeft")


def compute(server: Server, **fields: Any) -> list[Result]:
    """What the server says of the three runs."""
    connection = fields.pop("connection", {})
    bodies = [{**SPEC, **fields, "connection": {"kind": kind, **connection}} for kind in KINDS]
    for body in bodies:
        assert httpx.post(f"{server.api}/runs", json=body).is_success
    return [read_result(server, parse_spec(body)) for body in bodies]


def check_curves(page: Page, panel: str, results: list[Result]) -> int:
    """Each curve of a logarithmic card is its column, to 1e-6; how many there are."""
    drawn = page.locator(f"[data-panel={panel}]").evaluate(DRAWN)
    for curve in drawn:
        expected = results[curve["run"]].layers[curve["key"]]
        values = 10.0 ** np.array(curve["values"], dtype=float)
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=f"{panel}: {curve['key']}")
    return len(drawn)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved")


@pytest.fixture
def saved(see_page: OpenPage, browser: Browser, folder: Path) -> Saved:
    """The view in a file, opened without a network; all tests get the same one."""
    path = folder / "view.html"
    if not path.exists():
        page = see_page(VIEW, theme="light")
        save_view(page, path)
        expect(page.get_by_text("Its sliders work without a server.")).to_be_visible()
        page.keyboard.press("Escape")
    return Saved(browser, path)


def test_a_smaller_depth_is_shown_as_the_server_says_it(saved: Saved, server: Server, folder: Path) -> None:
    page = saved.page
    move(page, "depth", 6)
    gain = page.locator("[data-panel=gain]")
    expect(gain.locator(".live .main-svg").first).to_be_visible()
    expect(gain.locator(".on-screen, .figure").first).to_be_hidden()
    results = compute(server, depth=6)
    assert check_curves(page, "gain", results) == 3
    assert check_curves(page, "activation", results) == 3
    picture = page.locator("[data-panel=picture]")
    expect(picture.locator(".live svg")).to_contain_text("Inside layer 4 of HC")
    expect(picture.locator(".live svg").get_by_text("6", exact=True)).to_be_visible()
    # The way down is another of another stack: what only a pass can tell is dimmed.
    gradient = page.locator("[data-panel=gradient]")
    expect(gradient.locator(".figure")).to_have_class("figure waits")
    expect(gradient.locator(".live")).to_be_hidden()
    largest = max(results[1].layers["composite_gain_fwd"])
    expect(page.locator(".said")).to_contain_text(f"B HC {largest:.3g}, ")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200

    move(page, "depth", DEPTH)
    expect(page.locator(".said")).to_have_text("As saved.")
    expect(page.locator(".waits, .live:visible")).to_have_count(0)
    expect(gain.locator(".figure").first).to_be_visible()
    saved.check(folder / "view.html")


def test_drift_and_rounds_follow_from_the_draws(saved: Saved, server: Server, folder: Path) -> None:
    page = saved.page
    move(page, "connection.noise", 0.5)
    expect(page.locator("[data-panel=gain] .live .main-svg").first).to_be_visible()
    assert check_curves(page, "gain", compute(server, connection={"noise": 0.5})) == 3
    for panel in ("picture", "activation", "gradient", "similarity"):
        expect(page.locator(f"[data-panel={panel}] .figure")).to_have_class("figure waits")
    for panel in ("mixing", "detail", "unfolded"):
        expect(page.locator(f"[data-panel={panel}] .live .main-svg").first).to_be_attached()
    move(page, "connection.sinkhorn_iters", 2)
    wanted = compute(server, connection={"noise": 0.5, "sinkhorn_iters": 2})
    page.wait_for_timeout(100)
    assert check_curves(page, "gain", wanted) == 3
    assert max(wanted[2].layers["composite_gain_bwd"]) > 1.001
    saved.check(folder / "view.html")


def test_the_sliders_are_for_everyone_and_not_on_paper(saved: Saved, folder: Path) -> None:
    page = saved.page
    page.set_viewport_size({"width": 390, "height": 844})
    audit(page, "saved view with sliders")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    move(page, "depth", 6)
    page.emulate_media(media="print")
    expect(page.locator("#try-it")).to_be_hidden()
    expect(page.locator("[data-panel=gain] .figure").first).to_be_visible()
    expect(page.locator("[data-panel=gain] .live")).to_be_hidden()
    saved.check(folder / "view.html")


def test_a_file_of_stacks_that_train_has_no_sliders(open_page: OpenPage, browser: Browser, tmp_path: Path) -> None:
    page = open_page("/#v=1&depth=4&width=16&train.steps=2")
    path = save_view(page, tmp_path / "view.html")
    expect(page.get_by_text("sliders work")).to_have_count(0)
    saved = Saved(browser, path)
    assert saved.page.locator("#try-it, script, input").count() == 0
    saved.check(path)
