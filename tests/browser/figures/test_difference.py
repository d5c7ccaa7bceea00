"""Each run against the first: by a switch, a key or a link, in figures, tables and what is taken away."""

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_until_done, wait_until_drawn
from tests.browser.page.test_page import curves
from tests.conftest import Server

pytestmark = pytest.mark.full


def test_the_key_d_draws_differences_keeps_them_in_the_link_and_back_undoes_it(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    before = {curve["name"]: curve["y"] for curve in curves(page, "activation")}
    page.keyboard.press("d")
    page.wait_for_url("**/#v=1&depth=8&difference=true")
    unit = page.locator("[data-panel=activation] .unit")
    expect(unit).to_have_text("ratio to A")
    expect(page.locator("[data-panel=activation] .plot text").get_by_text("HC / A").first).to_be_visible()
    after = {curve["name"]: curve["y"] for curve in curves(page, "activation")}
    assert list(after) == ["B HC / A", "C mHC / A"]
    decades = np.subtract(before["B HC"], before["A Residual"])
    np.testing.assert_allclose(after["B HC / A"], decades, atol=1e-6)
    wait_until_drawn(page, "similarity")
    page.locator("[data-panel=similarity]").scroll_into_view_if_needed()
    expect(page.locator("[data-panel=similarity] .plot text").get_by_text("B HC − A").first).to_be_visible()
    page.go_back()
    expect(unit).to_have_count(0)
    wait_until_done(page)
    assert {curve["name"]: curve["y"] for curve in curves(page, "activation")} == before


def test_tables_and_figures_over_http_say_the_same(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&runs=residual,hc&difference=true")
    page.locator("[data-panel=activation]").hover()
    page.get_by_role("button", name="Activation: more").click()
    with page.expect_download() as loading:
        page.get_by_role("button", name="JSON the Plotly figure").locator("visible=true").click()
    query = httpx.URL(loading.value.url).params
    assert query["difference"] == "true"
    page.locator("[data-panel=activation]").hover()
    page.get_by_role("button", name="Activation: more").click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    heads = page.locator("[data-panel=activation] thead th").all_text_contents()
    assert heads == ["layer", "B HC − A, rms", "B HC / A, rms"]
    shown = page.locator("[data-panel=activation] tbody tr").first.locator("td").all_text_contents()
    first, second = (
        httpx.post(f"{server.api}/runs", json={"depth": 8, "connection": {"kind": kind}}).json()["id"]
        for kind in ("residual", "hc")
    )
    base, other = (
        httpx.get(f"{server.api}/runs/{name}/result.json").json()["layers"]["act_rms"][0] for name in (first, second)
    )
    np.testing.assert_allclose(
        [float(text.replace("−", "-")) for text in shown], [other - base, other / base], rtol=1e-2, atol=1e-4
    )


def test_one_run_alone_has_no_difference(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=hc")
    page.keyboard.press("d")
    expect(page.locator("[data-panel=activation] .unit")).to_have_count(0)
    page = open_page("/#v=1&depth=8")
    page.keyboard.press("d")
    expect(page.locator("[data-panel=activation] .unit")).to_have_text("ratio to A")
    wait_until_drawn(page, "cka")
    expect(page.locator("[data-panel=cka] .unit")).to_have_text("difference to A · linear CKA")
