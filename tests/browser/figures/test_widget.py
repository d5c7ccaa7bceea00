"""The page's figures without a server, in Chromium: the document by itself, and as a notebook frames it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from playwright.sync_api import Browser, BrowserContext, Page, expect

from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import attach
from mhc_scope.document import write_document
from mhc_scope.widget import MODULE, Widget
from tests.browser.share.test_saved_sliders import move
from tests.conftest import ROOT
from tests.core.conftest import CONNECTIONS, build_spec, measure
from tests.probe.attach.attachable import build_deepseek
from tests.traced import NAME, read_trace

pytestmark = pytest.mark.full

DOTTED = ".shapelayer path"
DEPTH = 8
DRAWN_MS = 300  # longer than a document takes to draw all its figures
# The curves that a card shows, by run and metric.
DRAWN = """card => card.querySelector('.js-plotly-plot').data
    .filter((trace) => trace.visible !== false && trace.meta.key)
    .map(({ meta, y }) => ({ run: meta.run, key: meta.key, values: y }))"""
PANELS = {"gain", "gain_bwd", "activation", "gradient", "similarity", "cka", "mixing", "detail", "streams", "unfolded"}
HOST = """<!doctype html><body style="margin:0"><div id="el"></div><script type="module">
MODULE
const values = VALUES, listeners = [];
window.model = {
  get: (name) => values[name],
  set: (name, value) => { if (values[name] !== value) { values[name] = value; listeners.forEach((call) => call()); } },
  save_changes: () => { window.saved = values.layer; },
  on: (name, call) => listeners.push(call),
  off: (name, call) => listeners.splice(listeners.indexOf(call), 1),
};
window.leave = render({ model, el: document.getElementById('el') });
</script>"""
NOTEBOOK = """
from mhc_scope.widget import Widget
from tests.core.conftest import build_spec, measure
widget = Widget(measure(build_spec()), layer=1)
widget
"""


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [measure(build_spec(connection=CONNECTIONS[kind], train={"steps": 2})) for kind in ("hc", "mhc")]


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A profile without a network."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A page that fails on errors, and on any request but of the file itself."""
    opened, faults = visitor.new_page(), list[str]()
    opened.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:", "about:")) else faults.append(asked.url),
    )
    yield opened
    opened.close()
    assert faults == []


def open_text(page: Page, folder: Path, text: str) -> None:
    path = folder / "page.html"
    path.write_text(text)
    page.goto(path.as_uri())


def test_it_says_what_a_trace_did_not_hear(page: Page, tmp_path: Path) -> None:
    model = build_deepseek()
    with torch.no_grad(), attach(model) as probe:
        model(torch.arange(12)[None])
    open_text(page, tmp_path, write_document([probe.result()]))
    told = f"A {NAME}: the recording has no backward pass, so gradients are unknown."
    expect(page.locator(".missing")).to_have_text([told] * 3)
    for panel in ("gradient", "streams", "theory"):  # every card that would draw them
        expect(page.locator(f"[data-panel={panel}] .missing")).to_have_text(told)
    expect(page.locator("[data-panel=gradient] .plot-container")).to_have_count(0)
    expect(page.locator("[data-panel=gain] .plot-container")).to_have_count(1)


def count_cursors(page: Any) -> int:
    return int(page.locator(DOTTED).count())


def test_a_document_draws_every_figure_with_one_cursor(page: Page, results: list[Result], tmp_path: Path) -> None:
    open_text(page, tmp_path, write_document(results, layer=1))
    expect(page.locator("#cards section .main-svg").first).to_be_attached()
    expect(page.locator("#place")).to_have_text("layer 2 of 4")
    cards = page.locator("#cards section")
    assert {cards.nth(index).get_attribute("data-panel") for index in range(cards.count())} >= PANELS | {"training"}
    assert results[0].summary.headline.text in page.locator("#stories").inner_text()
    detail = page.locator("[data-panel=detail]")
    expect(detail.locator(".main-svg").first).to_be_attached()
    first_layer = detail.inner_html()
    page.locator("#layer").fill("4")
    expect(page.locator("#place")).to_have_text("layer 4 of 4")
    expect(page.locator(f"[data-panel=gain] {DOTTED}")).not_to_have_count(0)
    # Raises after its limit unless the matrices change with the cursor: a slow machine draws them late.
    page.wait_for_function(
        "([detail, html]) => detail.innerHTML !== html", arg=[detail.element_handle(), first_layer], timeout=30_000
    )


def measure_both(**moved: float) -> list[Result]:
    """What runs of HC and mHC measure with these settings, by their leaves."""
    depth = moved.pop("depth", DEPTH)
    return [measure(build_spec(depth=depth, connection={"kind": kind, **moved})) for kind in ("hc", "mhc")]


