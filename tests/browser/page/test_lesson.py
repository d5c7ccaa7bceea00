"""The story above the picture: each step sets the runs, and says what their columns hold."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from tests.browser.conftest import OpenPage, read_result, wait_until_done
from tests.conftest import Server

RESIDUAL = {"connection": {"kind": "residual"}}
HC = {"connection": {"kind": "hc"}}
MHC = {"connection": {"kind": "mhc"}}
OPENING = {"connection": {"kind": "mhc", "init": "mhc_lite"}}


def read(server: Server, body: dict[str, Any]) -> Result:
    """The run that the page has shown."""
    return read_result(server, parse_spec(body))


def gain(result: Result, key: str = "composite_gain_fwd") -> float:
    """The largest on the way."""
    return float(result.layers[key].max())


def take(page: Page, step: int) -> str:
    """Choose a step from 1; its text once its runs are whole."""
    button = page.locator(".lesson-steps button").nth(step - 1)
    button.click()
    wait_until_done(page)
    expect(button).to_have_attribute("aria-current", "step")
    return page.locator(".lesson-text").text_content() or ""


def test_the_story_says_why_with_the_numbers_of_the_opening_view(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    expect(page.locator(".lesson h2")).to_contain_text("from one stream to four")
    text = page.locator(".lesson-text")
    expect(text).to_contain_text(f"a signal that all streams share becomes up to {gain(read(server, HC)):.0f} times")
    expect(text).to_contain_text(f"and the same signal becomes at most {gain(read(server, OPENING)):.3f} times")
    for word in ("Hyper-Connections (HC", "Manifold-constrained", "stream"):
        expect(text).to_contain_text(word)
    # Three curves are seen: mHC's size is not the residual network's.
    ours, theirs = (read(server, body).layers["act_rms"][-1] for body in (OPENING, RESIDUAL))
    assert ours < 0.9 * theirs


def test_five_steps_set_the_runs_and_say_what_their_columns_hold(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    one = take(page, 1)
    assert page.locator(".story-card").count() == 1
    residual = read(server, RESIDUAL)
    assert "after the last of 64. " in one
    assert f"{residual.layers['act_rms'][-1]:.2f} after" in one

    assert "similarity after the last layer is 1.00" in take(page, 2)
    still = read(server, {"connection": {"kind": "hc", "noise": 0.0}})
    assert abs(still.layers["stream_cos"][-1] - 1) < 1e-5

    free, hc = take(page, 3), read(server, HC)
    layer = int(page.locator(".scrubber input").input_value()) - 1
    row = abs(hc.matrices["h_res"][layer].sum(1)).max()
    assert f"In layer {layer + 1} the weights of one row then sum to {row:.2f} in magnitude" in free
    assert f"multiply to as much as {gain(hc):.0f}, " in free
    assert f"for the gradient on its way back to {gain(hc, 'composite_gain_bwd'):.0f}" in free

    tied, mhc = take(page, 4), read(server, MHC)
    backward = gain(mhc, "composite_gain_bwd")
    assert f"its factor is never above {gain(mhc):.3f} forward and {backward:.3f} backward" in tied
    assert mhc.matrices["h_res"].min() > 0
    assert page.url.endswith("/#v=1")

    kept = take(page, 5)
    assert f"similarity after the last layer is {read(server, OPENING).layers['stream_cos'][-1]:.2f}" in kept
    assert page.url == f"{server.url}/"
    page.go_back()
    expect(page.locator(".lesson-steps [aria-current]")).to_have_count(0)
    assert page.url.endswith("/#v=1")


@pytest.mark.full
def test_the_reader_is_asked_to_move_the_drift_and_the_story_follows(open_page: OpenPage) -> None:
    page = open_page("/")
    take(page, 5)
    page.get_by_role("button", name="move “Drift").click()
    expect(page.locator('[data-path="connection.noise"] input[type=range]')).to_be_focused()
    before = page.locator(".lesson-text").text_content()
    page.keyboard.press("PageUp")
    wait_until_done(page)
    expect(page.locator(".lesson-steps [aria-current]")).to_have_count(0)
    expect(page.locator(".lesson-text")).not_to_have_text(before or "")
    expect(page.locator(".lesson-text")).not_to_contain_text("becomes up to 790 times")


@pytest.mark.full
def test_it_is_hidden_for_good_and_leaves_presets_alone(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    page.get_by_role("button", name="Story").click()
    expect(page.locator(".lesson")).to_have_count(0)
    page.reload()
    wait_until_done(page)
    expect(page.locator(".lesson")).to_have_count(0)
    page.get_by_role("button", name="Story").click()
    expect(page.locator(".lesson")).to_be_visible()
    page.goto(f"{server.url}/p/no_skip")
    expect(page.locator(".preset-banner")).to_be_visible()
    expect(page.locator(".lesson")).to_have_count(0)


def test_on_a_phone_all_steps_and_the_picture_are_in_the_first_screen(open_page: OpenPage) -> None:
    page = open_page("/", width=390, height=844)
    buttons = page.locator(".lesson-steps button")
    tops = set()
    for index in range(buttons.count()):
        box = buttons.nth(index).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert min(box["width"], box["height"]) >= 24
        tops.add(box["y"])
    assert len(tops) == 1, "one row"
    expect(buttons.first.get_by_text("One stream")).to_be_in_viewport()
    expect(page.get_by_role("button", name="5 What four streams keep")).to_be_in_viewport()
    picture, bar = (page.locator(part).bounding_box() for part in (".picture-box", ".scrubber"))
    assert picture is not None
    assert bar is not None
    assert bar["y"] - picture["y"] > 200, "two runs of it"
    take(page, 3)
    expect(buttons.nth(2).get_by_text("Free mixing explodes")).to_be_in_viewport(ratio=1)
