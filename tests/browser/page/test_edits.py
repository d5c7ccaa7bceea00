"""Edits in the picture: a stream is cut and restored, its cost is read, and the view is shared, each in few actions."""

import itertools
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Locator, Page, Request, Route, expect

from tests.browser.conftest import OpenPage, Watch, load_page, wait_until, wait_until_done

pytestmark = pytest.mark.full

VIEW = "/#v=1&runs=residual,hc&depth=48&width=16&layer=20"
EDITS = "edits=stream:2:zero:20,stream:2:restore:40"
MOST_ACTIONS = 6
LAYERS = 48
RESIDUAL_PX = 88  # the only stream of run A, below the top of the picture


def picture(page: Page) -> Locator:
    return page.locator(".picture-box")


TIP = """() => {
    const found = document.querySelector('.picture-tip');
    return found?.checkVisibility({ visibilityProperty: true }) ? found.textContent : '';
}"""


def tip(page: Page) -> str:
    """What a press would do there."""
    said: str = page.evaluate(TIP)
    return said


def find_place(page: Page, words: str, x: float) -> tuple[float, float]:
    """The first place below the top of the picture where the tip has these words, to 3 px."""
    box = picture(page).bounding_box()
    assert box is not None
    height, top = int(box["height"]), box["y"]

    def find(places: range) -> int | None:
        for y in places:
            page.mouse.move(x, top + y)
            if words in tip(page):
                return y
        return None

    near = find(range(0, height, 12))  # most places are at least as high
    found = find(range(0, height, 3) if near is None else range(max(0, near - 9), near + 1, 3))
    assert found is not None, f"{words!r} is nowhere at {x}"
    return x, top + found


def x_of(page: Page, layer: int) -> float:
    """The middle of a layer, from 1: where the frame of the cursor is, which knows the strips."""
    box, frame = picture(page).bounding_box(), page.locator(".picture-frame").bounding_box()
    assert box is not None
    assert frame is not None
    at = int(page.get_by_role("slider", name="Layer", exact=True).input_value())
    slope = (frame["width"] - 2 if frame["width"] > 6 else 0) or strips_width(page) / LAYERS
    return frame["x"] + 1 + slope / 2 + (layer - at) * slope


def strips_width(page: Page) -> float:
    """The width of the strips at 390 px, whose layers are narrower than the frame of the cursor."""
    box = picture(page).bounding_box()
    assert box is not None
    return box["width"] - 12 - 90


def share(page: Page) -> str:
    """Open the dialog and copy the link to these settings: two actions."""
    page.keyboard.press("s")
    dialog = page.locator("dialog[open]")
    link = dialog.get_by_label("Link to these settings").text_content()
    dialog.get_by_role("button", name="Copy").first.click()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert copied == link
    return copied


def check_cost(page: Page) -> None:
    """What the edits cost is read without a further action, in sight of the picture."""
    effects = page.locator(".edits-effects")
    expect(effects).to_contain_text("The loss is")
    expect(effects).to_contain_text("B HC")
    expect(effects).not_to_contain_text("A Residual")
    expect(effects).to_be_in_viewport()
    expect(page.locator(".edits-list")).to_contain_text("A Residual has one stream: it runs without these edits.")


def check_link(page: Page, link: str, open_page: Callable[[str], Page]) -> None:
    """The link has the edits in words that people can read, and another page shows the same."""
    assert EDITS in link
    other = open_page(link[link.index("/#") :])
    wait_until_done(other)
    cost = page.locator(".edits-effects").inner_text()
    assert other.locator(".edits-effects").inner_text() == cost
    assert other.locator(".edits li").all_inner_texts() == page.locator(".edits li").all_inner_texts()


