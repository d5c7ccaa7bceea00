"""A view saved as one HTML file: opened from disk, offline, it shows every card and the numbers of the interface."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mhc_core.figures.style import THEMES
from mhc_core.findings.numerals import format_value
from tests.browser.conftest import OpenPage, create_link, open_share, to_css, wait_until_done
from tests.browser.look.test_access import audit
from tests.browser.share.test_copying import choose
from tests.conftest import Server

pytestmark = pytest.mark.full

KINDS = ["residual", "hc", "mhc"]
LABELS = ["A Residual", "B HC", "C mHC"]
LAYERS, CURSOR = 8, 4
VIEW = f"/#v=1&depth={LAYERS}&layer={CURSOR + 1}"


def save_view(page: Page, path: Path) -> Path:
    """Share, and save all of it as one file."""
    dialog = open_share(page)
    with page.expect_download() as loading:
        dialog.get_by_role("button", name="Download").click()
    assert loading.value.suggested_filename.endswith(".html")
    loading.value.save_as(path)
    expect(dialog.get_by_text("Downloaded, ")).to_be_visible()
    return path


def open_findings(page: Page) -> None:
    """Show the findings of all runs below their rows of the table of results."""
    closed = page.locator(".results-table th button[aria-expanded=false]")
    for _ in range(closed.count()):
        closed.first.click()
    expect(closed).to_have_count(0)


def open_sections(page: Page) -> None:
    """Open all sections, and with them the figures that are closed at first."""
    closed = page.locator("details.section:not([open])")
    for _ in range(closed.count()):
        closed.first.locator("summary").first.click()
    expect(closed).to_have_count(0)
    wait_until_done(page)


class Saved:
    """A saved file in a browser of its own that has no network."""

    def __init__(self, browser: Browser, path: Path, scheme: str = "light", width: int = 1200) -> None:
        self.context = browser.new_context(
            offline=True,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def check(self, path: Path) -> None:
        """It has asked for itself and for nothing else, and had nothing to say."""
        assert [url for url in self.asked if not url.startswith("data:")] == [path.as_uri()]
        assert self.faults == []
        self.context.close()


@pytest.fixture(scope="module")
def results(server: Server) -> dict[str, dict[str, np.ndarray]]:
    """Columns of the three runs, by their label."""
    found = {}
    for label, kind in zip(LABELS, KINDS, strict=True):
        run = httpx.post(f"{server.api}/runs", json={"depth": LAYERS, "connection": {"kind": kind}}).json()["id"]
        httpx.get(f"{server.api}/runs/{run}/events", headers={"Accept": "application/x-ndjson"}, timeout=60)
        found[label] = dict(np.load(io.BytesIO(httpx.get(f"{server.api}/runs/{run}/result.npz").content)))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the saved files of the usual view are."""
    return tmp_path_factory.mktemp("saved")


@pytest.fixture
def save_usual(see_page: OpenPage, folder: Path) -> Callable[[str], Path]:
    """The usual view as a file that was saved in a theme; all tests get the same one."""

    def build(theme: str) -> Path:
        path = folder / f"{theme}.html"
        if not path.exists():
            page = see_page(VIEW, theme=theme)
            save_view(page, path)
            page.keyboard.press("Escape")
        return path

    return build


def read_table(page: Page, panel: str) -> dict[str, list[float | None]]:
    """The columns of a card's table: values, None where the table has no number."""
    table = page.locator(f"[data-panel={panel}] details.numbers table")
    heads = table.locator("thead th").all_text_contents()[1:]
    rows: list[list[float | None]] = table.locator("tbody tr").evaluate_all(
        """rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => {
            const value = cell.querySelector('data')?.value;
            return value === undefined ? null : Number(value);
        }))"""
    )
    return {head: [row[index] for row in rows] for index, head in enumerate(heads)}


def expected_tables(panels: list[dict[str, Any]], results: dict[str, dict[str, np.ndarray]]) -> Iterator[Any]:
    """Panel, column and numbers, from the columns that the interface gives."""
    for panel in panels:
        for label, result in results.items():
            for column in panel["table"]:
                title = f"{label}, {column['title']}"
                layers = result.get(f"layers.{column['key']}")
                matrix = result.get(f"matrices.{column['key']}")
                if column["source"] in ("layers", "law") and layers is not None:
                    yield panel["key"], title, layers
                elif column["source"] == "streams" and layers is not None:
                    for stream in range(layers.shape[1]):
                        yield panel["key"], f"{title} {stream + 1}", layers[:, stream]
                elif column["source"] in ("row", "read") and matrix is not None:
                    row = matrix[CURSOR]
                    yield panel["key"], title, row[: CURSOR + 1] if column["source"] == "read" else row


