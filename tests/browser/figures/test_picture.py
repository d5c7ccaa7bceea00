"""The picture of the compared stacks: ribbons on one linear scale, one layer magnified, a signal that passes."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from mhc_core.figures.methods import to_run_styles
from mhc_core.figures.style import ThemeName
from tests.browser.conftest import OpenPage, Watch, expect_layer, wait_until, wait_until_done
from tests.browser.figures.test_cards import show_table
from tests.conftest import Server, compute

VIEW = "/#v=1&depth=8&width=16"
# How many pixels of a canvas have a colour, within what drawing over the card's ground leaves of it.
COUNT = """(canvas, [wanted, slack]) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
        const isNear = data[at + 3] > 200 && wanted.every((part, index) => Math.abs(part - data[at + index]) <= slack);
        count += isNear ? 1 : 0;
    }
    return count;
}"""


# How many pixels of a row of a canvas have a colour, row by row.
ROWS = """(canvas, [wanted, slack]) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: canvas.height }, (_, row) => {
        let count = 0;
        for (let at = 4 * row * canvas.width; at < 4 * (row + 1) * canvas.width; at += 4) {
            const isNear = wanted.every((part, index) => Math.abs(part - data[at + index]) <= slack);
            count += isNear && data[at + 3] > 100 ? 1 : 0;
        }
        return count;
    });
}"""
# The first and the last column of a canvas in which anything is drawn.
REACH = """canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let [first, last] = [Infinity, -1];
    for (let at = 3; at < data.length; at += 4) {
        if (data[at] === 0) continue;
        const x = ((at - 3) / 4) % canvas.width;
        [first, last] = [Math.min(first, x), Math.max(last, x)];
    }
    return [first, last];
}"""


def picture(page: Page) -> Locator:
    return page.locator(".picture-box")


def draws_of(page: Page, layer: int) -> str:
    """One of the canvases as it is now: ribbons, what follows the cursor, the signal."""
    return str(page.locator(".picture-box canvas").nth(layer).evaluate("canvas => canvas.toDataURL()"))


def count_color(page: Page, layer: int, color: str, slack: int = 40) -> int:
    """Pixels of about this colour."""
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return int(page.locator(".picture-box canvas").nth(layer).evaluate(COUNT, [wanted, slack]))


def colors(theme: ThemeName) -> list[str]:
    """Colours of the three runs, as the figures have them."""
    styles = to_run_styles(["residual", "hc", "mhc"], theme)
    return [style.color for style in styles if style is not None]


def choose(page: Page, name: str) -> None:
    """An entry of the card's menu."""
    page.locator("[data-panel=picture]").get_by_role("button", name=re.compile(": more$")).click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile(f"^{name}")).click()


def layer(page: Page) -> Locator:
    """The slider of the cursor."""
    return picture(page).get_by_role("slider", name="Layer")


def rows_of(page: Page, color: str, slack: int = 60) -> list[int]:
    """How many pixels of about a colour each row of the ribbons' canvas has."""
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    counted: list[int] = page.locator(".picture-box canvas").nth(0).evaluate(ROWS, [wanted, slack])
    return counted


def test_every_run_has_a_strip_in_its_colour_first_on_the_page(see_page: OpenPage, server: Server) -> None:
    page = see_page(VIEW)
    assert page.locator("main .card").first.get_attribute("data-panel") == "picture"
    label = picture(page).get_attribute("aria-label") or ""
    assert re.search(r"A Residual: one stream, gain of the mixing ×1, sizes from [\d.]+ to [\d.]+; at layer 3", label)
    assert re.search(
        r"B HC: 4 streams, gain of the mixing ×[\d.]+( at layer \d)?, sizes from .* C mHC: 4 streams", label
    )
    drawn = [count_color(page, 0, color) for color in colors("dark")]
    assert min(drawn) > 300, drawn


