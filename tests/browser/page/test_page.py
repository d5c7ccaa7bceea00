"""The main job, as a person does it: see, drag, go back, share, be refused."""

import json
import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mhc_core.spec import parse_spec
from tests.browser.conftest import (
    OpenPage,
    Watch,
    choose_more,
    create_link,
    expect_layer,
    open_section_of,
    open_settings,
    read_result,
    type_setting,
    wait_until,
    wait_until_done,
    wait_until_drawn,
)
from tests.conftest import Server

PANELS = ["gain", "activation", "gradient", "similarity", "cka", "mixing", "detail", "streams", "unfolded"]
CURVES = """key => document.querySelector(`[data-panel=${key}] .plot`).data
    .filter(trace => trace.visible !== false && trace.meta.end)
    .map(trace => ({name: trace.name, y: Array.from(trace.y)}))"""


def curves(page: Page, panel: str) -> list[dict[str, Any]]:
    """What a panel's figure holds once it is drawn, in Plotly's own words."""
    wait_until_drawn(page, panel)
    found: list[dict[str, Any]] = page.evaluate(CURVES, panel)
    return sorted(found, key=lambda curve: curve["name"])


def at_cursor(page: Page) -> list[str]:
    """What the four charts say of the layer at the cursor."""
    return page.locator(".strip .at-cursor").all_inner_texts()


def drag(page: Page, name: str, share: float, *, release: bool = True) -> None:
    """Move a slider with the mouse from where it is to a share of its width."""
    slider = page.get_by_role("slider", name=name, exact=True)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    at = float(slider.input_value()) / float(slider.get_attribute("max") or 1)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8 + at * (box["width"] - 16), y)
    page.mouse.down()
    page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), y, steps=6)
    if release:
        page.mouse.up()


def test_the_first_visit_shows_the_finished_default_comparison(open_page: OpenPage) -> None:
    page = open_page()
    assert page.locator(".results-table tbody th").all_text_contents() == ["A Residual", "B HC", "C mHC"]
    gains = page.locator(".results-table tbody td:nth-of-type(1)").all_inner_texts()
    assert [gains[0].strip(), gains[2].strip()] == ["×1", "×1.00"]
    assert float(gains[1].strip().removeprefix("×")) > 100
    pictured = page.locator(".picture-box").get_attribute("aria-label") or ""
    assert re.findall(r"gain of the mixing (×[^\s,;.]+(?:\.\d+)?)", pictured) == [gain.strip() for gain in gains]
    assert page.evaluate("location.hash") == ""
    for panel in PANELS:
        open_section_of(page, panel)
        page.locator(f"[data-panel={panel}]").scroll_into_view_if_needed()
        expect(page.locator(f"[data-panel={panel}] .plot .main-svg").first).to_be_visible()
    labels = page.locator(".strip .plot-box").evaluate_all("boxes => boxes.map((box) => box.ariaLabel)")
    assert sum("B HC: " in label for label in labels) >= 3, "findings are read out"
    assert not any(".." in label for label in labels)
    lines = curves(page, "gain")
    assert [line["name"] for line in lines] == ["A Residual", "B HC", "C mHC"]
    assert [len(line["y"]) for line in lines] == [64, 64, 64]
    assert 10 ** max(lines[1]["y"]) > 100


