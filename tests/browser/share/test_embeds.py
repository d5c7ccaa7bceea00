"""Every card can be framed in another page: chosen figure, theme and view, from the dialog and from a card's menu."""

import math
import re
import time
from functools import partial

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mhc_core.figures.style import THEMES
from mhc_core.findings.numerals import format_value
from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from tests.browser.conftest import (
    OpenPage,
    Watch,
    create_link,
    open_share,
    read_result,
    to_css,
    wait_until,
    wait_until_done,
)
from tests.browser.look.test_access import audit
from tests.browser.share.test_copying import choose
from tests.conftest import Server, compute, wait_for_end

PAPERS: dict[str, str] = {name: theme.card for name, theme in THEMES.items()}
GROUNDS = {name: to_css(card) for name, card in PAPERS.items()}
PAPER = "document.querySelector('.plot').layout.paper_bgcolor"
KINDS = ("residual", "hc", "mhc")
# The gains of all runs, as logarithms.
GAINS = """() => document.querySelector('.plot').data.filter(({ meta, visible }) => visible !== false && meta.key)
    .map(({ meta, y }) => ({ run: meta.run, key: meta.key, values: y }))"""


@pytest.fixture(scope="module")
def stored(server: Server) -> str:
    """The name of a stored view of three runs, the second with a name."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        runs = [compute(http, {"depth": 8, "width": 16, "connection": {"kind": kind}}) for kind in KINDS]
        view = {"runs": runs, "state": "v=1&depth=8&width=16&B.name=ours&layer=3"}
        name: str = http.post("/snapshots", json=view).json()["id"]
        return name


def panels_of(server: Server) -> dict[str, str]:
    """Keys and titles of all cards that can be framed."""
    panels = httpx.get(f"{server.api}/panels").json()["panels"]
    return {
        "picture": "How the signal travels",
        **{panel["key"]: panel["title"] for panel in panels},
        "cost": "Cost",
    }


def assert_framed(page: Page, key: str, title: str, theme: str) -> None:
    """One card, drawn, in its theme, with the runs' names."""
    card = page.locator(f"#panel-{key}")
    expect(card.locator("h1")).to_contain_text(title)
    expect(page.locator("[aria-busy=true], .loading:visible, .stale")).to_have_count(0)
    assert page.locator(".card").count() == 1
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == GROUNDS[theme]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if key == "cost":
        expect(card.locator(".cost-figure .point").first).to_be_visible()
    elif key == "picture":
        expect(card.locator(".picture-box")).to_have_attribute("aria-label", re.compile("B ours: 4 streams"))
    elif key == "training":
        expect(card.locator(".plot")).to_contain_text("No run trains.")
    elif key == "effect":
        expect(card.locator(".plot")).to_contain_text("No edits: nothing to compare.")
    elif key == "gates":
        expect(card.locator(".plot")).to_contain_text("No gates: layers read whole streams.")
    else:
        expect(card.locator(".plot")).to_contain_text("B ours")
        assert page.evaluate(PAPER) == PAPERS[theme]


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_card_can_be_framed_in_either_theme(open_page: OpenPage, server: Server, stored: str, theme: str) -> None:
    # The system's theme is the other one: the frame's own counts. Each card in one theme, by turns.
    page = open_page("/docs", theme="light" if theme == "dark" else "dark", width=720, height=400, wait=False)
    panels = list(panels_of(server).items())
    for key, title in panels[theme == "dark" :: 2]:
        page.goto(f"{server.url}/embed/{stored}?panel={key}&theme={theme}")
        assert page.title() == f"{title} · mHC Scope"
        assert_framed(page, key, title, theme)


def test_a_frame_shows_the_chosen_view(open_page: OpenPage, stored: str) -> None:
    page = open_page(f"/embed/{stored}?panel=theory&view=act_rms&theme=dark", wait=False)
    pressed = page.locator(".segments [aria-pressed=true]")
    first = pressed.text_content()
    views = page.locator(".segments button").all_text_contents()
    other = open_page(f"/embed/{stored}?panel=gain&view=linear&theme=dark", wait=False)
    expect(other.locator(".segments [aria-pressed=true]")).to_have_text("linear")
    assert first == views[0], "a view that is none leaves the first"


@pytest.mark.full
def test_what_cannot_be_framed_says_so(open_page: OpenPage, stored: str) -> None:
    page = open_page(f"/embed/{stored}?panel=nothing", wait=False)
    expect(page.get_by_role("alert")).to_contain_text(
        "There is no panel nothing; there are picture, gain, gain_bwd, activation"
    )