def test_a_saved_view_opens_offline_with_every_figure_and_number(
    see_page: OpenPage,
    save_usual: Callable[[str], Path],
    browser: Browser,
    server: Server,
    results: dict[str, dict[str, np.ndarray]],
) -> None:
    path = save_usual("dark")
    page = see_page(VIEW, theme="dark")
    open_sections(page)
    cards = page.locator("[data-panel]")
    shown = cards.evaluate_all("cards => cards.map((card) => card.dataset.panel)")
    assert path.stat().st_size < 3_000_000
    saved = Saved(browser, path)
    assert saved.page.locator("h1").text_content() == ", ".join(LABELS)
    kept = saved.page.locator("[data-panel]:has(.on-screen svg)")
    assert sorted(kept.evaluate_all("cards => cards.map((card) => card.dataset.panel)")) == sorted(shown)
    for panel in shown:
        figure = saved.page.locator(f"[data-panel={panel}] .on-screen svg").first
        expect(figure).to_be_visible()
        drawn = "polygon" if panel == "picture" else ".cartesianlayer path[d], .heatmaplayer image, .annotation text"
        marks = f"svg => svg.querySelectorAll('{drawn}').length"
        assert figure.evaluate(marks) > 3, panel
        if panel == "picture":  # leaves letters out where names differ
            assert "HC" in figure.locator("text").all_text_contents()
        else:
            assert "B HC" in (figure.text_content() or ""), panel
    panels = httpx.get(f"{server.api}/panels").json()["panels"]
    tables = {panel["key"]: read_table(saved.page, panel["key"]) for panel in panels if panel["key"] in shown}
    compared = 0
    for panel, title, values in expected_tables([item for item in panels if item["key"] in shown], results):
        if title not in tables[panel] and panel in ("theory", "streams", "unfolded", "similarity"):
            continue  # a run to which no law applies, or of one stream
        found = [np.nan if value is None else value for value in tables[panel][title]]
        np.testing.assert_allclose(found, values, rtol=1e-6, err_msg=f"{panel}: {title}")
        compared += 1
    assert compared > 25
    matrices = [results[label]["matrices.h_res"][CURSOR] for label in ("B HC", "C mHC")]
    detail = np.transpose([tables["detail"][f"from {index}"] for index in range(1, 5)])
    expected = np.concatenate([[*matrix, matrix.sum(0)] for matrix in matrices])  # column sums below each
    np.testing.assert_allclose(detail.astype(float), expected, rtol=1e-6)
    saved.check(path)


def test_a_saved_view_says_what_was_run_and_leads_back(open_page: OpenPage, browser: Browser, tmp_path: Path) -> None:
    page = open_page(VIEW + "&C.name=ours+<b>")
    open_findings(page)
    sentences = page.locator(".results-table .sentence").all_text_contents()
    assert len(sentences) > 3
    path = save_view(page, tmp_path / "view.html")
    links = page.get_by_role("dialog", name="Share").get_by_label("Link to these settings").all_text_contents()
    saved = Saved(browser, path).page
    assert saved.locator("h1").text_content() == "A Residual, B HC, C ours <b>"
    assert saved.locator("header a").evaluate_all("links => links.map((link) => link.getAttribute('href'))") == links
    assert saved.locator(".story li").all_text_contents() == sentences
    specs = saved.locator("pre").all_text_contents()
    assert [f'"kind": "{kind}"' in text for kind, text in zip(KINDS, specs, strict=True)] == [True] * 3
    expect(saved.locator(".settings")).to_contain_text("Depth8 layers")
    expect(saved.get_by_text("One draw of the weights, from seed 0.")).to_be_visible()
    expect(saved.locator("[data-panel=cost]")).to_contain_text("The paper reports +6.7 % time")
    assert saved.locator("button, link").count() == 0


def test_a_view_is_shared_with_a_title_and_a_note(open_page: OpenPage, browser: Browser, tmp_path: Path) -> None:
    page = open_page(VIEW)
    dialog = open_share(page)
    link = dialog.get_by_label("Snapshot link")
    dialog.get_by_label("Title").fill("Why HC grows")
    dialog.get_by_label("Note").fill("See layer 5 & <b>beyond</b>")
    create_link(page)
    with page.expect_download() as loading:
        dialog.get_by_role("button", name="Download").click()
    assert loading.value.suggested_filename == "mhc-scope-why-hc-grows.html"
    loading.value.save_as(tmp_path / "view.html")
    saved = Saved(browser, tmp_path / "view.html").page
    assert saved.locator("h1").text_content() == "Why HC grows"
    expect(saved.locator("header")).to_contain_text("See layer 5 & <b>beyond</b>")
    expect(saved.locator("header a").first).to_have_text(link.text_content() or "")
    stored = open_page("/s/" + (link.text_content() or "").rsplit("/", 1)[1])
    assert stored.title() == "Why HC grows · mHC Scope"
    expect(stored.locator(".banner")).to_contain_text("Snapshot Why HC grows from")
    expect(stored.locator(".snapshot-note")).to_have_text("See layer 5 & <b>beyond</b>")
    again = open_share(stored)
    expect(again.get_by_label("Title")).to_have_value("Why HC grows")
    assert create_link(stored) == link.text_content()


