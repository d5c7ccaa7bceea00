"""The calls that the page prints are run for real, and draw what the page draws."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable

import httpx
import numpy as np
import plotly.io
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, choose_more, create_link, wait_until_done
from tests.browser.share.test_copying import choose
from tests.conftest import Server

pytestmark = pytest.mark.full

DRAWN = """key => document.querySelector(`[data-panel=${key}] .plot`).data.filter((trace) => trace.visible !== false)
    .map((trace) => [trace.name ?? '', Array.from(trace.y, (value) => value ?? null)])"""
VIEW = "/#v=1&depth=8&layer=3&seeds=3&width=16&runs=residual,hc,mhc&difference=true&B.name=it's+%22ours%22"


def read_snippet(page: Page, language: str, figure: str) -> str:
    """The text that the card gives to copy."""
    choose_more(page, "API")
    dialog = page.get_by_role("dialog", name="API calls for this view")
    dialog.get_by_role("button", name=language).click()
    dialog.get_by_label("with the figure").select_option(figure)
    text = dialog.locator("pre").text_content() or ""
    page.keyboard.press("Escape")
    return text


def run_python(page: Page, figure: str) -> str:
    """What the Python snippet draws; instead of a window it prints."""
    text = read_snippet(page, "Python", figure)
    assert text.endswith("figure.show()\n")
    program = text.replace("figure.show()", "print(figure.to_json())")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def run_curl(page: Page, figure: str) -> str:
    """What the last call of the curl snippet answers."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")  # nor anyone who could paste the call; the Python one is run all the same
    text = read_snippet(page, "curl", figure)
    done = subprocess.run(["bash", "-e", "-c", text], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.rsplit("\n", 1)[1]


def assert_same(page: Page, panel: str, drawn: str) -> None:
    """The curves and names of a call are those on the page."""
    wanted = page.evaluate(DRAWN, panel)
    figure = plotly.io.from_json(drawn)
    traces = [trace for trace in figure.data if trace.visible is not False]
    assert [trace.name or "" for trace in traces] == [name for name, _ in wanted]
    for trace, (name, y) in zip(traces, wanted, strict=True):
        np.testing.assert_allclose(np.array(trace.y, float), np.array(y, float), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("run", [run_python, run_curl])
def test_the_calls_draw_what_the_page_draws(see_page: OpenPage, run: Callable[[Page, str], str]) -> None:
    page = see_page(VIEW, theme="light")
    drawn = run(page, "activation")
    assert_same(page, "activation", drawn)
    assert 'B it\'s "ours" / A' in [trace.get("name") for trace in json.loads(drawn)["data"]]


@pytest.mark.parametrize("run", [run_python, run_curl])
def test_the_calls_of_a_stored_view_use_what_is_stored(
    open_page: OpenPage, server: Server, run: Callable[[Page, str], str]
) -> None:
    page = open_page("/#v=1&depth=8&width=16&runs=hc,mhc&A.name=first")
    name = create_link(page).rsplit("/", 1)[1]
    stored = open_page(f"/s/{name}")
    choose(stored, "Gradient", "Linear scale")
    wait_until_done(stored)
    text = read_snippet(stored, "Python", "gradient")
    assert f'"/snapshots/{name}"' in text
    assert "/runs/compare" not in text
    before = httpx.get(f"{server.url}/readyz").json()["ended"]
    assert_same(stored, "gradient", run(stored, "gradient"))
    assert httpx.get(f"{server.url}/readyz").json()["ended"] == before, "nothing is computed again"


def test_the_json_of_a_view_is_its_specs(see_page: OpenPage) -> None:
    page = see_page(VIEW, theme="light")
    specs = json.loads(read_snippet(page, "JSON", "gain"))
    shared = {"depth": 8, "width": 16, "seeds": 3}
    assert specs == [{**shared, "connection": {"kind": kind}} for kind in ("residual", "hc", "mhc")]


def test_a_downloaded_figure_has_the_runs_names(see_page: OpenPage) -> None:
    page = see_page(VIEW, theme="light")
    page.get_by_role("button", name="Activation: more").click()
    with page.expect_download() as loading:
        page.locator(".popover:popover-open").get_by_role("button", name="JSON the Plotly figure").click()
    assert_same(page, "activation", loading.value.path().read_text())


@pytest.mark.parametrize("labels", [["A"], ["A", "B", "C"], ["", "B"], ["x" * 81, "B"]])
def test_labels_that_do_not_fit_are_refused(server: Server, labels: list[str]) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        specs = [{"depth": 4, "width": 16, "connection": {"kind": kind}} for kind in ("hc", "mhc")]
        first, second = (run["id"] for run in http.post("/runs/compare", json=specs).json())
        for run in (first, second):
            http.get(f"/runs/{run}/events", headers={"Accept": "application/x-ndjson"})
        answer = http.get(f"/runs/{first}/figures/gain", params={"with": second, "label": labels})
        assert answer.status_code == 422
        assert "label" in answer.json()["errors"][0]["field"]
