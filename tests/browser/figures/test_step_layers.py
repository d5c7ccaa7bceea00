"""Similarity, streams and effective skip connections at the cursor's step, and runs that were stored without them."""

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mhc_core.record.codec import from_typed_array
from tests.browser.conftest import OpenPage, open_section_of, wait_until_done, wait_until_drawn
from tests.conftest import Server, compute
from tests.core.figures.test_step_figures import NEW
from tests.stored import store_as_of_old

pytestmark = pytest.mark.full

TRAIN = {"steps": 9, "kept": 3, "lr": 0.1}
SPEC = {"depth": 6, "width": 16, "connection": {"kind": "hc"}, "train": TRAIN}


@pytest.fixture(scope="module")
def run_id(server: Server) -> str:
    """One trained run, on the server."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        return compute(http, SPEC)


def snapshot(server: Server, runs: list[str], state: str) -> str:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        return str(http.post("/snapshots", json={"runs": runs, "state": state}).json()["id"])


def drawn(page: Page, panel: str, attribute: str) -> np.ndarray:
    """What a card draws of its first run that has a label."""
    card = page.locator(f"[data-panel={panel}]")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, panel)
    found = card.locator(".plot").evaluate(
        """(plot, name) => { const trace = plot.data.find(({meta, visible}) => visible !== false && meta.end !== false);
        const toFinite = row => [...row].map(value => Number.isFinite(value) ? value : null);
        return name === 'z' ? trace.z.map(toFinite) : trace.y; }""",
        attribute,
    )
    return np.array(found, dtype=float)


def test_cards_follow_the_step_in_figure_and_table(open_page: OpenPage, server: Server, run_id: str) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        result = http.get(f"/runs/{run_id}/result?arrays=packed").json()
    cosines = from_typed_array(result["steps"]["step_cos_prev"])
    streams = from_typed_array(result["kept"]["step_act_rms_streams"])
    unfolded = from_typed_array(result["kept"]["step_unfolded"])
    page = open_page(f"/s/{snapshot(server, [run_id], 'v=1&layer=4&step=6&view.unfolded=linear')}")
    for panel, title in (("similarity", "Cosine similarity, step 6"), ("streams", "Single streams, step 5")):
        open_section_of(page, panel)
        expect(page.locator(f"#panel-{panel}-title")).to_have_text(title)
    expect(page.locator("#panel-unfolded-title")).to_have_text("Effective skip connections, step 5")
    expect(page.locator("#panel-theory-title")).to_have_text("Theory vs. measurement, step 6")
    assert drawn(page, "similarity", "y")[1:] == pytest.approx(cosines[5][1:], abs=1e-6)
    lines = drawn(page, "streams", "y")
    assert lines[~np.isnan(lines)] == pytest.approx(np.log10(streams[1]).T.ravel(), abs=1e-5)
    assert np.nan_to_num(drawn(page, "unfolded", "z")) == pytest.approx(np.tril(unfolded[1][:, :-1]), abs=1e-6)
    shown = page.locator("#panel-similarity .at-cursor b").first.inner_text()
    assert float(shown) == pytest.approx(cosines[5][3], abs=6e-5)
    page.keyboard.press(",")
    expect(page.locator("#panel-similarity-title")).to_have_text("Cosine similarity, step 5")
    assert drawn(page, "similarity", "y")[1:] == pytest.approx(cosines[4][1:], abs=1e-6)
    card = page.locator("[data-panel=similarity]")
    card.get_by_role("button", name="Cosine similarity: more").click()
    card.get_by_role("button", name="Show as table").click()
    cell = card.locator("table.numbers tbody tr.at-cursor td").first
    assert float(cell.inner_text().replace("−", "-")) == pytest.approx(cosines[4][3], abs=6e-5)


def test_a_run_stored_without_them_shows_what_it_was_trained_to_and_says_so(
    open_page: OpenPage, server: Server, run_id: str
) -> None:
    old = "01d0" + run_id[4:]
    store_as_of_old(server, run_id, old, NEW)
    page = open_page(f"/s/{snapshot(server, [old], 'v=1&layer=4&step=6')}")
    expect(page.locator("#panel-gain .unit")).to_have_text("step 6")
    expect(page.locator("#panel-activation .unit")).to_have_text("trained")
    for panel in ("similarity", "streams", "unfolded"):
        open_section_of(page, panel)
        expect(page.locator(f"#panel-{panel}-title")).to_contain_text(", trained")
    found = {panel: drawn(page, panel, "y") for panel in ("similarity", "streams", "activation")}
    page.locator("#step").press("End")
    expect(page.locator("#panel-similarity-title")).to_have_text("Cosine similarity")
    wait_until_done(page)
    for panel, before in found.items():
        np.testing.assert_array_equal(drawn(page, panel, "y"), before)
    with httpx.Client(base_url=server.api, timeout=60) as http:
        shown, trained = (
            http.get(f"/runs/{old}/figures/similarity", params=params).json() for params in ({"step": 5}, {})
        )
    assert "trained" in shown["layout"]["title"]["text"]
    assert shown["data"] == trained["data"]


def test_a_stored_run_beside_a_new_one_is_left_out_and_named(open_page: OpenPage, server: Server, run_id: str) -> None:
    old = "01d1" + run_id[4:]
    store_as_of_old(server, run_id, old, NEW)
    page = open_page(f"/s/{snapshot(server, [run_id, old], 'v=1&layer=4&step=6&open=similarity')}")
    expect(page.locator("#panel-similarity-title")).to_have_text("Cosine similarity, step 6")
    drawn(page, "similarity", "y")
    expect(page.locator("[data-panel=similarity] .plot")).to_contain_text("stored by an earlier version")