def test_the_page_shows_the_numbers_of_the_interface(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&runs=hc")
    spec = {"depth": 8, "connection": {"kind": "hc"}}
    run = httpx.post(f"{server.api}/runs", json=spec).json()
    assert run["status"] == "done", "the page has asked for the same spec, so it is known"
    columns = httpx.get(f"{server.api}/runs/{run['id']}/result.json").json()["layers"]
    (line,) = curves(page, "activation")
    assert [10**value for value in line["y"]] == pytest.approx(columns["act_rms"], rel=1e-5)


def test_dragging_depth_moves_curves_and_address_and_back_restores(open_page: OpenPage) -> None:
    page = open_page()
    before = curves(page, "activation")
    drag(page, "Depth", 0.2)
    expect(page.locator("output[for=field-depth]")).not_to_have_text("64")
    depth = int(page.locator("output[for=field-depth]").inner_text())
    page.wait_for_url(f"**/#v=1&depth={depth}&connection.init=lucidrains")
    wait_until_done(page)
    shorter = curves(page, "activation")
    assert [len(line["y"]) for line in shorter] == [depth] * 3
    for long, short in zip(before, shorter, strict=True):
        # The last layers differ in nothing either: a deeper stack keeps its first layers.
        assert short["y"] == pytest.approx(long["y"][:depth], abs=1e-4)
    page.go_back()
    expect(page.locator("output[for=field-depth]")).to_have_text("64")
    wait_until_done(page)
    assert page.evaluate("location.hash") == ""
    assert curves(page, "activation") == before
    page.go_forward()
    expect(page.locator("output[for=field-depth]")).to_have_text(str(depth))


@pytest.mark.full
def test_one_drag_is_one_step_back(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    length = page.evaluate("history.length")
    drag(page, "Streams", 0.1, release=False)
    page.wait_for_timeout(400)
    drag(page, "Streams", 0.4)
    wait_until_done(page)
    assert page.evaluate("history.length") == length + 1


@pytest.mark.full
def test_stale_figures_dim_and_never_blank(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    seen: list[tuple[int, bool]] = []
    look = """() => { const box = document.querySelector('[data-panel=activation] .plot-box');
        const plot = box.querySelector('.plot');
        return [plot.data.filter(trace => trace.visible !== false).length, box.classList.contains('stale')]; }"""
    open_settings(page)
    drag(page, "Width", 0.45, release=False)
    for _ in range(40):
        seen.append(tuple(page.evaluate(look)))
        page.wait_for_timeout(15)
    page.mouse.up()
    wait_until_done(page)
    assert min(count for count, _ in seen) >= 1
    assert any(is_stale for _, is_stale in seen)
    assert page.evaluate(look)[1] is False


@pytest.mark.full
def test_runs_in_flight_are_cancelled_while_dragging(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8")
    deleted: list[str] = []
    page.on("request", lambda request: deleted.append(request.url) if request.method == "DELETE" else None)
    type_setting(page, "Depth", 400)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.locator(".status")).to_contain_text("Computing")
    type_setting(page, "Depth", 8)
    wait_until_done(page)
    assert deleted
    assert [len(line["y"]) for line in curves(page, "activation")] == [8, 8, 8]


def test_a_shared_link_opens_the_same_numbers(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=12&connection.noise=0.5&layer=5")
    expected = {panel: curves(page, panel) for panel in ("gain", "activation")}
    numbers = at_cursor(page)
    link = create_link(page)
    assert re.fullmatch(re.escape(server.url) + r"/s/\w+", link)
    opened = open_page(link.removeprefix(server.url))
    expect(opened.locator(".banner")).to_contain_text("Snapshot from")
    assert {panel: curves(opened, panel) for panel in expected} == expected
    assert at_cursor(opened) == numbers
    expect_layer(opened, 5, 12)


@pytest.mark.full
def test_a_change_in_a_stored_view_leaves_it(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=6")
    link = create_link(page)
    opened = open_page(link.removeprefix(server.url))
    type_setting(opened, "Depth", 7)
    opened.wait_for_url("**/#v=1&depth=7")
    wait_until_done(opened)
    expect(opened.locator(".banner")).to_have_count(0)
    opened.go_back()
    opened.wait_for_url(link)
    expect(opened.locator(".banner")).to_contain_text("Snapshot from")
    wait_until_done(opened)
    assert [len(line["y"]) for line in curves(opened, "activation")] == [6, 6, 6]


@pytest.mark.full
def test_a_hash_link_is_computed_anew(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc,mhc&depth=8&A.connection.sinkhorn_iters=0")
    assert page.locator(".results-table tbody th").all_text_contents() == ["A mHC 0", "B mHC 20"]
    assert len(curves(page, "gain")) == 2


@pytest.mark.full
def test_what_a_link_says_wrongly_is_named(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=4&width=16&deptth=9&connection.dynamic=perhaps")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("deptth: no such setting")
    expect(banner).to_contain_text("connection.dynamic must be true or false, not perhaps")


@pytest.mark.full
def test_a_link_out_of_range_opens_as_near_as_is_allowed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&width=16&depth=4&connection.noise=12&layer=50")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("connection.noise must be 0 to 10, so 12 was changed to 10; layer 50 is beyond")
    expect(page.locator("output[for=field-connection-noise]")).to_have_text("10.00")
    expect_layer(page, 4, 4)


@pytest.mark.full
def test_the_document_is_called_after_the_view(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc,mhc&depth=8&width=16&B.name=ours")
    assert page.title() == "HC, ours at depth 8 · mHC Scope"
    page.get_by_role("slider", name="Depth", exact=True).press("ArrowRight")
    assert page.title() == "HC, ours at depth 9 · mHC Scope"
    page.goto(f"{page.url.split('/#')[0]}/p/laws")
    wait_until(page, lambda: page.title() != "mHC Scope")
    assert page.title() == httpx.get(page.url).text.split("<title>")[1].split("</title>")[0].replace("&#39;", "'")


def test_a_refusal_stands_at_the_control_that_it_names(open_page: OpenPage, watch: Watch) -> None:
    watch.allow(r"status of 422")
    page = open_page("/#v=1&depth=8")
    heads = open_settings(page).get_by_role("spinbutton", name="Heads")
    heads.fill("7")
    heads.press("Enter")
    field = page.locator(".drawer [data-path='block.heads']")
    sentence = "Heads (7) must divide width (64). Use 1, 2, 4, 8, 16, 32 or 64."
    expect(field.get_by_role("alert")).to_have_text(sentence)
    expect(page.locator(".banner")).to_have_text(f"{sentence} The page shows the last valid settings instead.")
    expect(page.locator(".plot-box.stale").first).to_be_attached()
    heads.fill("8")
    heads.press("Enter")
    wait_until_done(page)
    expect(page.locator(".error")).to_have_count(0)


@pytest.mark.full
def test_a_spec_that_costs_too_much_says_why(open_page: OpenPage, watch: Watch) -> None:
    watch.allow(r"status of 422")
    page = open_page("/#v=1&depth=8")
    type_setting(page, "Depth", 1024)
    type_setting(page, "Width", 4096)
    expect(page.locator(".drawer [data-path='width'] .error")).to_contain_text("of memory; this server allows")
    expect(page.locator(".drawer > .cost")).to_contain_text("min")
    expect(page.locator(".banner.bad")).to_be_visible()


@pytest.mark.full
def test_what_takes_long_waits_for_a_press_of_run(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual&depth=8")
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    type_setting(page, "Depth", 400)
    type_setting(page, "Width", 512)
    expect(page.locator(".status")).to_contain_text("Takes about")
    expect(page.locator(".plot-box.stale").first).to_be_attached()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".status")).to_contain_text("cancelled")


@pytest.mark.full
def test_overflow_is_drawn_and_said(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=64&width=16&runs=hc&connection.noise=10")
    (line,) = curves(page, "gain")
    assert all(value is not None for value in line["y"])
    assert max(line["y"]) > 38
    assert "×10" in page.locator(".results-table tbody td").first.inner_text()


@pytest.mark.full
def test_the_interface_card_speaks_of_this_view(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=9&runs=hc,mhc")
    choose_more(page, "API")
    dialog = page.get_by_role("dialog", name="API calls for this view")
    dialog.get_by_role("button", name="JSON").click()
    specs = json.loads(dialog.locator("pre").text_content() or "")
    assert specs == [{"depth": 9, "connection": {"kind": kind}} for kind in ("hc", "mhc")]
    dialog.get_by_role("button", name="Python").click()
    expect(dialog.locator("pre")).to_contain_text("plotly.io.from_json")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


@pytest.mark.full
def test_what_is_being_typed_survives_what_arrives(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual&depth=8")
    drawer = open_settings(page)
    depth, width = (drawer.get_by_role("spinbutton", name=f"{name}, exact") for name in ("Depth", "Width"))
    page.evaluate("""() => { const fetch = window.fetch, wait = (go) => setTimeout(go, 500);
        window.fetch = async (...args) => { await new Promise(wait); return fetch(...args); }; }""")
    depth.fill("9")
    depth.press("Enter")
    width.fill("32")
    wait_until_done(page)  # the controls have been drawn anew by then, with the new run's estimates
    expect(width).to_have_value("32")
    width.press("Enter")
    page.wait_for_url("**/#*width=32*")


@pytest.mark.full
def test_closed_sections_and_heads_say_what_their_numbers_are_of(open_page: OpenPage, server: Server) -> None:
    page = open_page("/")
    hc = read_result(server, parse_spec({"connection": {"kind": "hc"}}))
    cosines = hc.layers["cos_prev"][np.isfinite(hc.layers["cos_prev"])]
    shown = f"HC {cosines.min():.2f} to {cosines.max():.2f} · mHC".replace("-", "−")
    expect(page.locator("#section-similarity summary")).to_contain_text(shown)
    assert cosines.min() < 0, "signs flip"
    expect(page.locator("#section-mixing summary")).to_contain_text(
        f"HC ×{hc.layers['gain_fwd'].max():.2f} · mHC ×1.00"
    )
    head = page.locator(".results-table thead")
    expect(head).to_contain_text("nats per byte, untrained")
    expect(head).to_contain_text("mean of streams, last layer")
