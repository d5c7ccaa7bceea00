"""The benchmarks of the page still find what they measure: one round each, no duration asserted."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks import derived, hand, interaction, page, visit
from tests.browser.conftest import wait_until_done
from tests.conftest import Server

pytestmark = pytest.mark.full


def test_a_visit(browser: Browser, server: Server) -> None:
    found = visit.measure(browser, server, 1)
    assert 0 < found["story"] <= found["all"]
    assert 0.1 < found["megabytes"] < 2
    assert 0 <= found["shift"] < 1


def test_a_release(browser: Browser, server: Server) -> None:
    found = page.measure(browser, server.url, 1)
    assert 0 < found["first"] <= found["last"] == found["slowest"]


def assert_drag(drags: Iterator[dict[str, float]]) -> None:
    found = interaction.summarise(drags)
    assert found.pop("longest") >= 0  # the browser reports none that is below 50 ms
    assert min(found.values()) > 0


def test_a_drag_and_a_cursor(browser: Browser, server: Server) -> None:
    assert_drag(interaction.drag_each(browser, server.url, 20_000, "picture", drags=1))
    assert interaction.measure_cursor(browser, server.url) > 0
    assert min(interaction.measure_signal(browser, server.url).values()) > 0


def test_a_drag_ends_at_runs_that_are_stored(browser: Browser, server: Server) -> None:
    seed = 30_000
    visited = browser.new_page()
    visited.goto(f"{server.url}/#v=1&seed={seed}")
    wait_until_done(visited)
    visited.close()
    assert_drag(interaction.drag_each(browser, server.url, seed, "gain", drags=1))


def test_a_hand_on_a_slider(browser: Browser, server: Server) -> None:
    found = hand.measure_hand(browser, server.url, hand.SLIDERS["drift"], "gain", 0.5)
    assert 0 < found["work"] <= found["most"]
    assert found["frames"] > 0
    assert all(hand.measure_releases(browser, server.url, field, "gain", 1) > 0 for field, _ in hand.SLIDERS.values())


def test_derived_figures_are_those_of_the_server(browser: Browser, server: Server) -> None:
    found = derived.measure(browser, server.url, 4)
    assert found.views == 4
    assert found.figures > 10
    assert found.values > 1000
    assert found.largest <= derived.TOLERANCE
    assert found.differing + found.said == []


def test_a_difference_between_figures_is_found() -> None:
    curve = {"name": "0 act_rms", "isLog": True, "values": [0.0, 1.0, None]}
    for values in ([0.0, 1.0 + 1e-5, None], [0.0, 1.0, 2.0], [0.0, 1.0]):
        found = derived.Found()
        figures = [
            {"gain": {"isDimmed": False, "traces": [curve | {"values": other}]}} for other in (curve["values"], values)
        ]
        derived.add(found, figures[0], figures[1], "address")
        assert (found.figures, len(found.differing)) == (1, 1)
    found = derived.Found()
    derived.add(found, {"gain": {"isDimmed": False, "traces": [curve]}}, {}, "address")
    assert len(found.differing) == 1
