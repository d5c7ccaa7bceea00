"""A page loads what it runs, all at once, and leaves the rest until it is asked for."""

import io
import re
import threading

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from mhc_scope.files import CHECKOUT, list_files, read_file
from tests.browser.conftest import SETTLED, OpenPage, Watch, open_settings, wait_until, wait_until_done
from tests.conftest import Server, compute

DRAWS = "**/plotly-cartesian.min.js"
# Scripts that were loaded, and those that the page named beforehand; ours without the hash of their addresses.
MODULES = """() => {
    const ours = (urls) => {
        const paths = urls.map((url) => new URL(url).pathname);
        const scripts = paths.filter((path) => /^\\/(static|vendor)\\/.*\\.m?js$/.test(path));
        return [...new Set(scripts.map((path) => path.replace(/^\\/static\\/[^\\/]*\\//, '')))].sort();
    };
    const loaded = performance.getEntriesByType('resource').map(({ name }) => name);
    const named = [...document.querySelectorAll('link[rel=modulepreload], link[rel=prefetch], script[src]')];
    return [ours(loaded), ours(named.map((item) => item.src || item.href))];
}"""

# A style sheet as the browser understands it; what it imports is not asked for.
RULES = """(text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    // Values with variables are kept as they are written, over several lines too; the indentation of these is removed.
    return [...sheet.cssRules].map((rule) => rule.cssText.replace(/\\s+/g, ' '));
}"""


def find_modules(page: Page) -> tuple[list[str], list[str]]:
    loaded, named = page.evaluate(MODULES)
    return loaded, named