def check_gains(page: Page, expected: list[Result]) -> None:
    """The gains of both runs, forward and backward, are drawn as these measure them, to 1e-6."""
    for panel, key in (("gain", "composite_gain_fwd"), ("gain_bwd", "composite_gain_bwd")):
        drawn = page.locator(f"[data-panel={panel}]").evaluate(DRAWN)
        assert sorted((curve["run"], curve["key"]) for curve in drawn) == [(0, key), (1, key)]
        for curve in drawn:
            wanted = expected[curve["run"]].layers[key]
            np.testing.assert_allclose(10.0 ** np.array(curve["values"], dtype=float), wanted, rtol=1e-6)


def test_sliders_show_what_a_run_would_measure(page: Page, tmp_path: Path) -> None:
    computed = measure_both()
    open_text(page, tmp_path, write_document(computed))
    expect(page.locator("[data-panel=gain] .main-svg").first).to_be_attached()
    check_gains(page, computed)
    said = page.locator(".said")
    moved: dict[str, float] = {}
    for path, value, waiting in (
        ("depth", 5, ("gradient",)),  # the way down is another of another stack
        ("connection.noise", 0.5, ("gradient", "activation")),
        ("connection.sinkhorn_iters", 2, ("gradient", "activation")),
    ):
        move(page, path, value)
        moved[path.rpartition(".")[2]] = value
        page.wait_for_timeout(DRAWN_MS)
        check_gains(page, measure_both(**moved))
        for panel in ("gain", "mixing", "gradient", "activation"):
            dimmed = page.locator(f"[data-panel={panel}]").evaluate("card => card.classList.contains('waits')")
            assert dimmed == (panel in waiting), (path, panel)
    assert max(measure_both(**moved)[1].layers["composite_gain_bwd"]) > 1.001, "few rounds are seen"
    expect(page.locator("#place")).to_have_text("layer 5 of 5")
    for path, value in (("connection.noise", 0.3), ("connection.sinkhorn_iters", 20), ("depth", DEPTH)):
        move(page, path, value)
    expect(said).to_have_text("As computed.")
    expect(page.locator(".waits")).to_have_count(0)
    page.wait_for_timeout(DRAWN_MS)
    check_gains(page, computed)


def test_records_of_stacks_that_train_have_no_sliders(page: Page, results: list[Result], tmp_path: Path) -> None:
    open_text(page, tmp_path, write_document(results))
    expect(page.locator("[data-panel=gain] .main-svg").first).to_be_attached()
    expect(page.locator("#try-it")).to_be_hidden()


def test_a_click_moves_the_cursor_of_all(page: Page, results: list[Result], tmp_path: Path) -> None:
    open_text(page, tmp_path, write_document(results, "dark"))
    area = page.locator("[data-panel=activation] .nsewdrag").first
    expect(page.locator("#place")).to_have_text("layer 4 of 4")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    page.wait_for_timeout(200)
    page.mouse.click(box["x"] + 4, box["y"] + box["height"] / 2)
    expect(page.locator("#place")).to_have_text("layer 1 of 4")


def test_a_trace_whose_name_is_markup_stays_text(page: Page, tmp_path: Path) -> None:
    text = write_document([read_trace().result])
    open_text(page, tmp_path, text.replace(NAME, "\\u003c/script>\\u003cimg src=x>"))
    expect(page.locator("#stories h2")).to_have_text("A </script><img src=x>")
    assert page.locator("img").count() == 0


def test_a_notebook_frames_it_and_shares_the_cursor(page: Page, results: list[Result], tmp_path: Path) -> None:
    widget = Widget(*results, layer=2)
    values = json.dumps({"document": widget.document, "layer": 2, "height": 700}).replace("</", "<\\/")
    open_text(
        page,
        tmp_path,
        HOST.replace("MODULE", MODULE.replace("export default { render };", "")).replace("VALUES", values),
    )
    frame = page.frame_locator("iframe")
    expect(frame.locator("#place")).to_have_text("layer 3 of 4")
    frame.locator("#layer").fill("1")
    expect(frame.locator("#place")).to_have_text("layer 1 of 4")
    page.wait_for_function("window.saved === 0")
    page.evaluate("model.set('layer', 3)")
    expect(frame.locator("#place")).to_have_text("layer 4 of 4")
    assert page.evaluate("document.querySelector('iframe').contentDocument") is None, "it has an origin of its own"


def test_a_notebook_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    client = NotebookClient(document, timeout=120, kernel_name="python3")
    client.execute()
    (output,) = document.cells[0].outputs
    view = output.data["application/vnd.jupyter.widget-view+json"]
    state = client.widget_state[view["model_id"]]
    assert (state["layer"], state["_anywidget_id"].endswith("Widget")) == (1, True)
    assert state["document"] == write_document([measure(build_spec())], layer=1)


def test_what_cannot_be_shown_is_refused(results: list[Result]) -> None:
    with pytest.raises(SpecError, match="results: got 0, wanted 1 to 4 results"):
        write_document([])
    with pytest.raises(SpecError, match=r"results\.0: got 'no frames'"):
        write_document([Result()])