def test_a_stream_is_cut_restored_read_and_shared_with_the_mouse(open_page: OpenPage) -> None:
    page = open_page(VIEW, height=900)
    actions = 0
    cut = find_place(page, "click to cut stream 2 at layer 20", x_of(page, 20))
    page.mouse.click(*cut)
    actions += 1
    expect(page.locator(".edits li")).to_have_text(["Stream 2 is cut at layer 20×"])
    wait_until_done(page)
    handle = cut[0] + 0.5 * (x_of(page, 21) - x_of(page, 20)) + 12
    page.mouse.move(handle, cut[1])
    assert tip(page) == "drag to where the stream is restored"
    page.mouse.down()
    page.mouse.move(x_of(page, 30), cut[1])
    page.mouse.move(x_of(page, 40), cut[1])
    assert tip(page) == "restored at layer 40"
    page.mouse.up()
    actions += 1
    wait_until_done(page)
    check_cost(page)
    link = share(page)
    actions += 2
    assert actions <= MOST_ACTIONS
    check_link(page, link, open_page)


def press_stream(page: Page) -> tuple[list[Request], tuple[float, float]]:
    """Press the button on stream 2 at layer 20, and return what the page sends from then on, and where that is."""
    place = find_place(page, "click to cut stream 2 at layer 20", x_of(page, 20))
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "/runs" in request.url else None)
    page.mouse.move(*place)
    page.mouse.down()
    wait_until(page, lambda: bool(sent))
    assert "/runs/compare" in sent[0].url
    assert '"edits"' in (sent[0].post_data or "")
    return sent, place


