"""Each preset has a page of its own: address, title, claim and picture, for people and for previews of links."""

import html
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core.figures.methods import METHODS
from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from mhc_scope.presets import BY_NAME, DEFAULT, FORMER, PRESETS, Preset, find_unchanged_preset
from mhc_scope.presets.records import read_result
from tests.app.api.test_bodies import check_problem
from tests.app.pages.test_link_cards import count, read_picture, read_tags
from tests.conftest import Server, compute

BOOT = re.compile(r'<script type="application/json" id="boot">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the root of the shared server."""
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield http


@pytest.mark.sample(8)
@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_a_preset_is_a_page_with_its_title_and_claim(web: httpx.Client, server: Server, preset: Preset) -> None:
    path = f"/p/{preset.name}"
    page = web.get(path)
    assert page.status_code == 200
    assert f"<title>{html.escape(preset.title, quote=True).replace('&#x27;', '&#39;')} · mHC Scope</title>" in page.text
    tags = read_tags(web, path)
    assert (tags["og:title"], tags["canonical"]) == (preset.title, f"{server.url}{path}")
    assert tags["description"] == preset.description
    found = BOOT.search(page.text)
    assert found
    boot: dict[str, Any] = json.loads(found[1])
    assert boot["preset"] == json.loads(json.dumps(preset.to_plain()))
    assert [item["id"] for item in boot["preset"]["specs"]] == [spec.id for spec in preset.specs]
    assert {item["spec"]["connection"]["kind"] for item in boot["preset"]["specs"]} <= boot["rules"]["methods"].keys()


def test_there_is_no_page_of_an_unknown_preset(web: httpx.Client) -> None:
    for path in ("/p/nothing", "/p/nothing/picture.png"):
        assert web.get(path).status_code == 404
    assert "nothing" in web.get("/p/nothing", headers={"Accept": "text/html"}).text


def test_an_unknown_name_is_refused_with_the_names_of_presets(web: httpx.Client) -> None:
    names = ", ".join(BY_NAME)
    problem = check_problem(web.get("/p/sinkhorn_round"), 404, "preset", f"one of {names}")
    assert problem["detail"] == (
        "No preset named 'sinkhorn_round' on this server. Did you mean sinkhorn_rounds or sinkhorn_dial? "
        f"Known names: {names}."
    )
    page = web.get("/p/sinkhorn_round", headers={"Accept": "text/html"})
    assert "Did you mean sinkhorn_rounds or sinkhorn_dial?" in page.text
    assert "Did you mean" not in web.get("/p/%2B%2B").json()["detail"]


def test_a_former_name_leads_to_the_preset_that_took_its_place(web: httpx.Client) -> None:
    assert not FORMER.keys() & BY_NAME.keys()
    for former, name in FORMER.items():
        answer = web.get(f"/p/{former}", follow_redirects=True)
        assert (answer.status_code, answer.url.path) == (200, f"/p/{name}")


@pytest.mark.full
def test_the_picture_of_a_preset_has_its_own_headline(web: httpx.Client, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=120) as api:
        preset = BY_NAME["mhc_fig_7"]
        runs = [compute(api, spec.model_dump(mode="json")) for spec in preset.specs]
        states = ("v=1&preset=mhc_fig_7&runs=hc,mhc,mhc", "v=1&runs=hc,mhc,mhc")
        names = [
            api.post("/snapshots", json={"runs": runs, "title": preset.title, "state": state}).json()["id"]
            for state in states
        ]
    tags = read_tags(web, "/p/mhc_fig_7")
    assert tags["og:image"].endswith("/p/mhc_fig_7/picture.png")
    assert tags["og:image:alt"].endswith(": HC, mHC, mHC, drift 1")
    own, stored, unnamed = (
        read_picture(web.get(f"{path}/picture.png")) for path in ("/p/mhc_fig_7", *(f"/s/{name}" for name in names))
    )
    assert np.array_equal(own, stored)
    assert np.any(own[160:600, 960:] != unnamed[160:600, 960:])
    assert count(own, METHODS["mhc"].dark) > 50


def test_a_state_names_a_preset_as_long_as_the_runs_are_its_own() -> None:
    ids = [spec.id for spec in DEFAULT.specs]
    assert find_unchanged_preset("v=1&preset=default&runs=residual,hc,mhc&layer=3", ids) is DEFAULT
    for state, runs in (("v=1&preset=default", ids[:2]), ("v=1", ids), ("v=1&preset=none", ids)):
        assert find_unchanged_preset(state, runs) is None


def headline_by_hand(result: Result, preset: Preset) -> float:
    """The preset's number from the columns, without what the page and its pictures reduce them with."""
    if preset.number == "perplexity":
        return float(100 * (np.exp(result.loss) / np.exp(result.loss_base) - 1))
    is_of_steps = METRICS[preset.metric].table == "steps"
    column = np.asarray((result.steps if is_of_steps else result.layers)[preset.metric], dtype=np.float64)
    found = {"first": column[0], "last": column[-1], "min": np.nanmin(column), "max": column.max()}
    return float((found | {"median": np.nanmedian(column)})[preset.reduction])


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", BY_NAME)
def test_a_headline_is_a_number_of_its_column(name: str) -> None:
    preset = BY_NAME[name]
    for spec in preset.specs:
        result = read_result(spec.id)
        number = preset.read_number(result)
        value = math.nan if number.value is None else number.value
        assert value == pytest.approx(headline_by_hand(result, preset), rel=1e-6, nan_ok=True)