@pytest.mark.full
@pytest.mark.parametrize("path", ["/#v=1&runs=mhc&depth=6&width=16", "/embed/{run}?panel=gain"])
def test_a_page_names_beforehand_what_it_runs(open_page: OpenPage, server: Server, path: str) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 6, "width": 16})
    page = open_page(path.format(run=run), wait=False)
    expect(page.locator(".plot .main-svg").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    loaded, named = find_modules(page)
    assert len(named) > 8
    assert loaded == named


@pytest.mark.full
def test_what_makes_the_map_comes_with_the_map(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=6&width=16")
    wait_until_done(page)
    assert "js/sweep/dialog.js" not in find_modules(page)[0]
    page.get_by_role("button", name="Sweep", exact=True).click()
    expect(page.locator("dialog[open]:has(.sweep)")).to_be_visible()
    assert "js/sweep/dialog.js" in find_modules(page)[0]


@pytest.mark.full
def test_a_dialog_comes_when_its_key_or_button_is_pressed(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=6&width=16")
    for key, title, module in (
        ("f", "How the signal travels", "js/controls/stage.js"),
        ("?", "Help", "js/controls/help.js"),
        ("v", "Your views", "js/controls/viewsdialog.js"),
        ("s", "Share", "js/controls/sharedialog.js"),
        ("Examples", "Examples", "js/controls/gallery.js"),
        ("Verify run A mHC", "Verify A mHC", "js/cards/verify.js"),
    ):
        wait_until_done(page)
        assert module not in find_modules(page)[0]
        opener = page.get_by_role("button", name=key, exact=True)
        if len(key) == 1:
            page.keyboard.press(key)
        else:
            opener.click()
        dialog = page.get_by_role("dialog", name=title, exact=True)
        expect(dialog).to_be_visible()
        assert module in find_modules(page)[0]
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        if len(key) > 1:
            expect(opener).to_be_focused()
    assert "js/controls/settings.js" not in find_modules(page)[0]
    open_settings(page)
    assert "js/controls/settings.js" in find_modules(page)[0]


@pytest.mark.full
def test_words_come_before_what_draws_figures(open_page: OpenPage, watch: Watch, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        compute(http, {"depth": 6, "width": 16})
    page = open_page("/docs", wait=False)
    held: list[Route] = []
    is_open = threading.Event()
    page.route(DRAWS, lambda route: route.continue_() if is_open.is_set() else held.append(route))
    page.goto(watch.origin + "/#v=1&runs=mhc&depth=6&width=16", wait_until="commit")
    expect(page.locator(".step-text")).to_contain_text(re.compile(r"×\d"))
    assert held, "it is asked for beforehand"
    assert page.evaluate("'Plotly' in window") is False
    is_open.set()
    for route in held:
        route.continue_()
    expect(page.locator("[data-panel=gain] .main-svg").first).to_be_attached()


@pytest.mark.full
def test_a_page_without_what_draws_figures_says_so(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 404")
    page = open_page("/docs", wait=False)
    page.route(DRAWS, lambda route: route.fulfill(status=404, body=""))
    page.goto(watch.origin + "/#v=1&runs=mhc&depth=6&width=16")
    expect(page.get_by_text("The library that draws figures could not be loaded.")).to_be_visible()
    expect(page.locator(".step-text")).to_contain_text(re.compile(r"×\d"))


@pytest.mark.full
def test_a_part_that_does_not_come_says_what_to_do(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 404")
    page = open_page("/#v=1&runs=mhc&depth=6&width=16")
    wait_until_done(page)
    page.route("**/js/sweep/dialog.js", lambda route: route.fulfill(status=404, body=""))
    page.get_by_role("button", name="Sweep", exact=True).click()
    expect(page.get_by_text("could not be loaded. Reload the page to try again.")).to_be_visible()


def test_style_sheets_lose_their_comments_and_no_rule(browser: Browser) -> None:
    paths = [path for path in list_files("static/css") if path.endswith(".css")]
    page = browser.new_page()
    for path in paths:
        written, served = (CHECKOUT / path).read_text(), read_file(path).decode()
        assert "/*" not in served
        rules = [page.evaluate(RULES, text) for text in (written, served)]
        assert rules[0] == rules[1], path
    page.close()


@pytest.mark.full
def test_a_presets_runs_are_requested_before_the_schema_comes(open_page: OpenPage, watch: Watch) -> None:
    page = open_page("/docs", wait=False)
    held: list[Route] = []
    requested: list[str] = []
    page.route("**/api/v1/schema", lambda route: held.append(route))
    page.on("request", lambda request: requested.append(request.url.split("?")[0].rsplit("/", 1)[-1]))
    page.goto(watch.origin + "/p/default", wait_until="commit")
    expect(page.locator(".preset-numbers")).to_be_attached()
    assert held
    assert requested.count("compare") == 1
    held[0].continue_()
    wait_until_done(page)
    assert requested.count("compare") == 1, "its response is used"
    requested.clear()
    page.goto("about:blank")
    page.unroute("**/api/v1/schema")
    page.goto(watch.origin + "/p/default#depth=12")
    wait_until_done(page)
    assert requested.count("compare") == 1, "only that of the changed runs"


@pytest.mark.full
def test_curves_come_before_what_draws_figures(open_page: OpenPage, watch: Watch) -> None:
    page = open_page("/docs", wait=False)
    held: list[Route] = []
    page.route(DRAWS, lambda route: held.append(route))
    page.goto(watch.origin + "/p/default", wait_until="commit")
    sketch = page.locator("[data-panel=gain] .plot-box:not([data-waits]) .sketch")
    expect(sketch).to_be_attached()
    assert page.evaluate("'Plotly' in window") is False
    before = sketch.locator("..").bounding_box()
    page.route(DRAWS, lambda route: route.continue_())  # later requests
    for route in held:
        route.continue_()
    expect(page.locator("[data-panel=gain] .main-svg").first).to_be_attached()
    expect(sketch).to_have_count(0)
    assert page.locator("[data-panel=gain] .plot-box").bounding_box() == before


# Middles of some cells of each matrix, in px from the corner of the chart.
CELLS = """key => {
    const box = document.querySelector(`[data-panel=${key}] .plot`);
    return box.data.flatMap(({ z, x0, dx, y0, dy, xaxis, yaxis }) => {
        const axes = box._fullLayout;
        const [x, y] = [axes[`xaxis${xaxis.slice(1)}`], axes[`yaxis${yaxis.slice(1)}`]];
        const places = (count) => [0, Math.floor(count / 3), count - 1];
        return places(z.length).flatMap((row) => places(z[0].length).map((column) => [
            x._offset + x.l2p(x0 + column * dx), y._offset + y.l2p(y0 + row * dy),
        ]));
    });
}"""
CELL_LEVELS = 4  # of 255; a cursor's line is as wide in both pictures
OTHER_LEVELS, OTHER_SHARE = 40, 0.025  # edges of letters and of cells may be a pixel apart


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_matrices_look_as_plotly_draws_them_before_it_is_there(open_page: OpenPage, watch: Watch, theme: str) -> None:
    page = open_page("/docs", wait=False, theme=theme)
    held: list[Route] = []
    page.route(f"{DRAWS}*", lambda route: held.append(route))
    page.goto(f"{watch.origin}/p/hc_unfolded#depth=8", wait_until="commit")
    chart = page.locator("[data-panel=unfolded] .plot-box")
    sketch = page.locator("[data-panel=unfolded] .plot-box:not([data-waits]) .sketch")
    wait_until(page, lambda: page.locator(".status").get_attribute("data-phase") == "idle")
    expect(sketch).to_be_attached()
    page.evaluate(SETTLED)
    sketched = read_picture(chart)
    assert page.evaluate("'Plotly' in window") is False
    page.route(f"{DRAWS}*", lambda route: route.continue_())  # later requests
    for route in held:
        route.continue_()
    expect(page.locator("[data-panel=unfolded] .main-svg").first).to_be_attached()
    expect(sketch).to_have_count(0)
    drawn = read_picture(chart)
    apart = np.abs(sketched - drawn).max(axis=2)
    cells = np.array(page.evaluate(CELLS, "unfolded"), dtype=int)
    inside = cells[(cells[:, 0] > 0) & (cells[:, 0] < drawn.shape[1])]
    assert len(inside) >= 18
    assert apart[inside[:, 1], inside[:, 0]].max() <= CELL_LEVELS
    assert len({tuple(color) for color in sketched[inside[:, 1], inside[:, 0]]}) >= 3, "not blank"
    assert (apart > OTHER_LEVELS).mean() <= OTHER_SHARE


def read_picture(place: Locator) -> np.ndarray:
    """What is seen at a place: (height, width, 3), from 0 to 255."""
    picture = Image.open(io.BytesIO(place.screenshot(scale="css", animations="disabled")))
    return np.asarray(picture.convert("RGB"), dtype=int)