def test_runs_are_requested_when_the_button_is_pressed_and_shown_after_its_release(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&seed=901", height=900)
    sent, _ = press_stream(page)
    expect(page.locator(".edits li")).to_have_count(0)
    page.mouse.up()
    expect(page.locator(".edits li")).to_have_text(["Stream 2 is cut at layer 20×"])
    wait_until_done(page)
    expect(page.locator(".edits-effects")).to_contain_text("The loss is")
    assert [request.method for request in sent] == ["POST"]


def test_runs_of_a_press_that_becomes_a_drag_are_cancelled(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&seed=902&input.batch=64", height=900)
    sent, (x, y) = press_stream(page)
    page.mouse.move(x + 40, y)
    wait_until(page, lambda: len(sent) > 1)
    page.mouse.up()
    wait_until_done(page)
    expect(page.locator(".edits li")).to_have_count(0)
    assert {request.method for request in sent[1:]} == {"DELETE"}


def test_a_stream_is_cut_restored_read_and_shared_with_keys(open_page: OpenPage) -> None:
    page = open_page(VIEW, height=900)
    page.keyboard.press("2")
    expect(page.locator(".edits li")).to_have_text(["Stream 2 is cut at layer 20×"])
    for _ in range(20):  # held down: one action
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Digit2")
    expect(page.locator(".edits li").last).to_have_text("Stream 2 is restored at layer 40×")
    wait_until_done(page)
    expect(page.locator("p.sr[aria-live]").first).to_contain_text(
        "B HC: Stream 2 is cut at layer 20 and stream 2 is restored at layer 40: the state after layer 20 differs"
    )
    check_cost(page)
    link = share(page)  # five actions in all
    check_link(page, link, open_page)


def test_the_list_of_edits_covers_no_more_than_a_line_of_the_charts(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&{EDITS}", width=900, height=800)
    expect(page.locator(".edits-effects")).to_contain_text("The loss is")
    row = page.locator(".edits")
    box = row.bounding_box()
    assert box is not None
    assert box["height"] > 60
    assert 24 <= 800 - box["y"] <= 32
    page.locator(".edits .undo, .edits button").last.focus()  # by script, which counts as by keys
    box = row.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == pytest.approx(800, abs=1), "all of it is in sight with the focus"


def test_below_the_card_of_a_preset_the_list_of_edits_follows_the_picture(open_page: OpenPage) -> None:
    page = open_page("/p/cut_stream", height=900)
    row = page.locator(".edits")
    expect(row).to_have_count(1)
    tops = [found.bounding_box() for found in (page.locator(".picture-card"), row, page.locator("#field-depth"))]
    for above, below in itertools.pairwise(tops):
        assert above is not None
        assert below is not None
        assert above["y"] + above["height"] <= below["y"]
    page.get_by_role("button", name="Close the preset").click()
    expect(row).to_have_count(1)
    box = row.bounding_box()
    assert box is not None
    assert box["y"] == pytest.approx(900 - 31, abs=1), "at the foot, its first line in sight"


class Finger:
    """A finger on a page."""

    def __init__(self, page: Page) -> None:
        self.cdp: CDPSession = page.context.new_cdp_session(page)

    def put(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        self.cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.put("touchStart", start)
        for step in range(1, 9):
            share = step / 8
            self.put("touchMove", tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)))  # type: ignore[arg-type]
        self.put("touchEnd")


def test_a_stream_is_cut_restored_read_and_shared_on_a_phone(browser: Browser, watch: Watch) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True, permissions=["clipboard-read", "clipboard-write"])
    page = load_page(context, watch, VIEW, width=390, height=844)
    page.get_by_role("button", name="Inside layer 20").tap()  # 1
    box = picture(page).bounding_box()
    assert box is not None
    lens = find_place(page, "click to cut stream 2 at layer 20", box["x"] + 78)
    page.touchscreen.tap(*lens)  # 2
    expect(page.locator(".edits li")).to_have_text(["Stream 2 is cut at layer 20×"])
    wait_until_done(page)
    x = x_of(page, 20)
    cut = find_place(page, "Stream 2 is cut at layer 20", x)
    y = cut[1] + 4
    Finger(page).drag((x + 16, y), (x_of(page, 40), y))  # 3
    expect(page.locator(".edits li")).to_have_text(
        ["Stream 2 is cut at layer 20×", "Stream 2 is restored at layer 40×"]
    )
    wait_until_done(page)
    page.locator(".edits").scroll_into_view_if_needed()  # 4
    check_cost(page)
    link = share(page)  # 6
    assert EDITS in link
    watch.check()
    context.close()


def test_the_effect_of_an_edit_names_the_first_of_several_seeds(open_page: OpenPage) -> None:
    view = "/#v=1&runs=hc,mhc&depth=8&width=16&edits=stream:2:zero:3"
    page = open_page(f"{view}&seeds=3")
    expect(page.locator(".edits-effects dd")).to_have_text(
        [re.compile("^First of 3 seeds: the state after layer 3 differs")] * 2
    )
    expect(page.locator(".results h2")).to_have_text("Results medians over seeds, loss of the first seed")
    expect(page.locator("[data-panel=gain] .plot")).to_contain_text("mixing alone, median")
    page = open_page(view)
    expect(page.locator(".edits-effects dd")).to_have_text([re.compile("^The state after layer 3 differs")] * 2)
    expect(page.locator(".results h2")).to_have_text("Results")


def test_an_effect_of_an_earlier_version_is_shown_with_its_edits(visitor: BrowserContext, open_page: OpenPage) -> None:
    """Earlier records have no `statement`: the page does not cut their sentences."""

    def send_earlier(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(rb',"statement":"[^"]*"', b"", answer.body()))

    view = "/#v=1&runs=hc&depth=8&width=16&edits=stream:2:zero:4"
    effect = open_page(view).locator(".edits-effects dd")
    expect(effect).to_have_text(re.compile("^The state after layer 4 differs"))
    visitor.route(re.compile("/runs/(compare|events)"), send_earlier)
    effect = open_page(view).locator(".edits-effects dd")
    expect(effect).to_have_text(re.compile("^Stream 2 is cut at layer 4: the state after layer 4 differs"))


def test_an_edit_is_switched_off_removed_and_undone(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&{EDITS}")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    row = page.locator(".edits li").first
    row.get_by_role("switch").uncheck()
    page.wait_for_url(re.compile("edits=off:stream:2:zero:20,stream:2:restore:40"))
    wait_until_done(page)
    expect(page.locator(".edits-effects")).to_contain_text("States are those without edits, up to rounding.")
    row.get_by_role("button", name="Remove").click()
    page.wait_for_url(re.compile("edits=stream:2:restore:40&"))
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile("edits=off:stream:2:zero:20,"))
    page.keyboard.press("u")
    page.wait_for_url(re.compile(f"{EDITS}&"))
    page.go_back()
    page.wait_for_url(re.compile("edits=off:stream:2:zero:20,"))
    wait_until_done(page)
    page.locator(".edits-effects button").click()
    expect(page.locator("#panel-effect")).to_be_in_viewport()
    wait_until_done(page)


def test_marks_are_moved_and_removed_in_the_picture(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&edits=stream:2:zero:20-23")
    x = x_of(page, 23)
    last = find_place(page, "Stream 2 is cut at layers 20 to 23", x + 6)
    page.mouse.down()
    page.mouse.move(x_of(page, 30), last[1])
    page.mouse.up()
    page.wait_for_url(re.compile("edits=stream:2:zero:20-30&"))
    wait_until_done(page)
    page.mouse.move(x_of(page, 25), last[1])
    page.mouse.down()
    page.mouse.move(x_of(page, 22), last[1])
    page.mouse.up()
    page.wait_for_url(re.compile("edits=stream:2:zero:17-27&"))
    wait_until_done(page)
    page.mouse.click(x_of(page, 22), last[1])
    page.wait_for_url(re.compile(r"#v=1&(?!edits)"))
    wait_until_done(page)
    expect(page.locator(".edits li")).to_have_count(0)
    assert page.get_by_role("slider", name="Layer", exact=True).input_value() == "20", "the cursor stays"


def test_a_double_click_on_a_stream_shows_all_layers_and_edits_nothing(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&interval=5-40")
    of_hc = find_place(page, "click to cut stream 1 at layer 20", x_of(page, 20))
    box = picture(page).bounding_box()
    assert box is not None
    residual = (of_hc[0], box["y"] + RESIDUAL_PX)
    for place in (of_hc, residual):
        page.mouse.dblclick(*place)
        wait_until_done(page)
        assert "edits" not in page.url
        assert "interval" not in page.url
        page.wait_for_timeout(600)  # or the next click belongs to this double click


def test_edits_beyond_a_shallower_stack_stay_in_the_link(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&{EDITS}")
    page.locator("#field-depth").press("Home")
    wait_until_done(page)
    assert EDITS in page.url
    expect(page.locator(".edits-list")).to_contain_text("B HC has one layer: it runs without these edits.")
    expect(page.locator(".edits-effects")).to_have_count(0)


def test_the_mixing_matrix_is_typed_dragged_replaced_and_undone(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&runs=residual,hc,mhc")
    page.locator(".picture-card").get_by_role("button", name="more").click()
    page.get_by_role("button", name="Edit layer 20").click()
    cells = page.locator(".edits-matrix").get_by_role("spinbutton")
    expect(cells).to_have_count(16)
    expect(page.locator(".edits-matrix legend")).to_have_text("H_res of layer 20, B HC")
    page.get_by_role("button", name="Nearest doubly stochastic").click()
    wait_until_done(page)
    rows = [[float(cells.nth(4 * i + j).input_value()) for j in range(4)] for i in range(4)]
    assert all(abs(sum(line) - 1) < 0.004 for line in [*rows, *zip(*rows, strict=True)]), rows
    assert all(entry >= 0 for row in rows for entry in row)
    page.get_by_label("Row 2, column 3").fill("0.75")
    page.get_by_label("Row 2, column 3").press("Enter")
    wait_until_done(page)
    expect(page.get_by_label("Row 2, column 3")).to_have_value("0.75")
    place = page.get_by_label("Row 2, column 3").bounding_box()
    assert place is not None
    x, y = place["x"] + 10, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y)
    page.mouse.move(x + 25, y)
    page.mouse.up()
    wait_until_done(page)
    expect(page.get_by_label("Row 2, column 3")).to_have_value("1")
    page.get_by_role("button", name="Exchange rows 2 and 3").click()
    wait_until_done(page)
    expect(page.get_by_label("Row 3, column 3")).to_have_value("1")
    assert "&edits=" not in page.url, "the matrix of one run is edited"
    assert re.search(r"B\.edits=h_res:set:[\d_.]+:20,h_res:2:set:[\d_.]+:20,h_res:2:swap:3:20&", page.url)
    page.get_by_role("button", name="Close settings").click()
    for _ in range(4):
        page.keyboard.press("u")
    page.wait_for_url(re.compile(r"^[^?]*#v=1&(?!.*edits)"))
    wait_until_done(page)


def test_an_edit_is_added_by_its_parts(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    page.get_by_role("button", name="All settings").click()
    page.locator(".drawer summary", has_text="Edits").click()
    form = page.get_by_role("form", name="Add an edit")
    form.get_by_label("Edit").select_option("branch")
    form.get_by_label("Action").select_option("scale")
    form.get_by_role("spinbutton", name="by", exact=True).fill("0.5")
    form.get_by_role("spinbutton", name="layers", exact=True).fill("3")
    form.get_by_role("spinbutton", name="to", exact=True).fill("4")
    form.get_by_role("button", name="Add").click()
    page.wait_for_url(re.compile("edits=branch:scale:0.5:3-4&"))
    wait_until_done(page)
    cost = "The state after layer 3 differs from that without edits by"
    expect(page.locator(".edits-effects dd")).to_have_count(2)
    expect(page.locator(".edits-effects dd").first).to_contain_text(cost)
    page.locator(".drawer .own summary").last.click()
    page.get_by_role("button", name="Edits of this run alone").click()
    page.locator(".drawer .own").last.get_by_role("button", name="Remove").click()
    page.wait_for_url(re.compile("edits=branch:scale:0.5:3-4&.*B.edits="))
    wait_until_done(page)
    expect(page.locator(".edits-effects dt")).to_have_text(["A Residual"])


def test_the_codes_for_other_programs_have_the_edits(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&{EDITS}")
    page.locator(".topbar").get_by_role("button", name="More").click()
    page.get_by_role("button", name="API").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text('"what": "stream"')


def test_the_first_screen_without_edits_has_no_list(open_page: OpenPage) -> None:
    expect(open_page("/").locator(".edits")).to_have_count(0)


# Resolves with the number of frames after which the picture says another gain of HC.
FRAMES = """() => new Promise((done) => {
    const box = document.querySelector('.picture-box');
    const gain = () => box.getAttribute('aria-label').match(/B HC[^;]*gain of the mixing ×([\\d.]+)/)[1];
    const before = gain();
    let frames = 0;
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '2', code: 'Digit2', bubbles: true }));
    const look = () => {
        frames += 1;
        if (gain() !== before || frames > 600) done(frames);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def test_gains_follow_a_cut_within_a_frame(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    assert page.evaluate(FRAMES) == 1
    wait_until_done(page)


def count_calls(session: CDPSession, name: str) -> int:
    """The calls of a function of the page since the last count."""
    scripts = session.send("Profiler.takePreciseCoverage")["result"]
    functions = [function for script in scripts for function in script["functions"]]
    return sum(function["ranges"][0]["count"] for function in functions if function["functionName"] == name)


def test_a_cut_is_derived_while_the_pointer_rests_so_that_a_click_need_not(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    session = page.context.new_cdp_session(page)
    session.send("Profiler.enable")
    session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": False})
    cut = find_place(page, "click to cut stream 2 at layer 20", x_of(page, 20))
    page.evaluate("() => new Promise((done) => requestIdleCallback(done))")  # after those of the page
    assert count_calls(session, "deriveColumns") > 0
    page.mouse.click(*cut)
    expect(page.locator(".edits li")).to_have_count(1)
    assert count_calls(session, "deriveColumns") == 0
    wait_until_done(page)
