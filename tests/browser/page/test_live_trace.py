"""A model whose training goes on while someone watches its page."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SETTLED, OpenPage, expect_layer, type_setting, wait_until_done, wait_until_drawn
from tests.conftest import Server
from tests.watched import EVERY, ITERATIONS, NAME, capture_lines

pytestmark = pytest.mark.full

SMALL = "depth=4&width=16&input.tokens=16"
OCTETS = {"content-type": "application/octet-stream"}


class Trainer:
    """Sends a trace while it grows, as a monitor does."""

    def __init__(self, server: Server) -> None:
        self.http = httpx.Client(base_url=server.api, timeout=60)
        self.lines = capture_lines()
        # Frames of the first observation come before the first step.
        self.sent = next(index for index, line in enumerate(self.lines) if b'"type":"step"' in line)
        begun = self.http.post("/traces/live", content=b"".join(self.lines[: self.sent]), headers=OCTETS).json()
        self.id: str = begun["id"]
        self.headers = {"Authorization": f"Bearer {begun['token']}"}

    def observe(self, count: int) -> None:
        """The next observations."""
        self.send(self.sent + count)

    def send(self, end: int) -> None:
        part = self.lines[self.sent : end]
        address = f"/traces/{self.id}/frames?index={self.sent}"
        self.http.post(address, content=b"".join(part), headers=OCTETS | self.headers).raise_for_status()
        self.sent = end

    def finish(self) -> None:
        """The last observation once more, and the end."""
        self.send(len(self.lines) - 1)
        self.end({"status": "done", "reason": None})

    def end(self, how: dict[str, str | None]) -> None:
        self.http.post(f"/traces/{self.id}/end", json=how, headers=self.headers).raise_for_status()


@pytest.fixture
def trainer(server: Server) -> Iterator[Trainer]:
    """Training that has begun; no test leaves it open."""
    begun = Trainer(server)
    yield begun
    begun.end({"status": "failed", "reason": "the test is over"})
    begun.http.close()


def test_it_grows_in_sight_beside_a_run_that_can_be_changed(open_page: OpenPage, trainer: Trainer) -> None:
    page = open_page(f"/#v=1&runs=hc,trace&{SMALL}&B.trace={trainer.id}", wait=False)
    said, row = page.locator(".topbar .status"), page.locator(".cursor-row")
    expect(said).to_contain_text("B: training, before the first step")
    trainer.observe(3)
    expect(said).to_contain_text(f"B: training, step {2 * EVERY}")
    expect(row).to_contain_text(f"Latest step {2 * EVERY} of 3 observations")
    expect(page.locator(".results-table tbody th").last).to_contain_text(f"training, step {2 * EVERY}")
    expect(page.locator("#panel-activation")).to_contain_text(f"step {2 * EVERY}")
    type_setting(page, "Depth", 6)
    expect_layer(page, 2, 6)
    trainer.observe(2)
    expect(said).to_contain_text(f"B: training, step {4 * EVERY}")
    page.get_by_role("slider", name="observations").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    trainer.observe(1)
    expect(row).to_contain_text(f"Step {3 * EVERY} observation 4 of 6")
    trainer.finish()
    wait_until_done(page)
    expect(row).to_contain_text(f"Step {3 * EVERY} observation 4 of {len(ITERATIONS)}")
    wait_until_drawn(page, "training")
    x = page.evaluate("document.querySelector('[data-panel=training] .plot').data.find((t) => t.meta.run === 1).x")
    assert list(x) == ITERATIONS


def test_a_page_that_comes_late_sees_the_same(open_page: OpenPage, trainer: Trainer) -> None:
    trainer.observe(5)
    page = open_page(f"/#v=1&runs=trace&A.trace={trainer.id}", wait=False)
    expect(page.locator(".cursor-row")).to_contain_text(f"Latest step {4 * EVERY} of 5 observations")
    expect(page.get_by_role("button", name="Share", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    trainer.finish()
    wait_until_done(page)
    expect(page.locator(".results-table tbody th")).to_have_text([f"A {NAME}"])
    expect(page.get_by_role("button", name="Share", exact=True)).to_be_enabled()


def test_training_that_broke_off_says_why(open_page: OpenPage, trainer: Trainer) -> None:
    trainer.observe(2)
    page = open_page(f"/#v=1&runs=hc,trace&{SMALL}&B.trace={trainer.id}", wait=False)
    expect(page.locator(".cursor-row")).to_contain_text(f"Latest step {EVERY} of 2 observations")
    trainer.end({"status": "failed", "reason": "loss is not a number"})
    expect(page.locator(".results-table tbody th").last).to_contain_text("failed: loss is not a number")
    page.evaluate(SETTLED)
    expect(page.locator(".cursor-row")).to_contain_text("2 observations")
