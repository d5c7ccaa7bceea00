"""The picture of the compared stacks: strips of ribbons, one layer magnified, a signal that passes."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from app.figures.methods import to_run_styles
from app.figures.style import ThemeName
from tests.browser.conftest import OpenPage, create_link, wait_until
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


def picture(page: Page) -> Locator:
    return page.locator(".picture-box")


def draws_of(page: Page, layer: int) -> str:
    """One of the canvases as it is now: what stays, the cursor, the signal."""
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


def test_every_run_has_a_strip_in_its_colour_first_on_the_page(see_page: OpenPage, server: Server) -> None:
    page = see_page(VIEW)
    assert page.locator("main > .card, main > section .card").first.get_attribute("data-panel") == "picture"
    label = picture(page).get_attribute("aria-label") or ""
    assert re.search(r"A Residual: one stream, sizes from [\d.]+ to [\d.]+; at layer 3, attention, from", label)
    assert re.search(r"B HC: 4 streams, sizes from .* C mHC: 4 streams", label)
    drawn = [count_color(page, 0, color) for color in colors("dark")]
    assert min(drawn) > 300, drawn


def test_it_follows_the_cursor_and_a_hand_on_it_moves_the_cursor(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    still, glass = draws_of(page, 0), draws_of(page, 1)
    page.get_by_role("slider", name="Layer").fill("6")
    expect(picture(page)).to_have_attribute("aria-label", re.compile("at layer 6, mlp"))
    assert draws_of(page, 0) == still, "ribbons are not drawn anew"
    assert draws_of(page, 1) != glass
    picture(page).scroll_into_view_if_needed()
    box = picture(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 170, box["y"] + 40)
    page.mouse.down()
    expect(page.locator(".scrubber label").first).to_contain_text("Layer 1 /")
    page.mouse.move(box["x"] + box["width"] - 360, box["y"] + 90)
    expect(page.locator(".scrubber label").first).to_contain_text("Layer 8 /")
    page.mouse.up()
    page.mouse.move(box["x"] + 300, box["y"] + 90)
    page.get_by_role("slider", name="Layer").fill("3")
    expect(picture(page)).to_have_attribute("aria-label", re.compile("at layer 3, attention"))


def test_a_signal_passes_and_is_stopped(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    front = page.locator(".picture-box canvas").nth(2)
    expect(front).to_be_hidden()
    page.get_by_role("button", name="Send a signal").click()
    expect(front).to_be_visible()
    expect(page.locator("p.sr[role=status]").first).to_contain_text("its gradient comes back")
    first = front.evaluate("canvas => canvas.style.transform")
    wait_until(page, lambda: front.evaluate("canvas => canvas.style.transform") != first)
    assert count_color(page, 2, "#e8eaed") > 20
    page.get_by_role("button", name="Stop").click()
    expect(front).to_be_hidden()
    expect(page.get_by_role("button", name="Send a signal")).to_be_focused()


@pytest.mark.full
def test_a_signal_comes_back_and_ends_by_itself(open_page: OpenPage) -> None:
    page = open_page(VIEW)
    begun = page.evaluate("performance.now()")
    page.get_by_role("button", name="Send a signal").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("button", name="Send a signal")).to_be_visible(timeout=30_000)
    assert page.evaluate("performance.now()") - begun > 10_000
    expect(page.locator(".picture-box canvas").nth(2)).to_be_hidden()


def test_reduced_motion_shows_both_ends_of_its_way(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Send a signal").click()
    shown = draws_of(page, 2)
    page.wait_for_timeout(300)
    assert draws_of(page, 2) == shown
    assert count_color(page, 2, "#e8eaed") > 20
    page.get_by_role("button", name="Stop").click()
    page.emulate_media(reduced_motion="no-preference")


def test_its_numbers_stand_in_a_table(see_page: OpenPage) -> None:
    page = see_page(VIEW)
    card = page.locator("[data-panel=picture]")
    rows = show_table(page, card)
    assert [row[0] for row in rows[:3]] == ["A Residual", "B HC, 1", "B HC, 2"]
    assert rows[0][1:4] == [rows[0][1], "1", "1"], "one stream: all of it is read, and all is kept"
    captions = card.locator("caption").all_text_contents()
    assert captions[:2] == ["Layer 3", "Size of each stream after each layer"]
    assert len(card.locator("table").nth(1).locator("tbody tr").all()) == 9, "the embedding, and eight layers"
    choose(page, "Show the figure")
    expect(picture(page)).not_to_have_attribute("aria-busy", "true")


def download(page: Page, entry: str, path: Path) -> bytes:
    """What an entry of the menu saves."""
    with page.expect_download() as waiting:
        choose(page, entry)
    waiting.value.save_as(path)
    return path.read_bytes()


def test_images_hold_the_same_shapes(see_page: OpenPage, server: Server, tmp_path: Path) -> None:
    page = see_page(VIEW)
    svg = download(page, "SVG", tmp_path / "a.svg").decode()
    for color in colors("dark"):
        assert svg.count(f'fill="{color}"') > 2
    assert "How the signal travels" in svg
    assert "attention" in svg
    png = download(page, "PNG", tmp_path / "a.png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(png[start : start + 4]) for start in (16, 20)]
    assert size[0] == 2400
    assert f'width="1200" height="{size[1] // 2}"' in svg
    numbers = download(page, "CSV", tmp_path / "a.csv").decode().splitlines()
    assert numbers[0].startswith('after layer,"A Residual, activation","B HC, stream 1, activation"')
    assert len(numbers) == 10


def test_a_frame_shows_it_and_sends_a_signal(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, {"depth": 8, "width": 16, "connection": {"kind": kind}}) for kind in ("residual", "mhc")]
        name = http.post("/snapshots", json={"runs": runs, "state": "v=1&depth=8&width=16&B.name=ours"}).json()["id"]
    page = open_page(f"/embed/{name}?panel=picture&theme=light", width=720, height=600, wait=False)
    assert page.title() == "How the signal travels · mHC Scope"
    expect(picture(page)).to_have_attribute("aria-label", re.compile("B ours: 4 streams, sizes from"))
    assert count_color(page, 0, colors("light")[2]) > 300
    page.get_by_role("button", name="Send a signal").click()
    expect(page.locator(".picture-box canvas").nth(2)).to_be_visible()


@pytest.mark.full
def test_the_frame_of_the_dialog_is_as_high_as_the_picture(open_page: OpenPage, server: Server) -> None:
    page = open_page(f"{VIEW}&runs=residual,hc,mhc,frac&connection.streams=8")
    choose(page, "Embed")
    create_link(page)
    markup = page.get_by_role("dialog", name="Share").get_by_label("Embed code").text_content() or ""
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
    at = [box["x"] + box["width"] - 20, box["y"] + 60]
    layer = page.locator(".scrubber label").first
    for kind in ("pointerdown", "pointercancel"):
        picture(page).evaluate(press, [kind, *at])
    expect(layer).to_contain_text("Layer 3 /")
    for kind in ("pointerdown", "pointerup"):
        picture(page).evaluate(press, [kind, *at])
    expect(layer).to_contain_text("Layer 8 /")


@pytest.mark.full
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("runs=none,residual&block.kind=mlp", r"A Plain: one stream, .*at layer 3, mlp, from"),
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
    page = open_page("/#v=1&depth=256&width=16&runs=hc&connection.noise=1&dtype=bfloat16")
    label = picture(page).get_attribute("aria-label") or ""
    assert re.search(r"sizes from [\d.]+ to [\d.]+×10\S+", label)


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_stands_in_the_first_screen(open_page: OpenPage, server: Server, width: int, theme: ThemeName) -> None:
    page = open_page(width=width, height=844, theme=theme)
    bar = page.locator(".scrubber").bounding_box()
    box = picture(page).bounding_box()
    assert bar is not None
    assert box is not None
    # The story stands above it: below that all strips are seen, on a phone two of three.
    seen = 0.4 if width == 390 else 0.9
    assert box["y"] + seen * box["height"] <= bar["y"]
    assert min(count_color(page, 0, color) for color in colors(theme)) > 300


@pytest.mark.full
def test_it_is_printed_in_light(open_page: OpenPage, server: Server) -> None:
    page = open_page(VIEW)
    light, dark = (colors(theme)[2] for theme in ("light", "dark"))
    assert count_color(page, 0, dark, 12) > count_color(page, 0, light, 12)
    page.emulate_media(media="print")
    wait_until(page, lambda: count_color(page, 0, light, 12) > count_color(page, 0, dark, 12))
    page.emulate_media(media="screen")
    wait_until(page, lambda: count_color(page, 0, dark, 12) > count_color(page, 0, light, 12))
