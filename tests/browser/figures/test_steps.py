"""The cursor of the step: one for all figures of runs that train, moved by slider, key and click, kept in the link."""

import re

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mhc_core.record.codec import from_typed_array
from tests.browser.conftest import (
    OpenPage,
    expect_layer,
    open_section_of,
    wait_until,
    wait_until_done,
    wait_until_drawn,
)
from tests.browser.page.test_page import curves
from tests.conftest import Server, compute

pytestmark = pytest.mark.full

TRAINED = "v=1&runs=residual,hc&depth=6&width=16&train.steps=9&train.kept=3&train.lr=0.1"


def steps_of(page: Page) -> str:
    """What the slider says."""
    return page.locator("label[for=step]").inner_text().replace("\n", " ")


def gains(page: Page) -> list[list[float]]:
    """log10 of the forward gains as drawn, run A first."""
    return [line["y"] for line in curves(page, "gain")]


def matrix_at_cursor(page: Page) -> np.ndarray:
    """What the detail card draws of run B."""
    wait_until_drawn(page, "detail")
    plot = page.locator("[data-panel=detail] .plot")
    return np.array(plot.evaluate("plot => plot.data.find(trace => trace.z).z.map(row => [...row])"))


def test_only_a_view_that_trains_has_the_slider(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=4&width=16&step=3")
    expect(page.locator("#step")).to_have_count(0)
    page.keyboard.press(".")
    assert page.url.endswith("step=3"), "what the link says is kept, though nothing here trains"


def test_figures_follow_the_step_and_the_link_keeps_it(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}")
    assert steps_of(page).startswith("Trained in 9")
    trained, matrix = gains(page), matrix_at_cursor(page)
    expect(page.locator("#panel-gain .unit")).to_have_count(0)
    page.locator("#step").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**/#*&step=1*")
    assert steps_of(page).startswith("Step 1 / 9")
    expect(page.locator("#panel-gain .unit")).to_have_text("step 1")
    expect(page.locator("#panel-activation .unit")).to_have_text("step 1")
    expect(page.locator("#panel-detail-title")).to_contain_text(", step 1")
    wait_until_done(page)
    first = gains(page)
    assert first[0] == pytest.approx(trained[0], abs=1e-6), "residual mixing does not learn"
    assert max(abs(np.subtract(first[1], trained[1]))) > 1e-3
    assert abs(matrix_at_cursor(page) - matrix).max() > 1e-3
    page.reload()
    wait_until_done(page)
    assert steps_of(page).startswith("Step 1 / 9")
    assert gains(page) == first
    page.locator("#step").press("End")
    page.wait_for_url(re.compile(r"#(?!.*step=\d+$)"))
    wait_until_done(page)
    assert gains(page) == trained


def test_activation_gradient_and_cka_follow_the_step_in_figure_and_table(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}&layer=4&step=8")
    wait_until_done(page)
    for panel in ("activation", "gradient"):
        place = page.locator(f"#panel-{panel} .unit")
        expect(place).to_have_text("step 8")
        late = [line["y"] for line in curves(page, panel)]
        page.keyboard.press(".")
        expect(place).to_have_text("step 9")
        wait_until_drawn(page, panel)
        assert max(abs(np.subtract([line["y"] for line in curves(page, panel)], late)).flat) > 1e-6
        page.keyboard.press(",")
        wait_until_drawn(page, panel)
        assert [line["y"] for line in curves(page, panel)] == late
        shown = page.locator(f"#panel-{panel} .at-cursor b").all_inner_texts()
        assert len(shown) == 2
    open_section_of(page, "cka")
    expect(page.locator("#panel-cka-title")).to_have_text("Layer similarity (CKA), step 9")
    card = page.locator("[data-panel=cka]")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, "cka")
    row = card.locator(".plot").evaluate("plot => [...plot.data[1].z[3]]")
    card.get_by_role("button", name="Layer similarity (CKA): more").click()
    card.get_by_role("button", name="Show as table").click()
    cells = card.locator("table.numbers tbody tr td:last-child").all_text_contents()
    assert [float(text.replace("−", "-")) for text in cells] == pytest.approx(row, abs=6e-4)


def test_keys_move_the_step(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}&step=8")
    for key, said in ((".", "Step 9"), (".", "Trained"), (".", "Trained"), (",", "Step 9"), (",", "Step 8")):
        page.keyboard.press(key)
        expect(page.locator("label[for=step]")).to_contain_text(said)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_contain_text("previous or next step of training")