@pytest.mark.full
def test_a_frame_of_a_run_that_is_not_here_says_so_where_it_is_framed(
    open_page: OpenPage, server: Server, watch: Watch
) -> None:
    watch.allow("status of 404")
    answer = httpx.get(f"{server.url}/embed/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "frame-ancestors *" in answer.headers["content-security-policy"], "else the frame is the browser's own error"
    page = open_page("/embed/nothing", wait=False)
    expect(page.get_by_role("heading")).to_have_text("This figure is gone")
    expect(page.locator("main")).to_contain_text("no snapshot and no run named “nothing”")
    expect(page.get_by_role("link", name="Open mHC Scope")).to_have_attribute("target", "_blank")
    other = httpx.get(f"{server.url}/nothing", headers={"Accept": "text/html"})
    assert "frame-ancestors 'none'" in other.headers["content-security-policy"]


@pytest.mark.full
def test_a_frame_says_that_its_run_was_cancelled(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = http.post("/runs", json={"depth": 300, "width": 256, "seed": 77}).json()["id"]
        http.delete(f"/runs/{run}")
        wait_for_end(http, run)
    page = open_page(f"/embed/{run}?panel=gain", wait=False)
    expect(page.get_by_role("alert")).to_contain_text("Run A mHC was cancelled. Results so far are shown.")


@pytest.mark.full
def test_a_frame_waits_for_a_server_that_is_away(
    open_page: OpenPage, server: Server, stored: str, watch: Watch
) -> None:
    watch.allow("ERR_FAILED")
    page = open_page("/docs", wait=False)
    page.route("**/api/v1/schema", lambda route: route.abort())
    page.goto(f"{server.url}/embed/{stored}?panel=gain")
    expect(page.get_by_role("alert")).to_contain_text("The server of this figure cannot be reached.")
    page.unroute("**/api/v1/schema")
    expect(page.locator("[data-panel=gain] .plot")).to_contain_text("B ours")
    expect(page.get_by_role("alert")).to_have_count(0)


def frame_of(page: Page) -> dict[str, str]:
    """The attributes of the frame that the dialog gives to copy, as a browser reads them."""
    markup = page.get_by_role("dialog", name="Share").get_by_label("Embed code").text_content()
    read = """markup => { const box = document.createElement('template'); box.innerHTML = markup;
        return Object.fromEntries([...box.content.firstChild.attributes].map(({ name, value }) => [name, value])); }"""
    attributes: dict[str, str] = page.evaluate(read, markup)
    return attributes


@pytest.mark.full
def test_the_dialog_gives_the_frame_of_a_chosen_figure_and_theme(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&width=16")
    dialog = open_share(page)
    create_link(page)
    assert "theme=dark" in frame_of(page)["src"], "the theme that is on"
    dialog.get_by_label("Figure").select_option("Effective skip connections")
    dialog.get_by_label("Theme").select_option("Light")
    frame = frame_of(page)
    assert re.fullmatch(re.escape(server.url) + r"/embed/\w+\?panel=unfolded&theme=light", frame["src"])
    assert frame["title"] == "Effective skip connections, mHC Scope"
    opened = open_page(frame["src"].removeprefix(server.url), width=720, height=int(frame["height"]), wait=False)
    expect(opened.locator(".plot .main-svg").first).to_be_visible()
    expect(opened.locator("[aria-busy=true]")).to_have_count(0)
    assert opened.evaluate("document.documentElement.scrollHeight") <= int(frame["height"]), "nothing is cut off"


@pytest.mark.full
def test_a_cards_menu_leads_to_its_own_frame(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&width=16")
    choose(page, "Activation", "Linear scale")
    choose(page, "Activation", "Embed")
    expect(page.get_by_role("dialog", name="Share")).to_be_visible()
    create_link(page)
    assert frame_of(page)["src"].endswith("?panel=activation&theme=dark")
    framed = open_page(frame_of(page)["src"].removeprefix(server.url), wait=False)
    expect(framed.locator(".segments [aria-pressed=true]")).to_have_text("linear")
    framed.get_by_role("button", name="Activation: more").click()
    expect(framed.locator(".popover:popover-open")).to_contain_text("Copy as image")
    expect(framed.locator(".popover:popover-open")).not_to_contain_text("Embed")


@pytest.fixture(scope="module")
def stored_map(server: Server) -> tuple[str, dict[str, str]]:
    """The name of a stored view with a map of HC, 3 x 2, and what its cells say over REST, in four digits."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        spec = {"depth": 8, "width": 16, "connection": {"kind": "hc"}}
        depths, streams = [2, 4, 6], [2, 3]
        x, y = {"field": "depth", "values": depths}, {"field": "connection.streams", "values": streams}
        sweep = http.post("/runs/sweep", json={"spec": spec, "x": x, "y": y}).json()["id"]
        while http.get(f"/runs/sweep/{sweep}").json()["is_open"]:
            time.sleep(0.05)
        values = http.get(f"/runs/sweep/{sweep}/values").json()["values"]
        state = "v=1&runs=hc&depth=8&width=16&map=A&map.x=depth,2,4,6&map.y=connection.streams,2,3"
        view = {"runs": [compute(http, spec)], "state": state, "sweep": sweep}
        name: str = http.post("/snapshots", json=view).json()["id"]
        told = {
            f"Depth {depth}, Streams {count}": format_value(values[row][column])
            for row, count in enumerate(streams)
            for column, depth in enumerate(depths)
        }
        return name, told


@pytest.mark.full
@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 720])
def test_a_stored_map_is_framed(
    open_page: OpenPage, server: Server, stored_map: tuple[str, dict[str, str]], theme: str, width: int
) -> None:
    name, told = stored_map
    other = "light" if theme == "dark" else "dark"
    page = open_page(f"/embed/{name}?panel=map&theme={theme}", theme=other, width=width, height=340, wait=False)
    card = page.locator("#panel-map")
    expect(card.locator("h1")).to_have_text("Sweep")
    expect(card).to_contain_text("Gain, forward, largest over layers.")
    expect(card).to_contain_text("HC · Depth × Streams")
    expect(card).to_contain_text("HC, width 16, seed 0, float32 · 6 runs")
    cells = card.get_by_role("link")
    expect(cells).to_have_count(6)
    labels = [cell.get_attribute("aria-label") or "" for cell in cells.all()]
    assert dict(label.split(": ") for label in labels) == told
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == GROUNDS[theme]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    audit(page, "framed map")
    page.emulate_media(media="print")
    wait_until(page, lambda: page.evaluate(PAPER) == PAPERS["light"])
    page.emulate_media(media="screen")
    wait_until(page, lambda: page.evaluate(PAPER) == PAPERS[theme])
    card.get_by_role("button", name="Sweep: more").click()
    menu = page.locator(".popover:popover-open")
    expect(menu).not_to_contain_text("Embed")
    menu.get_by_role("button", name="Show as table").click()
    numbers = list(told.values())
    assert card.locator("tbody td").all_text_contents() == [*numbers[3:], *numbers[:3]], "as in the figure, y upwards"
    with page.context.expect_page() as opening:
        card.get_by_role("link", name=re.compile("^Depth 4, Streams 3")).click()
    opened = opening.value
    wait_until_done(opened)
    assert opened.url == f"{server.url}/#v=1&runs=hc&depth=4&width=16&connection.streams=3"


@pytest.mark.full
def test_a_view_without_a_map_frames_none(open_page: OpenPage, stored: str) -> None:
    page = open_page(f"/embed/{stored}?panel=map", wait=False)
    expect(page.get_by_role("alert")).to_contain_text(
        "There is no panel map; there are picture, gain, gain_bwd, activation"
    )


@pytest.mark.full
def test_a_frame_can_be_moved_without_the_server(open_page: OpenPage, server: Server, stored: str) -> None:
    page = open_page(f"/embed/{stored}?panel=gain_bwd&theme=light", wait=False)
    page.locator(".try-it summary").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    moved: dict[str, float] = {}
    for title, field, value in (("Depth", "depth", 5), ("Drift", "noise", 0.9), ("Sinkhorn", "sinkhorn_iters", 2)):
        move(page, title, value)
        moved[field] = value
        results = [compute_moved(server, kind, moved) for kind in KINDS]
        # The curves are drawn in a frame after the one that shows the number.
        wait_until(page, partial(has_gains, page, results))
        assert f"{field}={value}" in str(page.locator(".try-it a").get_attribute("href"))
    assert max(results[2].layers["composite_gain_bwd"]) > 1.001, "few rounds are seen"
    assert asked == []


def move(page: Page, title: str, value: float) -> None:
    """Put a slider on the stop of a value, as a key does: stop by stop."""
    label = page.locator(".try-it label", has_text=title)
    at = label.locator("output")
    while float(at.inner_text()) != value:
        label.locator("input").press("ArrowRight" if float(at.inner_text()) < value else "ArrowLeft")


def compute_moved(server: Server, kind: str, moved: dict[str, float]) -> Result:
    """What the server says of the stored run of that kind at another depth, drift and number of rounds."""
    depth, *connection = moved.items()
    body = {"width": 16, **dict([depth]), "connection": {"kind": kind, **dict(connection)}}
    with httpx.Client(base_url=server.api, timeout=60) as http:
        compute(http, body)
    return read_result(server, parse_spec(body))


def has_gains(page: Page, results: list[Result]) -> bool:
    """Whether the gains that are drawn are those of these runs, to 1e-6."""
    drawn = page.evaluate(GAINS)
    wanted = [results[curve["run"]].layers_log10[curve["key"]] * math.log(10) for curve in drawn]
    found = [np.array(curve["values"], dtype=float) * math.log(10) for curve in drawn]
    return len(drawn) == len(KINDS) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=0, atol=1e-6)
        for one, other in zip(found, wanted, strict=True)
    )