def test_a_saved_view_takes_the_theme_that_was_on_and_prints_light(
    save_usual: Callable[[str], Path], browser: Browser
) -> None:
    back = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    dark = Saved(browser, save_usual("dark")).page
    assert dark.evaluate(back) == to_css(THEMES["dark"].card)
    dark.emulate_media(media="print")
    assert dark.evaluate(back) == "rgb(255, 255, 255)"
    figures = dark.locator("[data-panel=gain] .figure svg")
    assert [figure.is_visible() for figure in figures.all()] == [False, True]
    expect(figures.nth(1).locator("rect").first).to_have_css("fill", "rgb(255, 255, 255)")
    light = Saved(browser, save_usual("light"), "dark").page
    assert light.evaluate(back) == "rgb(255, 255, 255)"
    assert light.locator("[data-panel=gain] .figure svg").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_saved_view_is_for_everyone(save_usual: Callable[[str], Path], browser: Browser, theme: str) -> None:
    saved = Saved(browser, save_usual(theme), width=390)
    assert saved.page.evaluate("document.documentElement.scrollWidth") <= 390
    saved.page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    audit(saved.page, "saved view")


def test_the_chosen_view_of_a_card_and_the_difference_are_what_is_saved(
    open_page: OpenPage, browser: Browser, tmp_path: Path
) -> None:
    page = open_page(VIEW + "&difference=true")
    choose(page, "Activation", "Linear scale")
    saved = Saved(browser, save_view(page, tmp_path / "view.html")).page
    expect(saved.locator("[data-panel=activation] .unit")).to_have_text(
        "difference to A · rms of the stream mean · linear"
    )
    assert any("ratio to A" in unit for unit in saved.locator("[data-panel] .unit").all_inner_texts())
    expect(saved.locator("[data-panel=activation] svg").first).to_contain_text("B HC − A")
    assert next(iter(read_table(saved, "activation"))) == "B HC − A, rms"
    expect(saved.locator("main > section").last).to_contain_text("Each run is shown relative to A")


MAP = "&map=B&map.x=depth,2,4,6&map.y=connection.streams,2,3"


def save_with_map(page: Page, path: Path) -> Path:
    """Share from the map, which stays open, and save."""
    page.get_by_role("dialog", name="Sweep").get_by_role("button", name="Sweep: more").click()
    page.locator(".popover:popover-open").get_by_role("button", name=re.compile("^Embed")).click()
    dialog = page.get_by_role("dialog", name="Share")
    with page.expect_download() as loading:
        dialog.get_by_role("button", name="Download").click()
    loading.value.save_as(path)
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_saved_view_holds_the_open_map(
    open_page: OpenPage, browser: Browser, server: Server, tmp_path: Path, theme: str
) -> None:
    page = open_page(VIEW + MAP, theme=theme)
    expect(page.get_by_role("dialog", name="Sweep").get_by_role("status")).to_have_text("6 of 6 runs", timeout=60_000)
    expect(page.locator("[data-cell]").first).to_be_visible()
    path = save_with_map(page, tmp_path / "view.html")
    saved = Saved(browser, path)
    card = saved.page.locator("[data-panel=map]")
    expect(card).to_contain_text("Gain, forward, largest over layers.")
    expect(card.locator(".unit")).to_have_text("Depth × Streams · HC, width 64, seed 0, float32")
    assert card.locator(".figure").count() == (2 if theme == "dark" else 1)
    figure = card.locator(".figure svg").first
    expect(figure).to_be_visible()
    with httpx.Client(base_url=server.api, timeout=60) as http:
        spec = {"depth": LAYERS, "connection": {"kind": "hc"}}
        axes = {"x": {"field": "depth", "values": [2, 4, 6]}, "y": {"field": "connection.streams", "values": [2, 3]}}
        values = http.get(http.post("/runs/sweep", json={"spec": spec, **axes}).json()["links"]["values"][7:]).json()
    table = read_table(saved.page, "map")
    rows = np.transpose([table[head] for head in ("2", "4", "6")]).astype(float)
    np.testing.assert_allclose(rows[::-1], values["values"], err_msg="as in the figure, y upwards")
    for row in values["values"]:
        for value in row:
            assert format_value(value, digits=3) in (figure.text_content() or "")
    expect(card).not_to_contain_text("not computed")
    saved.page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    audit(saved.page, "saved map")
    saved.check(path)


def test_a_saved_map_says_what_is_missing(open_page: OpenPage, browser: Browser, tmp_path: Path) -> None:
    page = open_page(VIEW + "&width=64&input.batch=8" + MAP.replace("2,4,6", "2,302,312,322"), wait=False)
    status = page.get_by_role("dialog", name="Sweep").get_by_role("status")
    expect(status).to_contain_text(re.compile("^[1-9] of 8 runs"), timeout=60_000)
    page.get_by_role("dialog", name="Sweep").get_by_role("button", name="Cancel").click()
    expect(status).to_contain_text("cancelled")
    wait_until_done(page)
    saved = Saved(browser, save_with_map(page, tmp_path / "view.html")).page
    card = saved.locator("[data-panel=map]")
    expect(card).to_contain_text(re.compile(r"[1-7] of 8 runs; \d not computed\."))
    done = sum(value is not None for column in read_table(saved, "map").values() for value in column)
    assert f"{done} of 8 runs; {8 - done} not computed." in (card.text_content() or "")
    assert "cancelled" in (card.locator("table").text_content() or "")
