"""A hand on a slider: what needs no pass is there at once, of all runs or of none, and is what the server says."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import SETTLED, OpenPage, open_section_of, open_settings, wait_until, wait_until_done
from tests.browser.page.test_page import curves, drag

pytestmark = pytest.mark.full

# Of every figure of curves in sight, in every frame: how many layers each run is drawn over.
WATCH = """() => {
    window.lengths = [];
    const look = () => {
        for (const card of document.querySelectorAll('[data-panel]')) {
            const lines = (card.querySelector('.plot')?.data ?? []).filter((trace) =>
                trace.visible !== false && trace.meta.end && !trace.meta.parts);
            window.lengths.push([card.dataset.panel, [...new Set(lines.map((trace) => trace.x.length))]]);
        }
        requestAnimationFrame(look);
    };
    look();
}"""
LENGTHS = """key => document.querySelector(`[data-panel=${key}] .plot`).data
    .filter((trace) => trace.visible !== false && trace.meta.end).map((trace) => trace.x.length)"""
# Without a pause, which a slow machine would make of every move of a mouse.
SWEEP = """places => {
    const slider = document.getElementById('field-depth');
    for (const place of places) {
        slider.value = String(place);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    }
}"""
# Which figures are sketched in the frame that follows a move.
STEP = """place => new Promise((resolve) => {
    const slider = document.getElementById('field-depth');
    slider.value = String(place);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(() => {
        const isSketched = (key) => document.querySelector(`[data-panel=${key}] .sketch`) !== null;
        resolve(['activation', 'gain', 'gradient'].map((key) => [key, isSketched(key)]));
    });
})"""
# How often the picture is drawn in the frame that follows a move, and whether the document has its old name then.
UNSEEN = """place => new Promise((resolve) => {
    const { clearRect } = CanvasRenderingContext2D.prototype;
    let drawn = 0;
    CanvasRenderingContext2D.prototype.clearRect = function (...rest) {
        if (this.canvas.closest('.picture-box')) drawn++;
        return clearRect.apply(this, rest);
    };
    const title = document.title;
    const slider = document.getElementById('field-depth');
    slider.value = String(place);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(() => resolve([drawn, document.title === title]));
})"""
# Which rows of results wait in the frame that follows a move.
ROWS = """place => new Promise((resolve) => {
    const slider = document.getElementById('field-depth');
    slider.value = String(place);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    const rows = [...document.querySelectorAll('.results-table tbody tr:not(.findings)')];
    requestAnimationFrame(() => resolve(rows.map((row) => 'waits' in row.dataset)));
})"""
# The picture's static parts after a move to another depth and back, while the slider still moves.
AROUND = """() => new Promise((resolve) => {
    const slider = document.getElementById('field-depth');
    for (const by of [-1, 1]) {
        slider.value = String(slider.valueAsNumber + by);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    }
    const read = () => resolve(document.querySelector('.picture-box canvas').toDataURL());
    requestAnimationFrame(() => setTimeout(read));
})"""
# How often each canvas of the picture is painted until it shows the last move, and how often components are rendered.
WORK = """async ([field, places]) => {
    const { options } = await import('preact');
    const { __r: onRender } = options;
    const rendered = { Cell: 0, Section: 0, Sparkline: 0 };
    options.__r = (node) => {
        if (node.type.name in rendered) rendered[node.type.name]++;
        onRender?.(node);
    };
    const box = document.querySelector('.picture-box');
    const canvases = [...box.querySelectorAll('canvas')].slice(0, 2);
    const painted = [0, 0];
    const { clearRect } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...rest) {
        if (canvases.includes(this.canvas)) painted[canvases.indexOf(this.canvas)]++;
        return clearRect.apply(this, rest);
    };
    const slider = document.getElementById(field);
    let sparklines = null; // of the first move: texts follow it, and others a few times a second
    for (const place of places) {
        Object.assign(rendered, { Cell: 0, Section: 0, Sparkline: 0 });
        painted.fill(0);
        slider.value = String(place);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        do await new Promise(requestAnimationFrame);
        while (box.ariaBusy);
        sparklines ??= rendered.Sparkline;
    }
    return { ...rendered, Sparkline: sparklines, painted };
}"""
# After each of some moves, so many ms of the page's clock apart: the slider's number, two texts, and whether they wait.
TEXTS = """async ([places, apart_ms]) => {
    const { now } = performance;
    let clock = now.call(performance);
    performance.now = () => clock;
    const slider = document.getElementById('field-depth');
    const read = (selector) => document.querySelector(selector).textContent;
    const found = [];
    for (const place of places) {
        slider.value = String(place);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        for (let turn = 0; turn < 9; turn++) await null; // rendered in a microtask, before the slider could rest
        const row = document.querySelector('.results-table tbody tr:not(.findings)');
        const texts = [read('#headline'), read('[data-metric=activation]')];
        found.push([read('output[for=field-depth]'), texts.join(), 'waits' in row.dataset]);
        clock += apart_ms;
    }
    performance.now = now;
    return found;
}"""
# A move and a release; how often Plotly then draws in two frames.
RELEASE = """() => new Promise((resolve) => {
    const { react } = Plotly;
    const slider = document.getElementById('field-depth');
    const nextFrame = (then) => requestAnimationFrame(() => setTimeout(then));
    let drawn = 0;
    slider.value = '9';
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    nextFrame(() => {
        Plotly.react = (...rest) => {
            drawn++;
            return react(...rest);
        };
        slider.dispatchEvent(new Event('change', { bubbles: true }));
        nextFrame(() => nextFrame(() => {
            Plotly.react = react;
            resolve(drawn);
        }));
    });
})"""
# A hand that goes to and fro, deeper than all that is here, until it is let go; whether a sketch then has whole curves.
CREEP = """() => {
    const slider = document.getElementById('field-depth');
    const { lineTo, beginPath } = CanvasRenderingContext2D.prototype;
    let points = 0;
    CanvasRenderingContext2D.prototype.beginPath = function (...rest) {
        points = 0;
        return beginPath.apply(this, rest);
    };
    CanvasRenderingContext2D.prototype.lineTo = function (...rest) {
        if (this.canvas.className === 'sketch' && ++points === Number(slider.value)) window.isWhole = true;
        return lineTo.apply(this, rest);
    };
    [window.isHeld, window.isWhole] = [true, false];
    const step = (place) => {
        if (!window.isHeld) return slider.dispatchEvent(new Event('change', { bubbles: true }));
        slider.value = String(place);
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        setTimeout(step, 30, place === 9 ? 10 : 9);
    };
    step(9);
}"""
# Watches which charts show a sketch of final curves, and where sketches write texts, in px from their corner.
WATCH_SKETCHES = """() => {
    window.sketched = new Set();
    window.texts = {};
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const { e, f } = this.getTransform();
        if (this.canvas.className === 'sketch') window.texts[text] = [e / devicePixelRatio, f / devicePixelRatio];
        return fillText.call(this, text, x, y);
    };
    const status = document.querySelector('.status');
    const look = () => {
        if (status.dataset.phase !== 'idle') return;
        for (const box of document.querySelectorAll('.plot-box.sketched:not([data-waits])'))
            window.sketched.add(box.closest('[data-panel]').dataset.panel);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, attributes: true });
}"""
# The title of a chart's vertical axis, with its middle and its top, from the corner of the chart in px.
TITLE = """key => {
    const box = document.querySelector(`[data-panel=${key}] .plot-box`);
    const title = [...box.querySelectorAll('.annotation-text')].at(-1);
    const [frame, place] = [box.getBoundingClientRect(), title.getBoundingClientRect()];
    return [title.textContent, (place.left + place.right) / 2 - frame.left, place.top - frame.top];
}"""
NOISE = "Drift σ"
SHORT_PX = 600  # the table of results is below
TALL_PX = 2000  # all that is looked at is in sight: what is not is not drawn
DIMMED_MS = 400  # longer than a figure that waits takes to be dimmed


@contextmanager
def silence(page: Page) -> Iterator[list[Route]]:
    """A server that hears requests for runs and does not answer until the block ends."""
    held: list[Route] = []
    page.route("**/runs/compare*", lambda route: held.append(route))  # a bound method is refused
    yield held
    for route in held:
        route.continue_()
    page.unroute("**/runs/compare*")


def lengths(page: Page, panel: str) -> list[int]:
    found: list[int] = page.evaluate(LENGTHS, panel)
    return found


def depth_of(page: Page) -> int:
    return int(page.locator("output[for=field-depth]").inner_text())


def is_stale(page: Page, panel: str) -> bool:
    return page.locator(f"[data-panel={panel}] .plot-box.stale").count() == 1


def test_final_curves_are_sketched_until_plotly_has_drawn_them(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    wait_until_done(page)
    page.evaluate(WATCH_SKETCHES)
    page.evaluate("location.hash = '#v=1&depth=24'")
    wait_until(page, lambda: lengths(page, "activation") == [24] * 3)
    wait_until_done(page)
    assert {"gain", "activation", "gradient"} <= set(page.evaluate("[...window.sketched]"))
    for panel in ("gain", "activation", "gradient"):  # the title of the axis, turned, stays where it is
        title, middle, top = page.evaluate(TITLE, panel)
        # A canvas takes the middle of the em square, which is 2 px from that of the letters' box.
        assert page.evaluate("title => window.texts[title]", title) == pytest.approx([middle + 2, top], abs=1)
    expect(page.locator(".sketch")).to_have_count(0)


def test_a_smaller_depth_is_there_before_the_server_answers(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    with silence(page):
        drag(page, "Depth", 0.02, release=False)
        depth = depth_of(page)
        assert depth < 16
        wait_until(page, lambda: lengths(page, "gain") == [depth] * 3)
        wait_until(page, lambda: lengths(page, "activation") == [depth] * 3)
        page.wait_for_timeout(DIMMED_MS)
        assert [is_stale(page, panel) for panel in ("gain", "activation", "gradient")] == [False, False, True]
        assert lengths(page, "gradient") == [16] * 3
        expect(page.locator(".sketch")).to_have_count(0)  # the hand rests
        at_once = {panel: curves(page, panel) for panel in ("gain", "activation")}
        page.mouse.up()
    wait_until_done(page)
    assert lengths(page, "gradient") == [depth] * 3
    assert {panel: curves(page, panel) for panel in at_once} == at_once


def test_of_a_deeper_stack_the_layers_that_are_here_are_there_at_once(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    before = curves(page, "activation")
    with silence(page):
        drag(page, "Depth", 0.1, release=False)
        depth = depth_of(page)
        assert depth > 8
        wait_until(page, lambda: lengths(page, "activation") == [depth] * 3)
        for long, short in zip(curves(page, "activation"), before, strict=True):
            assert long["y"] == [*short["y"], *[None] * (depth - 8)]
        page.wait_for_timeout(DIMMED_MS)
        assert [is_stale(page, panel) for panel in ("activation", "gain")] == [False, True]
        page.mouse.up()
    wait_until_done(page)
    assert all(None not in line["y"] for line in curves(page, "activation"))


def test_what_is_not_known_is_dimmed_before_the_server_answers(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=12&runs=mhc_lite", height=TALL_PX)  # whose products are not known in float32
    with silence(page):
        drag(page, NOISE, 0.2)
        expect(page.locator("[data-panel=gain] .plot-box.stale")).to_be_attached()
        expect(page.locator(".picture-box .stale").first).to_be_attached()
    wait_until_done(page)
    expect(page.locator(".stale")).to_have_count(0)


def test_gains_follow_the_drift_without_the_server(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=12")
    before = curves(page, "gain")
    with silence(page):
        drag(page, NOISE, 0.6, release=False)
        wait_until(page, lambda: curves(page, "gain")[1] != before[1])
        page.wait_for_timeout(DIMMED_MS)
        expect(page.locator(".sketch")).to_have_count(0)  # the hand rests
        assert [is_stale(page, panel) for panel in ("gain", "activation")] == [False, True]
        moved = curves(page, "gain")
        assert max(moved[1]["y"]) > max(before[1]["y"])
        page.mouse.up()
    wait_until_done(page)
    confirmed = curves(page, "gain")
    for known, said in zip(moved, confirmed, strict=True):
        assert known["y"] == pytest.approx(said["y"], rel=1e-6, abs=1e-6)


def test_no_frame_has_runs_of_different_depths(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=24&seed=77")
    page.evaluate(WATCH)
    drag(page, "Depth", 0.01, release=False)
    wait_until(page, lambda: set(lengths(page, "gain")) == {2})  # the pointer rests, and the page requests the runs
    drag_to(page, 0.08)  # deeper than what was requested
    page.wait_for_timeout(300)
    page.mouse.up()
    wait_until_done(page)
    seen: list[tuple[str, list[int]]] = page.evaluate("window.lengths")
    assert len({tuple(found) for panel, found in seen if panel == "gain"}) > 2
    assert [item for item in seen if len(item[1]) > 1] == []


def drag_to(page: Page, share: float) -> None:
    """Move the thumb that is held."""
    box = page.get_by_role("slider", name="Depth", exact=True).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2, steps=6)


def test_a_hand_that_moves_asks_for_nothing_that_it_passes(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/runs/compare" in request.url else None)
    page.evaluate(SWEEP, [12, 10, 8, 6, 4])
    wait_until(page, lambda: lengths(page, "gain") == [5] * 3)
    wait_until_done(page)
    assert len(asked) == 1


def test_a_hand_that_moves_draws_curves_on_a_canvas_in_one_frame(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    found: list[Any] = page.evaluate(STEP, 4)
    assert found == [["activation", True], ["gain", True], ["gradient", False]]
    wait_until_done(page)
    expect(page.locator(".sketch")).to_have_count(0)
    assert lengths(page, "gain") == [5] * 3


def test_what_is_not_looked_at_follows_when_the_hand_rests(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16")
    open_section_of(page, "cka")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".picture-box")).not_to_be_in_viewport()
    page.evaluate(SETTLED)  # by then the page has been told what is in sight
    expect(page.locator(".picture-box:not([aria-busy])")).to_be_attached()
    assert page.evaluate(UNSEEN, 4) == [0, True]
    page.locator("#field-depth").dispatch_event("change")  # the hand lets go
    wait_until_done(page)
    assert "at depth 5" in page.title()
    cursor = re.compile("layer 2,")  # a quarter of the way up
    expect(page.locator(".picture-box")).to_have_attribute("aria-label", cursor)


@pytest.mark.full
@pytest.mark.parametrize(("height", "waits"), [(SHORT_PX, True), (TALL_PX, False)])
def test_rows_of_results_out_of_sight_follow_when_the_slider_rests(
    open_page: OpenPage, height: int, waits: bool
) -> None:
    page = open_page("/#v=1&depth=16", height=height)
    row = page.locator(".results-table tbody tr:not(.findings)").first
    before = row.locator("[data-metric=activation]").inner_text()
    page.evaluate(SETTLED)  # by then the page knows what is in sight
    assert page.evaluate(ROWS, 4) == [waits] * 3
    page.locator("#field-depth").dispatch_event("change")
    wait_until_done(page)
    expect(page.locator(".results-table tr[data-waits]")).to_have_count(0)
    assert row.locator("[data-metric=activation]").inner_text() != before


def test_texts_follow_a_moving_slider_ten_times_a_second(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    page.evaluate(SETTLED)
    first, second, third = page.evaluate(TEXTS, [[9, 8, 7], 50])
    assert [first[0], second[0], third[0]] == ["10", "9", "8"], "the slider's own number follows each move"
    assert [first[2], second[2], third[2]] == [False, True, False]
    assert first[1] == second[1] != third[1]
    page.evaluate(TEXTS, [[6, 5], 50])
    page.locator("#field-depth").dispatch_event("change")
    wait_until_done(page)
    expect(page.locator("[data-panel=activation] .at-cursor")).to_contain_text("at 2:")
    row = page.locator(".results-table tbody tr:not(.findings)").first
    assert row.locator("[data-metric=activation]").inner_text() not in third[1]


@pytest.mark.parametrize(
    ("field", "places", "sparklines", "painted"),
    [("setting-connection-sinkhorn_iters", [19, 18], 5, [1, 0]), ("field-connection-noise", [5, 4], 10, [1, 1])],
    ids=["mHC alone", "HC and mHC"],
)
def test_a_move_renders_and_paints_what_it_changes(
    open_page: OpenPage, field: str, places: list[int], sparklines: int, painted: list[int]
) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    open_settings(page)
    cells = page.locator(".drawer .edits-matrix td input")  # of HC; out of sight
    expect(cells).to_have_count(16)
    page.evaluate(SETTLED)
    with silence(page):
        found: dict[str, Any] = page.evaluate(WORK, [field, places])
    assert found == {"Cell": 0, "Section": 0, "Sparkline": sparklines, "painted": painted}
    page.locator(f"#{field}").dispatch_event("change")
    wait_until_done(page)


def test_plotly_waits_for_the_runs_of_a_released_slider(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16", height=TALL_PX)
    page.evaluate(SETTLED)
    with silence(page):
        assert page.evaluate(RELEASE) == 0, "curves stay sketched: drawing them would take time from their runs"
    wait_until_done(page)
    expect(page.locator(".sketch")).to_have_count(0)


def test_the_picture_is_painted_exactly_when_the_slider_rests(open_page: OpenPage) -> None:
    page = open_page()
    still = page.locator(".picture-box canvas").first
    exact = still.evaluate("canvas => canvas.toDataURL()")
    assert page.evaluate(AROUND) != exact
    page.locator("#field-depth").dispatch_event("change")
    wait_until(page, lambda: still.evaluate("canvas => canvas.toDataURL()") == exact)


def test_what_the_server_says_otherwise_is_an_error_and_is_drawn(open_page: OpenPage, watch: Any) -> None:
    watch.allow("Derived columns of run .*gain_fwd")
    page = open_page("/#v=1&depth=16&runs=hc")

    def spoil(route: Route) -> None:
        answer = route.fetch()
        body = answer.text()
        head, key, tail = body.rpartition('"composite_gain_fwd":[')
        first, rest = tail.split(",", 1)
        route.fulfill(response=answer, body=f"{head}{key}{2 * float(first)},{rest}")

    (before,) = curves(page, "gain")
    page.route("**/runs/compare*", spoil)
    drag(page, "Depth", 0.02)
    wait_until_done(page)
    (said,) = curves(page, "gain")
    assert said["y"][0] == pytest.approx(2 * before["y"][0])
    assert said["y"][1:] == pytest.approx(before["y"][1 : len(said["y"])])
    assert any("Derived columns" in fault for fault in watch.faults)


# ---- deeper stacks, asked for before a hand wants them


# Whether the answer to a request for deeper stacks is here whole.
AHEAD = """() => performance.getEntriesByType('resource').some(({ name }) =>
    name.includes('/runs/compare') && name.includes('limit_s=2'))"""


def hover_depth(page: Page) -> None:
    page.get_by_role("slider", name="Depth", exact=True).hover()


def is_ahead(url: str) -> bool:
    """Whether runs are asked for that the page does not show: no more than is predicted to take two seconds."""
    return "/runs/compare" in url and "limit_s=2" in url


def test_a_hand_near_the_slider_finds_deeper_layers_here(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=12", height=TALL_PX)
    before = curves(page, "gain")
    hover_depth(page)
    wait_until(page, lambda: page.evaluate(AHEAD))
    assert curves(page, "gain") == before  # nothing of it is shown
    with silence(page):
        drag(page, "Depth", 0.14, release=False)
        depth = depth_of(page)
        assert 12 < depth <= 24
        wait_until(page, lambda: lengths(page, "gain") == [depth] * 3)
        page.wait_for_timeout(DIMMED_MS)
        assert [is_stale(page, panel) for panel in ("gain", "activation", "gradient")] == [False, False, True]
        at_once = {panel: curves(page, panel) for panel in ("gain", "activation")}
        assert all(None not in line["y"] for found in at_once.values() for line in found)
        page.mouse.up()
    wait_until_done(page)
    assert {panel: curves(page, panel) for panel in at_once} == at_once


def test_a_hand_beyond_all_layers_here_gets_them_while_it_moves(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=6&seed=31", height=TALL_PX)
    page.evaluate(CREEP)  # which never rests
    wait_until(page, lambda: page.evaluate("window.isWhole"))
    page.evaluate("window.isHeld = false")
    wait_until_done(page)
    assert lengths(page, "gain") == [depth_of(page)] * 3


def test_what_is_asked_for_itself_comes_first(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=48&seed=32")
    with page.expect_request(lambda request: is_ahead(request.url)):
        hover_depth(page)
    given_up: list[str] = []
    page.on("request", lambda request: given_up.append(request.url) if request.method == "DELETE" else None)
    open_settings(page).locator("#setting-seed").fill("33")
    page.keyboard.press("Enter")
    wait_until(page, lambda: len(given_up) > 0)
    wait_until_done(page)


@pytest.mark.parametrize("view", ["train.steps=2", "block.scaling=inv_sqrt_depth", "A.depth=6"])
def test_no_deeper_stack_is_asked_for_that_does_not_begin_alike(open_page: OpenPage, view: str) -> None:
    assert_nothing_ahead(open_page(f"/#v=1&depth=12&{view}"))


def test_who_saves_data_is_sent_nothing_ahead(open_page: OpenPage, visitor: BrowserContext) -> None:
    page = open_page("/livez", wait=False)
    page.add_init_script("Object.defineProperty(navigator, 'connection', { value: { saveData: true } })")
    page.goto(page.url.replace("/livez", "/#v=1&depth=12"))
    wait_until_done(page)
    assert_nothing_ahead(page)


def assert_nothing_ahead(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if is_ahead(request.url) else None)
    hover_depth(page)
    page.wait_for_timeout(600)
    assert asked == []
