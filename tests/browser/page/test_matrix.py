"""The mixing matrix is edited where it is drawn: by pointer, keys and touch, within a frame, and undone."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import OpenPage, Watch, load_page, wait_until_done

VIEW = "/#v=1&runs=residual,hc&depth=48&width=16&layer=20"
TIP = "click to edit the mixing matrix"


def matrix(page: Page) -> Locator:
    return page.get_by_role("region", name="Mixing matrix")


def cell(page: Page, row: int, column: int) -> Locator:
    return matrix(page).get_by_label(f"Row {row}, column {column}")


def middle_of(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def has_no_edits(page: Page) -> None:
    """All is undone, in the address too."""
    page.wait_for_url(re.compile(r"#v=1&(?!.*edits)"))
    expect(page.locator(".edits li")).to_have_count(0)


def test_a_stream_is_cut_and_the_matrix_is_edited_with_keys_and_undone(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    page.keyboard.press("2")
    expect(page.locator(".edits li")).to_have_text(["Stream 2 is cut at layer 20×"])
    page.keyboard.press("u")
    has_no_edits(page)
    expect(matrix(page)).to_have_count(0)
    page.keyboard.press("m")
    expect(cell(page, 1, 1)).to_be_focused()
    before = float(cell(page, 1, 1).input_value())
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowDown")
    assert float(cell(page, 1, 1).input_value()) == pytest.approx(before + 0.09, abs=0.011)
    page.wait_for_url(re.compile(r"B\.edits=h_res:1:set:[\d._-]+:20&"))
    page.keyboard.press("u")
    page.keyboard.press("u")
    has_no_edits(page)
    assert float(cell(page, 1, 1).input_value()) == before
    page.keyboard.press("Shift+Tab")
    expect(matrix(page).get_by_role("button", name="Set row 1")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("B.edits=h_res:1:uniform:20&"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("B.edits=h_res:1:identity:20&"))
    for column, value in enumerate("1000", 1):
        expect(cell(page, 1, column)).to_have_value(value)
    matrix(page).get_by_role("button", name="Exchange rows 1 and 2").press("Enter")
    for column, value in enumerate("1000", 1):
        expect(cell(page, 2, column)).to_have_value(value)
    matrix(page).get_by_role("button", name="Replace the matrix").press("Enter")
    page.get_by_role("button", name="Nearest doubly stochastic").press("Enter")
    page.wait_for_url(re.compile("h_res:set:"))
    rows = [[float(cell(page, i, j).input_value()) for j in range(1, 5)] for i in range(1, 5)]
    assert all(abs(sum(line) - 1) < 0.021 for line in [*rows, *zip(*rows, strict=True)]), rows
    page.keyboard.press("Escape")
    expect(matrix(page)).to_have_count(0)
    expect(page.get_by_role("slider", name="Layer", exact=True)).to_be_focused()
    for _ in range(4):
        page.keyboard.press("u")
    has_no_edits(page)
    wait_until_done(page)


# Resolves with the number of frames after which the picture says another gain of HC, from a move of the pointer on.
FRAMES = """([x, y]) => new Promise((done) => {
    const box = document.querySelector('.picture-box');
    const gain = () => box.getAttribute('aria-label').match(/B HC[^;]*gain of the mixing ×([\\d.]+)/)[1];
    const before = gain();
    let frames = 0;
    dispatchEvent(new PointerEvent('pointermove', { clientX: x, clientY: y }));
    const look = () => {
        frames += 1;
        if (gain() !== before || frames > 600) done(frames);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


@pytest.mark.full
def test_gains_follow_a_dragged_cell_within_a_frame(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    box = page.locator(".picture-box").bounding_box()
    assert box is not None
    place = box["x"] + box["width"] - 130, box["y"] + 130  # between the streams before and after the layer
    page.mouse.move(*place)
    expect(page.locator(".picture-tip")).to_have_text(TIP)
    page.mouse.click(*place)
    x, y = middle_of(cell(page, 2, 3))
    page.mouse.move(x, y)
    page.mouse.down()
    before = float(cell(page, 2, 3).input_value())
    assert page.evaluate(FRAMES, [x, y - 80]) == 1
    assert float(cell(page, 2, 3).input_value()) == pytest.approx(before + 0.8, abs=0.011)
    expect(matrix(page)).to_contain_text(re.compile(r"Row 2, column 3: −?\d\.\d{3}"))
    page.mouse.up()
    page.wait_for_url(re.compile(r"B\.edits=h_res:2:set:[\d._-]+:20&"))
    page.keyboard.press("u")
    has_no_edits(page)
    assert float(cell(page, 2, 3).input_value()) == before
    page.keyboard.press("m")
    expect(matrix(page)).to_have_count(0)
    wait_until_done(page)


@pytest.mark.full
def test_the_matrix_is_edited_on_a_phone(browser: Browser, watch: Watch) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True)
    page = load_page(context, watch, VIEW, width=390, height=844)
    page.get_by_role("button", name="Inside layer 20").tap()
    box = page.locator(".picture-box").bounding_box()
    opener = page.get_by_role("button", name="Inside layer 20").bounding_box()
    assert box is not None
    assert opener is not None
    page.touchscreen.tap(box["x"] + 158, opener["y"] + opener["height"] + 130)
    expect(matrix(page)).to_be_visible()
    x, y = middle_of(cell(page, 2, 3))
    before = float(cell(page, 2, 3).input_value())
    scrolled = page.evaluate("scrollY")
    finger = context.new_cdp_session(page)
    for kind, by in (("touchStart", 0), ("touchMove", 20), ("touchMove", 60), ("touchEnd", None)):
        points = [] if by is None else [{"x": x, "y": y - by}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert float(cell(page, 2, 3).input_value()) == pytest.approx(before + 0.6, abs=0.011)
    assert page.evaluate("scrollY") == scrolled, "the page stays where it is"
    matrix(page).get_by_role("button", name="Set row 1").tap()
    page.wait_for_url(re.compile(r"B\.edits=h_res:2:set:[\d._-]+:20,h_res:1:uniform:20&"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Inside layer 20").tap()
    expect(matrix(page)).to_have_count(0)
    wait_until_done(page)
    watch.check()
    context.close()


@pytest.mark.full
def test_the_matrix_says_what_cannot_be_edited(open_page: OpenPage) -> None:
    page = open_page(f"{VIEW}&edits=stream:2:zero:20")
    page.keyboard.press("m")
    expect(matrix(page)).to_contain_text("includes the edits of its streams")
    page.keyboard.press("m")
    page = open_page(VIEW.replace("residual,hc", "residual"))
    page.keyboard.press("m")
    expect(matrix(page)).to_have_text(re.compile("This layer has no mixing matrix to edit."))


@pytest.mark.full
@pytest.mark.parametrize("view", [f"{VIEW}&edits=stream:2:zero:20", VIEW.replace("residual,hc", "residual")])
def test_on_a_phone_a_reason_leaves_no_empty_room(open_page: OpenPage, view: str) -> None:
    page = open_page(view, width=390, height=844)
    page.keyboard.press("m")
    expect(matrix(page).locator(".hint")).to_be_visible()
    opener = page.get_by_role("button", name="Inside layer 20")
    reason, picture, top = (part.bounding_box() for part in (matrix(page), page.locator(".picture"), opener))
    assert reason is not None
    assert picture is not None
    assert top is not None
    assert reason["height"] < 100, "a line with the button that closes it, and at most three lines: below is the layer"
    most = 460 if "hc" in view else 240  # of one stream there are fewer words
    assert picture["y"] + picture["height"] - top["y"] < most + 50
