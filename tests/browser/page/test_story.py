"""The heading: a headline, one sentence, and six steps that set the runs and state their numbers."""

import pytest
from playwright.sync_api import Page, expect

from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from mhc_scope.presets import BY_NAME
from tests.browser.conftest import OpenPage, read_result, wait_until_done
from tests.conftest import Server

HC = {"connection": {"kind": "hc"}}


def gain(result: Result, key: str = "composite_gain_fwd") -> float:
    """The largest on the way."""
    return float(result.layers[key].max())


def sentence(page: Page) -> str:
    """What the heading says below the headline."""
    return page.locator(".step-text").inner_text()


def next_step(page: Page, name: str = "Next") -> str:
    """Press the button that leads on; the sentence once the runs are whole."""
    page.locator(".heading .next").get_by_text(name).click()
    wait_until_done(page)
    return sentence(page)


def test_the_page_opens_with_a_headline_and_the_gains_of_its_runs(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    headline = page.get_by_role("heading", level=1)
    expect(headline).to_have_text("One signal, 64 layers, three ways to connect them")
    hc = read_result(server, parse_spec(HC))
    assert sentence(page) == (
        f"Hyper-Connections (HC) amplify a shared signal up to ×{gain(hc):.0f}, "
        "Manifold-Constrained Hyper-Connections (mHC) ×1.00. Press Start to see why."
    )
    assert len(sentence(page).split()) <= 24


@pytest.mark.full
def test_the_steps_answer_what_a_stream_is_and_what_mixing_does(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    one = next_step(page, "Start")
    expect(page.get_by_role("heading", level=1)).to_have_text("One signal, 64 layers, one way to connect them")
    assert one.startswith("A stream carries the signal past every layer")
    four = next_step(page)
    assert four.startswith("Hyper-Connections (HC) use 4 streams")
    assert [name in four for name in ("H_pre", "H_res", "H_post")] == [True] * 3
    free, hc = next_step(page), read_result(server, parse_spec(HC))
    assert free.startswith("Gain is how much mixing amplifies a shared signal.")
    layer, peak = hc.layers["gain_fwd"].max(), 1 + hc.layers["composite_gain_fwd"].argmax()
    assert f"one layer reaches ×{layer:.2f}, layers 1 to {peak} together ×{gain(hc):.0f}" in free
    constrained = next_step(page)
    assert constrained.startswith("Manifold-Constrained Hyper-Connections (mHC) only average streams")
    assert "H_res ≥ 0, rows and columns sum to 1" in constrained
    assert f"So gain stays ×1.00, HC ×{gain(hc):.0f}" in constrained
    assert page.url == f"{server.url}/"
    cut = next_step(page)
    assert "connection.init=lucidrains" in page.url, "mHC of the step before"
    behind = [100 * read_result(server, spec).layers["effect_state"][20] for spec in BY_NAME["cut_stream"].specs]
    said = (
        "Stream 3 is cut at layer 21: the state differs by {:.0f} % in HC, {:.0f} % in mHC. Later layers reduce both."
    )
    assert cut.replace("\u00a0", " ") == said.format(*behind)
    numbers = page.locator(".picture-box").get_attribute("aria-label")
    assert f"×{gain(hc):.0f} without the cut" in str(numbers), "why HC had another gain one step before"
    assert max(len(text.split()) for text in (one, four, free, constrained, cut)) <= 24


@pytest.mark.full
def test_a_step_stays_on_while_a_slider_moves_and_follows_its_numbers(open_page: OpenPage) -> None:
    page = open_page("/")
    button = page.get_by_role("button", name="3: Free mixing")
    button.click()
    wait_until_done(page)
    before = sentence(page)
    page.get_by_role("slider", name="Drift σ").press("PageUp")
    wait_until_done(page)
    expect(button).to_have_attribute("aria-current", "step")
    assert sentence(page) != before
    assert sentence(page).startswith("Gain is how much mixing amplifies")


@pytest.mark.full
def test_story_leads_to_the_first_step_from_an_example(open_page: OpenPage) -> None:
    page = open_page("/p/no_skip")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator(".heading")).to_have_count(0)
    story = page.get_by_role("button", name="Story")
    story.click()
    wait_until_done(page)
    expect(page.get_by_role("button", name="1: One stream")).to_have_attribute("aria-current", "step")
    assert sentence(page).startswith("A stream carries the signal")
    expect(story).to_have_count(0)


@pytest.mark.full
def test_on_a_phone_steps_picture_and_sliders_are_in_the_first_screen(open_page: OpenPage) -> None:
    page = open_page("/", width=390, height=844)
    boxes = [button.bounding_box() for button in page.locator(".steps button").all()]
    assert len({box["y"] + box["height"] / 2 for box in boxes if box}) == 1, "one row"
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    assert all(box and min(box["width"], box["height"]) >= 24 for box in boxes)
    for name in ("Depth", "Streams", "Drift σ"):
        expect(page.get_by_role("slider", name=name)).to_be_in_viewport(ratio=1)
    picture = page.locator(".picture-card").bounding_box()
    assert picture is not None
    assert 150 < picture["height"] <= 0.45 * 844


@pytest.mark.full
def test_the_picture_stays_in_its_place_while_steps_change_the_sentence(open_page: OpenPage) -> None:
    page = open_page("/", width=1024, height=900)
    heights: dict[int, set[int]] = {width: set() for width in (1440, 1280, 1024)}
    note_heights(page, heights)
    for step in range(5):  # the sixth trains
        page.locator(".steps .step").nth(step).click()
        wait_until_done(page)
        note_heights(page, heights)
    assert [len(found) for found in heights.values()] == [1, 1, 1], heights


def note_heights(page: Page, heights: dict[int, set[int]]) -> None:
    """Add the height of the sentence, in px, at each width of the window."""
    for width, found in heights.items():
        page.set_viewport_size({"width": width, "height": 900})
        found.add(page.locator(".step-text").evaluate("text => text.clientHeight"))
