"""A model that was watched while it trained: step by step, under the numbers that its trainer gives them."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, open_section_of, wait_until_done, wait_until_drawn
from tests.conftest import Server
from tests.watched import EVERY, ITERATIONS, NAME, capture_watched

pytestmark = pytest.mark.full

COUNT = len(ITERATIONS)
SMALL = "depth=4&width=16&input.tokens=16"


@pytest.fixture(scope="module")
def watched(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its id, once the server has it."""
    path: Path = tmp_path_factory.mktemp("watched") / "run.mhct"
    capture_watched().save(path)
    headers = {"content-type": "application/octet-stream"}
    return str(httpx.post(f"{server.api}/traces", content=path.read_bytes(), headers=headers).json()["id"])


@pytest.fixture
def page(open_page: OpenPage, watched: str) -> Page:
    """The page beside a run."""
    return open_page(f"/#v=1&runs=hc,trace&{SMALL}&B.trace={watched}")


def test_its_steps_are_called_as_the_trainer_calls_them(page: Page) -> None:
    row = page.locator(".cursor-row")
    expect(row).to_contain_text(f"Latest step {ITERATIONS[-1]} of {COUNT} observations")
    wait_until_drawn(page, "training")
    expect(page.locator("[data-panel=training]")).to_have_count(1)
    drawn = page.evaluate(
        "document.querySelector('[data-panel=training] .plot').data.filter(t => t.visible !== false)[0].x"
    )
    assert list(drawn) == ITERATIONS
    slider = page.get_by_role("slider", name=re.compile("observations"))
    slider.focus()
    for _ in range(COUNT - 3):
        page.keyboard.press("ArrowLeft")
    name = f"Step {3 * EVERY}"
    expect(row).to_contain_text(f"{name} observation 4 of {COUNT}")
    expect(page.locator("#panel-activation .unit")).to_have_text(re.compile(rf"\bstep {3 * EVERY}$"))
    page.wait_for_url("**&step=4&open=training")
    page.reload()
    wait_until_done(page)
    expect(row).to_contain_text(name)


def test_a_click_on_the_axis_finds_the_step_and_the_table_names_it(page: Page) -> None:
    open_section_of(page, "training")
    page.locator("#panel-training").scroll_into_view_if_needed()
    wait_until_drawn(page, "training")
    plot = page.locator("[data-panel=training] .plot .nsewdrag").first
    box = plot.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.51, box["y"] + box["height"] / 2)
    expect(page.locator(".cursor-row")).to_contain_text(f"Step {4 * EVERY}")
    line = page.locator("[data-panel=training] .cursor-x").bounding_box()
    assert line is not None
    assert line["x"] - box["x"] == pytest.approx(box["width"] / 2, abs=0.02 * box["width"])
    page.get_by_role("button", name="Training: more").click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    row = page.locator("#panel-training tr.at-cursor")
    expect(row.locator("th")).to_have_text(str(4 * EVERY))
    expect(page.locator("#panel-training tbody tr")).to_have_count(COUNT)


def test_alone_it_is_a_trace_like_any(open_page: OpenPage, watched: str) -> None:
    page = open_page(f"/#v=1&runs=trace&A.trace={watched}&step=2&view.training=gradient")
    expect(page.locator(".results-table tbody th")).to_have_text([f"A {NAME}"])
    wait_until_drawn(page, "training")
    rows = page.evaluate("document.querySelector('[data-panel=training] .plot').data[0].y")
    assert list(rows) == ITERATIONS
