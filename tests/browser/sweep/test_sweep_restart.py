"""An open sweep outlives its server: what has been computed is shared and saved, and nothing more is computed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import READY_MS, wait_until_done
from tests.browser.sweep.test_sweep import SMALL, dialog_of, numbers, share_sweep, wait_for_cells
from tests.conftest import Server, StartServer

pytestmark = pytest.mark.full

CUT = SMALL.replace("depth,2,4,6", "depth,2,301,311,321").replace("width=32", "width=64&input.batch=8")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own: the browser's console tells of the answers 404 that the test provokes."""
    made = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
    yield made
    made.close()


@pytest.fixture
def start(launch: StartServer) -> Callable[[], Server]:
    """Start the server, or end it and start it anew at the same address with the same data, to compute nothing."""
    running: list[Server] = []

    def build() -> Server:
        if running:
            running[-1].terminate()
            port = int(running[-1].url.rpartition(":")[2])
            running.append(launch("--workers", "1", port=port, ready="/livez"))
        else:
            running.append(launch("--workers", "2"))
        return running[-1]

    return build


def test_a_whole_sweep_is_shared_and_saved(page: Page, start: Callable[[], Server], tmp_path: Path) -> None:
    page.goto(start().url + SMALL)
    wait_for_cells(page, 6)
    wait_until_done(page)
    before = numbers(page)
    start()
    share = share_sweep(page)
    expect(share.get_by_label("Embed code")).to_contain_text("panel=map")
    link = share.get_by_label("Snapshot link").text_content() or ""
    start()
    with page.expect_download() as loading:
        share.get_by_role("button", name="Download").click()
    loading.value.save_as(tmp_path / "view.html")
    assert before[0][1] in (tmp_path / "view.html").read_text("utf-8")
    page.goto(link)
    expect(dialog_of(page).get_by_role("status")).to_have_text("6 of 6 runs, from this snapshot")
    expect(page.locator("[data-cell]")).to_have_count(6)
    assert numbers(page) == before


def test_what_was_cancelled_stays_so(page: Page, start: Callable[[], Server]) -> None:
    page.goto(start().url + CUT)
    status = dialog_of(page).get_by_role("status")
    expect(status).to_contain_text(re.compile("^[1-9] of 8 runs"), timeout=READY_MS)
    dialog_of(page).get_by_role("button", name="Cancel").click()
    expect(status).to_contain_text("cancelled")
    wait_until_done(page)
    done = status.inner_text().split()[0]
    start()
    page.goto(share_sweep(page).get_by_label("Snapshot link").text_content() or "")
    expect(status).to_have_text(f"{done} of 8 runs; {8 - int(done)} not computed, from this snapshot")