@pytest.mark.full
def test_residual_stays_as_it_is_while_the_drift_grows_and_hc_floods_the_card(
    open_page: OpenPage, server: Server
) -> None:
    residual, hc, _ = colors("dark")
    drawn = {}
    for noise in (0.1, 0.5):
        page = open_page(f"/#v=1&depth=48&width=16&runs=residual,hc&connection.noise={noise}")
        drawn[noise] = rows_of(page, residual, 24), rows_of(page, hc, 90)
    (calm, few), (same, many) = drawn[0.1], drawn[0.5]
    middle = calm.index(max(calm))
    lane = slice(middle - 3, middle + 4)
    assert max(abs(one - other) for one, other in zip(calm[lane], same[lane], strict=True)) <= 8
    flooded = [sum(count > 100 for count in rows) for rows in (few, many)]
    assert flooded[1] > 1.5 * flooded[0]
    assert flooded[1] > 0.9 * len(many[:-60]), "from the upper edge of the card to the lower"


@pytest.mark.full
def test_nothing_is_drawn_beyond_the_strips(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=64&width=16&connection.noise=3")
    scale = page.locator(".picture-box canvas").first.evaluate("canvas => canvas.width / canvas.clientWidth")
    reach = page.locator(".picture-box canvas").first.evaluate(REACH)
    width = page.locator(".picture-box").evaluate("box => box.clientWidth")
    assert reach[1] / scale < width - 400, "gains and the magnified layer are beyond"
    assert reach[0] / scale > 150


# Where branches are scaled by depth, sizes wait for the server, so the ribbons of the old depth stay in sight.
@pytest.mark.full
@pytest.mark.parametrize("scaling", ["", "&block.scaling=inv_sqrt_depth"], ids=["known", "awaited"])
def test_a_drag_to_fewer_layers_stays_within_the_strips_and_so_does_a_refused_run(
    open_page: OpenPage, server: Server, watch: Watch, scaling: str
) -> None:
    watch.allow("422")
    page = open_page(f"/#v=1&depth=64&width=16&connection.noise=1{scaling}")
    width = page.locator(".picture-box").evaluate("box => box.clientWidth")
    depth = page.locator("#field-depth")
    held: list[Route] = []
    page.route("**/runs/compare*", lambda route: held.append(route))  # nothing is computed meanwhile
    for value in ("30", "12", "4"):
        depth.evaluate("(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value)
        page.wait_for_timeout(60)
        assert page.locator(".picture-box canvas").first.evaluate(REACH)[1] < width - 400

    def refuse(route: Route) -> None:
        route.fulfill(status=422, json={"title": "Refused", "errors": []})

    page.route("**/runs/compare*", refuse)
    for route in held:
        refuse(route)
    depth.evaluate("slider => { slider.value = 8; slider.dispatchEvent(new Event('change')); }")
    expect(page.get_by_role("alert")).to_contain_text("Refused")
    expect_layer(page, 17, 64)  # the last whole runs are back
    page.wait_for_timeout(1000)
    assert page.locator(".picture-box canvas").first.evaluate(REACH)[1] < width - 400


def test_it_follows_the_cursor_and_a_pointer_on_it_moves_the_cursor(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    still, glass = draws_of(page, 0), draws_of(page, 1)
    layer(page).fill("6")
    expect(picture(page)).to_have_attribute("aria-label", re.compile("at layer 6, MLP"))
    assert draws_of(page, 0) == still, "ribbons are not drawn again"
    assert draws_of(page, 1) != glass
    picture(page).scroll_into_view_if_needed()
    box = picture(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 175, box["y"] + 40)
    page.mouse.down()
    expect(layer(page)).to_have_value("1")
    page.mouse.move(box["x"] + box["width"] - 440, box["y"] + 90)
    expect(layer(page)).to_have_value("8")
    page.mouse.up()
    page.mouse.move(box["x"] + 300, box["y"] + box["height"] + 5)
    layer(page).fill("3")
    expect(picture(page)).to_have_attribute("aria-label", re.compile("at layer 3, attention"))


@pytest.mark.full
def test_the_keyboard_moves_the_cursor_and_sees_where_it_is(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    layer(page).focus()
    page.keyboard.press("End")
    expect(layer(page)).to_have_attribute("aria-valuetext", "layer 8 of 8")
    page.keyboard.press("ArrowLeft")
    expect(layer(page)).to_have_attribute("aria-valuetext", "layer 7 of 8")
    assert page.locator(".picture-frame").evaluate("frame => getComputedStyle(frame).outlineStyle") == "solid"
    page.keyboard.press("Home")
    expect(layer(page)).to_have_value("1")
    layer(page).fill("3")
    layer(page).blur()


@pytest.mark.full
def test_a_click_on_a_name_magnifies_its_run(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    hc, blue = colors("dark")[1], colors("dark")[2]
    before = count_color(page, 1, blue)
    box = picture(page).bounding_box()
    assert box is not None
    lines = [(box["x"] + 60, box["y"] + share * box["height"]) for share in (0.36, 0.68)]
    page.mouse.click(*lines[0])
    wait_until(page, lambda: count_color(page, 1, blue) > before)
    page.mouse.click(*lines[1])
    wait_until(page, lambda: count_color(page, 1, blue) == before)
    page.locator(".picture-card").get_by_role("button", name="more").click()
    page.get_by_role("button", name="Next run").click()
    wait_until(page, lambda: count_color(page, 1, hc) > 0)
    page.mouse.click(*lines[1])


def magnified(page: Page) -> str:
    """The title of the magnified layer."""
    return re.findall(r"(?:Inside l|L)ayer \d+ of \w+", take(page, "SVG"))[0]


@pytest.mark.full
def test_a_click_on_a_ribbon_magnifies_its_run_and_a_drag_across_it_does_not(see_page: OpenPage) -> None:
    page = see_page(f"{VIEW}&runs=residual,hc")
    box = picture(page).bounding_box()
    assert box is not None
    residual = rows_of(page, colors("dark")[0], 24)
    scale = page.locator(".picture-box canvas").first.evaluate("canvas => canvas.width / canvas.clientWidth")
    y = box["y"] + residual.index(max(residual)) / scale
    page.mouse.move(box["x"] + 300, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, y)
    page.mouse.up()
    assert magnified(page) == "Inside layer 4 of HC"
    page.mouse.click(box["x"] + 300, y)
    assert magnified(page) == "Layer 2 of Residual"
    page.mouse.click(box["x"] + 60, box["y"] + 290)
    assert magnified(page) == "Inside layer 2 of HC"
    layer(page).fill("3")


@pytest.mark.full
def test_the_steps_about_mhc_magnify_its_layer(open_page: OpenPage) -> None:
    page = open_page("/")
    assert magnified(page).endswith("of HC")
    page.get_by_role("button", name="4: Doubly").click()
    wait_until_done(page)
    assert magnified(page).endswith("of mHC")
    page.get_by_role("button", name="3: Free").click()
    wait_until_done(page)
    assert magnified(page).endswith("of HC")


@pytest.mark.full
def test_hovering_a_mixing_line_shows_its_weight(see_page: OpenPage) -> None:
    page = see_page(f"{VIEW}&runs=hc&connection.noise=1")
    tip = page.locator(".picture-tip")
    expect(tip).to_be_hidden()
    box = picture(page).bounding_box()
    assert box is not None
    for y in range(int(box["y"] + 140), int(box["y"] + 240), 3):
        page.mouse.move(box["x"] + 230, y)
        if tip.is_visible() and "→" in (tip.text_content() or ""):  # over a stream it says what a click cuts
            break
    expect(tip).to_have_text(re.compile(r"stream \d → \d, layers? [\d to]+: -?[\d.]+"))
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


@pytest.mark.full
def test_the_range_over_seeds_is_drawn_from_the_law(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=64&width=16&runs=residual,hc")
    text = take(page, "SVG")
    wait_until(page, lambda: "5 to 95 % of seeds" in take(page, "SVG"))
    low, high = re.findall(r">×([\d,]+) to ×([\d,]+)<", take(page, "SVG"))[0]
    assert 20 < int(low) < 30
    assert 13_000 < int(high.replace(",", "")) < 22_000
    assert "×" in text
    none = open_page("/#v=1&depth=64&width=16&runs=residual,mhc")
    none.wait_for_timeout(1500)
    assert "of seeds" not in take(none, "SVG"), "for other connections no law is known"


@pytest.mark.full
def test_of_several_seeds_a_range_is_named_only_where_the_gain_differs(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=16&width=16&runs=residual,hc,mhc&seeds=3")
    text = take(page, "SVG")
    ranges = re.findall(r">×([\d.,]+) to ×([\d.,]+)<", text)
    assert len(ranges) == 1, "the gains of residual and mHC are the same for all seeds"
    assert ranges[0][0] != ranges[0][1]
    assert text.count("5 to 95 % of 3 seeds") == 1
    expect(page.locator(".picture-caption")).to_contain_text("Drawn: the first seed.")
    assert "Drawn: the first seed." in " ".join(text.split())
    assert re.search(r">×[\d.,]+</text>[^>]*>first seed<", text), "the product inside the layer is that of one seed"
    assert text.count("median gain of mixing") == 1
    expect(page.locator(".picture-box")).to_have_attribute("aria-label", re.compile("B HC: .*, median gain of mixing"))


@pytest.mark.full
def test_linear_or_log_is_part_of_the_address(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    linear = draws_of(page, 0)
    switch = page.get_by_role("switch", name="Logarithmic widths")
    switch.click()
    wait_until(page, lambda: draws_of(page, 0) != linear)
    wait_until(page, lambda: "view.picture=log" in page.url)
    again = open_page(page.url.partition(page.url.split("/#")[0])[2])
    expect(again.get_by_role("switch", name="Logarithmic widths")).to_have_attribute("aria-checked", "true")
    expect(again.get_by_role("alert")).to_have_count(0)
    again.get_by_role("switch", name="Logarithmic widths").click()
    wait_until(again, lambda: "view.picture" not in again.url)


def test_a_signal_passes_is_paused_and_is_stopped(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    front = page.locator(".picture-box canvas").nth(2)
    expect(front).to_be_hidden()
    page.get_by_role("button", name="Send a signal").click()
    expect(front).to_be_visible()
    expect(page.locator("p.sr[role=status]").first).to_contain_text("its gradient comes back")
    first = draws_of(page, 2)
    wait_until(page, lambda: draws_of(page, 2) != first)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(100)
    paused = draws_of(page, 2)
    page.wait_for_timeout(300)
    assert draws_of(page, 2) == paused
    page.get_by_role("button", name="Continue").click()
    wait_until(page, lambda: draws_of(page, 2) != paused)
    page.get_by_role("button", name="Stop").click()
    expect(front).to_be_hidden()
    expect(page.get_by_role("button", name="Send a signal")).to_be_focused()


# Sends a signal; resolves with the time in ms until another can be sent.
LASTS = """() => new Promise((done) => {
    const label = () => document.querySelector('.picture-card .send').ariaLabel;
    const [begun, unsent] = [performance.now(), label()];
    let isSent = false;
    document.querySelector('.picture-card .send').click();
    const look = () => {
        isSent ||= label() !== unsent;
        if (isSent && label() === unsent) done(performance.now() - begun);
        else requestAnimationFrame(look);
    };
    look();
})"""


@pytest.mark.full
def test_a_signal_comes_back_and_ends_within_six_seconds(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    assert 4500 < page.evaluate(LASTS) < 8000
    expect(page.get_by_role("button", name="Send a signal")).to_be_visible()
    expect(page.locator(".picture-box canvas").nth(2)).to_be_hidden()


@pytest.mark.full
def test_reduced_motion_shows_both_ends_of_its_way(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Send a signal").click()
    forward = draws_of(page, 2)
    page.wait_for_timeout(300)
    assert draws_of(page, 2) == forward
    page.get_by_role("button", name="Show the gradient").click()
    wait_until(page, lambda: draws_of(page, 2) != forward)
    expect(page.locator(".picture-caption")).to_contain_text("relative to each run’s gradient after the last layer")
    backward = draws_of(page, 2)
    page.wait_for_timeout(300)
    assert draws_of(page, 2) == backward
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".picture-caption")).to_contain_text("to one linear scale")
    page.emulate_media(reduced_motion="no-preference")


@pytest.mark.full
def test_its_numbers_are_in_a_table(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    card = page.locator("[data-panel=picture]")
    rows = show_table(page, card)
    assert [row[0] for row in rows[:3]] == ["A Residual", "B HC, 1", "B HC, 2"]
    assert rows[0][1:4] == [rows[0][1], "1", "1"], "one stream: all of it is read, and all is kept"
    captions = card.locator("caption").all_text_contents()
    assert captions[:2] == ["Layer 3", "Size of each stream after each layer"]
    assert len(card.locator("table").nth(1).locator("tbody tr").all()) == 9, "the embedding, and eight layers"
    choose(page, "Show the picture")
    expect(picture(page)).not_to_have_attribute("aria-busy", "true")


def download(page: Page, entry: str, path: Path) -> bytes:
    """What an entry of the menu saves."""
    with page.expect_download(timeout=60_000) as waiting:
        choose(page, entry)
    waiting.value.save_as(path)
    return path.read_bytes()


def take(page: Page, entry: str) -> str:
    """A text that the menu saves."""
    with page.expect_download() as waiting:
        choose(page, entry)
    return Path(waiting.value.path()).read_text()


@pytest.mark.full
def test_images_hold_the_same_shapes(see_page: OpenPage, server: Server, tmp_path: Path) -> None:
    page = see_page(VIEW)
    svg = download(page, "SVG", tmp_path / "a.svg").decode()
    for color in colors("dark"):
        assert svg.count(f'fill="{color}"') > 1
    for text in ("How the signal travels", "attention", "Inside layer 3 of HC", "gain of the mixing", "linear scale"):
        assert text in svg
    png = download(page, "PNG", tmp_path / "a.png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(png[start : start + 4]) for start in (16, 20)]
    assert size[0] == 2400
    assert f'width="1200" height="{size[1] // 2}"' in svg
    numbers = download(page, "CSV", tmp_path / "a.csv").decode().splitlines()
    assert numbers[0].startswith('after layer,"A Residual, activation","B HC, stream 1, activation"')
    assert len(numbers) == 10


@pytest.mark.full
def test_the_signal_is_saved_as_a_video(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(VIEW)
    film = download(page, "Video", tmp_path / "a.webm")
    assert film[:4] == b"\x1aE\xdf\xa3", "EBML, which WebM begins with"
    assert len(film) > 20_000
    page.evaluate("MediaRecorder.isTypeSupported = () => false")
    choose(page, "Video")
    expect(page.locator(".toast")).to_contain_text("This browser cannot record video")


@pytest.mark.full
def test_a_frame_shows_it_and_sends_a_signal(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, {"depth": 8, "width": 16, "connection": {"kind": kind}}) for kind in ("residual", "mhc")]
        name = http.post("/snapshots", json={"runs": runs, "state": "v=1&depth=8&width=16&B.name=ours"}).json()["id"]
    page = open_page(f"/embed/{name}?panel=picture&theme=light", width=720, height=600, wait=False)
    assert page.title() == "How the signal travels · mHC Scope"
    expect(picture(page)).to_have_attribute("aria-label", re.compile("B ours: 4 streams, gain"))
    assert count_color(page, 0, colors("light")[2]) > 300
    page.get_by_role("button", name="Send a signal").click()
    expect(page.locator(".picture-box canvas").nth(2)).to_be_visible()


@pytest.mark.full
def test_the_frame_of_the_dialog_is_as_high_as_the_picture(open_page: OpenPage, server: Server) -> None:
    page = open_page(f"{VIEW}&runs=residual,hc,mhc,frac&connection.streams=8")
    choose(page, "Embed")
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_role("button", name="Create link").click()
    markup = dialog.get_by_label("Embed code").text_content() or ""
    source, width, height = re.findall(r'"([^"]*)"', markup)[:3]
    path = source.removeprefix(server.url).replace("&amp;", "&")
    framed = open_page(path, width=int(width), height=int(height), wait=False)
    expect(picture(framed)).to_have_attribute("aria-label", re.compile("D Frac: 8 streams"))
    room = int(height) - framed.evaluate("document.documentElement.scrollHeight")
    assert 0 <= room < 60


@pytest.mark.full
def test_a_finger_that_scrolls_leaves_the_cursor_alone(open_page: OpenPage) -> None:
    page = open_page(VIEW, width=390, height=844)
    box = picture(page).bounding_box()
    assert box is not None
    press = """(box, [type, x, y]) => box.dispatchEvent(
        new PointerEvent(type, {clientX: x, clientY: y, pointerId: 1, pointerType: 'touch', bubbles: true}))"""
    picture(page).evaluate("box => { box.setPointerCapture = () => {}; }")
    at = [box["x"] + box["width"] - 90, box["y"] + 60]
    for kind in ("pointerdown", "pointercancel"):
        picture(page).evaluate(press, [kind, *at])
    expect(layer(page)).to_have_value("3")
    for kind in ("pointerdown", "pointerup"):
        picture(page).evaluate(press, [kind, *at])
    expect(layer(page)).to_have_value("8")


@pytest.mark.full
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("runs=none,residual&block.kind=mlp", r"A Plain: one stream, .*at layer 3, MLP, from"),
        ("runs=frac", r"A Frac: 4 streams, .*at layer 3, attention, from"),
        ("runs=hc&block.kind=conv", r"A HC: 4 streams, .*at layer 3, conv, from"),
        ("runs=mhc&block.kind=pair", r"A mHC: 4 streams, .*at layer 3, transition, from"),
        ("runs=mhc&connection.dynamic=true&connection.streams=16", r"A mHC: 16 streams"),
        ("runs=hc&train.steps=2&step=1", r"A HC: 4 streams, sizes from"),
    ],
)
def test_every_kind_of_stack_is_drawn(open_page: OpenPage, settings: str, words: str) -> None:
    page = open_page(f"{VIEW}&{settings}")
    expect(picture(page)).to_have_attribute("aria-label", re.compile(words))
    page.get_by_role("button", name="Send a signal").click()
    expect(page.locator(".picture-box canvas").nth(2)).to_be_visible()


@pytest.mark.full
def test_where_sizes_leave_the_range_it_is_said(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=64&width=16&runs=hc&connection.noise=3&dtype=bfloat16")
    label = picture(page).get_attribute("aria-label") or ""
    assert re.search(r"sizes from [\d.]+ to [\d.]+×10\S+", label)


@pytest.mark.full
@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_is_in_the_first_screen(open_page: OpenPage, server: Server, width: int, theme: ThemeName) -> None:
    page = open_page(width=width, height=844, theme=theme)
    box = page.locator(".picture-card").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 844
    if width == 390:
        assert box["height"] <= 0.45 * 844
        page.get_by_role("button", name="Inside layer 17").click()
        grown = "height => document.querySelector('.picture-card').getBoundingClientRect().height > height + 200"
        page.wait_for_function(grown, arg=box["height"])
    assert min(count_color(page, 0, color) for color in colors(theme)[::2]) > 300


@pytest.mark.full
def test_it_is_printed_in_light_with_lines_and_letters(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    paper = page.locator(".picture-paper")
    expect(paper).to_be_hidden()
    page.emulate_media(media="print")
    expect(paper.locator("svg")).to_be_visible()
    light = colors("light")[2]
    wait_until(page, lambda: paper.locator(f'polygon[fill="{light}"]').count() > 1)
    for text in ("Residual", "Inside layer 3 of HC", "gain of the mixing"):
        expect(paper.locator("svg").get_by_text(text, exact=True)).to_be_visible()
    page.emulate_media(media="screen")
    expect(paper).to_be_hidden()
    expect(paper.locator("svg")).to_have_count(0)
    wait_until(page, lambda: count_color(page, 0, colors("dark")[2], 12) > 300)