def test_a_click_in_a_figure_of_steps_pins_the_step(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}&layer=2")
    wait_until_drawn(page, "training")
    card = page.locator("[data-panel=training]")
    card.scroll_into_view_if_needed()
    wait_until_done(page)
    place = """plot => { const {xaxis, yaxis} = plot._fullLayout; const box = plot.getBoundingClientRect();
        return [box.left + xaxis._offset + xaxis.l2p(4), box.top + yaxis._offset + yaxis._length / 2]; }"""
    page.mouse.click(*card.locator(".plot").evaluate(place))
    expect(page.locator("label[for=step]")).to_contain_text("Step 4")
    expect_layer(page, 2, 6)
    expect(card.locator(".cursor-x")).to_have_count(1)
    expect(card.locator(".at-cursor b")).to_have_count(2)

    card.get_by_role("button", name="gain", exact=True).click()
    expect(card.locator(".cursor-y")).to_have_count(2)
    expect(card.locator(".cursor-x")).to_have_count(2)
    cell = """plot => { const {xaxis2: x, yaxis2: y} = plot._fullLayout; const box = plot.getBoundingClientRect();
        return [box.left + x._offset + x.l2p(5), box.top + y._offset + y.l2p(7)]; }"""
    page.mouse.click(*card.locator(".plot").evaluate(cell))
    expect(page.locator("label[for=step]")).to_contain_text("Step 7")
    expect_layer(page, 5, 6)
    page.wait_for_url("**/#*layer=5&step=7&view.training=gain*")


def test_the_table_and_the_figure_over_rest_are_of_the_step(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}&step=1")
    card = page.locator("[data-panel=gain]")
    card.hover()
    card.get_by_role("button", name="Gain, forward: more").click()
    with page.expect_download() as download:
        card.get_by_role("button", name="JSON").click()
    assert "step=0" in download.value.url
    figure = page.request.get(download.value.url).json()
    theirs = [trace["y"] for trace in figure["data"] if trace["meta"]["end"] and trace.get("visible", True)]
    assert np.allclose(list(reversed(theirs)), gains(page), atol=1e-6)
    assert "step 1" in figure["layout"]["title"]["text"]


def test_framed_cards_and_a_stored_view_are_of_the_step(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        train = {"steps": 9, "kept": 3, "lr": 0.1}
        run_id = compute(http, {"depth": 6, "width": 16, "connection": {"kind": "hc"}, "train": train})
        name = http.post("/snapshots", json={"runs": [run_id], "state": "v=1&layer=3&step=6"}).json()["id"]
        result = http.get(f"/runs/{run_id}/result?arrays=packed").json()
    wanted = from_typed_array(result["steps_log10"]["step_act_rms"])[5].tolist()
    matrix = from_typed_array(result["kept"]["step_cka"])[1]
    page = open_page(f"/embed/{name}?panel=activation", wait=False)
    expect(page.locator("h1")).to_have_text("Activation, step 6")
    wait_until_drawn(page, "activation")
    assert [line["y"] for line in curves(page, "activation")] == [pytest.approx(wanted, rel=1e-5)]
    page.goto(f"{server.url}/embed/{name}?panel=cka")
    expect(page.locator("h1")).to_have_text("Layer similarity (CKA), step 5")
    wait_until_drawn(page, "cka")
    assert np.allclose(page.locator(".plot").evaluate("plot => plot.data[0].z.map(row => [...row])"), matrix)
    page.goto(f"{server.url}/s/{name}")
    expect(page.locator("#panel-gradient .unit")).to_have_text("step 6")
    wait_until_drawn(page, "streams")
    expect(page.locator("#panel-streams-title")).to_have_text("Single streams, step 5")


def test_figures_out_of_sight_follow_too(open_page: OpenPage) -> None:
    page = open_page(f"/#{TRAINED}&step=1")
    wait_until_drawn(page, "streams")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("[data-panel=streams] .plot")).not_to_be_in_viewport()
    first = [line["y"] for line in curves(page, "streams")]
    page.locator("#step").press("End")
    expect(page.locator("#panel-streams-title")).to_have_text("Single streams")
    trained = [line["y"] for line in curves(page, "streams")]
    expect(page.locator("[data-panel=streams] .plot")).not_to_be_in_viewport()
    assert trained != first


def test_cards_say_how_far_training_is(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc&depth=8&width=64&train.steps=250", wait=False)
    progress = page.locator(".picture-card .card-progress")
    expect(progress).to_contain_text(re.compile(r"training: step \d+ of 250, .* left"))
    first = progress.locator("progress").evaluate("bar => bar.value")
    wait_until(page, lambda: progress.locator("progress").evaluate("bar => bar.value") > first)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(progress).to_have_count(0)
