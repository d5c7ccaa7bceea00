"""What a hand on a slider sees while it moves on, and what is not done for it."""

import os
import re

from benchmarks.chromium import grab_depth
from tests.browser.conftest import OpenPage, wait_until_done

MOVES, MOVE_MS = 24, 80
WHOLE = """() => Object.fromEntries(document.querySelector('[data-panel=activation] .plot').data
    .filter(trace => trace.meta.key === 'act_rms' && trace.visible !== false)
    .map(trace => [trace.meta.run, Array.from(trace.y).every(Number.isFinite) ? trace.y.length : null]))"""
# What is drawn from now on: figures, and the cursors over them.
COUNT = """() => {
    window.drawn = [];
    for (const box of document.querySelectorAll('[data-panel] .plot-box')) {
        const { panel } = box.closest('[data-panel]').dataset;
        box.querySelector('.plot').on('plotly_afterplot', () => window.drawn.push(panel));
        const watcher = new MutationObserver(() => window.drawn.push(`cursor of ${panel}`));
        watcher.observe(box.querySelector('.overlay'), { childList: true });
    }
}"""


def test_every_run_follows_a_hand_that_moves_on(open_page: OpenPage) -> None:
    page = open_page(f"/#v=1&depth=40&width=32&seed={int.from_bytes(os.urandom(4), 'little')}")
    move = grab_depth(page)
    seen: dict[str, set[int]] = {"0": set(), "1": set(), "2": set()}
    for by in range(1, MOVES + 1):
        move(by)
        page.wait_for_timeout(MOVE_MS)
        for run, layers in page.evaluate(WHOLE).items():
            if layers is not None:
                seen[run].add(layers)
    page.mouse.up()
    for run, depths in seen.items():
        assert depths - {40}, f"run {run} showed no whole curve of another depth while the hand was on the slider"
    wait_until_done(page)


def test_what_is_shown_already_is_not_drawn_again(open_page: OpenPage) -> None:
    page = open_page()
    page.wait_for_timeout(1000)  # what is out of sight is drawn as well
    page.evaluate(COUNT)
    with page.expect_response(re.compile("/runs/compare")):
        page.get_by_role("button", name="Run", exact=True).click()
    wait_until_done(page)
    page.wait_for_timeout(1000)
    assert page.evaluate("window.drawn") == []
    page.locator("body").press("ArrowRight")
    page.wait_for_timeout(500)
    assert "cursor of gain" in page.evaluate("window.drawn")
