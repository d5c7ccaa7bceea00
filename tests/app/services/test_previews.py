"""Previews of presets: from real results, computed while someone looks."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
import pytest

from app.figures import PANELS
from app.presets import PRESETS
from app.presets.preset import GROUPS
from app.services.previews import Previews
from app.store.notifications import Hub
from mhc_core.metrics import METRICS
from mhc_core.spec import RunSpec
from tests.conftest import StartServer


def look(http: httpx.Client) -> dict[str, list[dict[str, Any]]]:
    return {preview["name"]: preview["runs"] for preview in http.get("/presets/previews").json()["previews"]}


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_a_preset_is_whole(preset: Any) -> None:
    assert preset.group in GROUPS
    assert preset.panel in PANELS
    assert preset.metric in METRICS
    assert 1 <= len(preset.specs) <= 4
    assert len({spec.id for spec in preset.specs}) == len(preset.specs)
    shared = {(spec.seed, spec.input) for spec in preset.specs}
    assert len(shared) == 1, "runs that are compared share seed and input"
    if preset.plays:
        part, _, leaf = preset.plays.partition(".")
        assert hasattr(getattr(RunSpec(), part), leaf)


def test_names_are_of_one_preset_each() -> None:
    names = [preset.name for preset in PRESETS]
    assert len(set(names)) == len(names)
    assert names[0] == "default"


def test_previews_are_computed_while_someone_looks_and_not_before(launch: StartServer) -> None:
    own = launch("--workers", "2")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        default = PRESETS[0]
        for spec in default.specs:
            assert http.get(f"/runs/{spec.id}").status_code == 404
        deadline = time.monotonic() + 60
        while any(run["status"] != "done" for run in look(http)["default"]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for run, spec in zip(look(http)["default"], default.specs, strict=True):
            assert run["id"] == spec.id
            layers = http.get(f"/runs/{spec.id}/result").json()["layers"]
            gain = np.array(layers["composite_gain_fwd"])
            np.testing.assert_allclose(run["curve"], np.log10(gain), atol=1e-6)
            assert run["value"] == pytest.approx(gain.max(), rel=1e-6)
            assert run["headline"].startswith(("gain 1 by construction", "forward ", "backward "))
        # A hand on a slider has the other worker for itself.
        assert http.get("/runs/unknown").status_code == 404
        running = httpx.get(f"{own.url}/readyz").json()
        assert running["waiting"] <= 1


class FailingRuns:
    """Runs that all have failed for the same reason."""

    def __init__(self) -> None:
        self.hub, self.engine, self.store, self.log = Hub(), self, self, self

    async def submit(self, specs: list[RunSpec], client: str) -> None:
        pass

    def position(self, run_id: str) -> None:
        return None

    async def get(self, run_id: str) -> SimpleNamespace:
        return SimpleNamespace(status="failed", reason="the worker died")


def test_a_preview_that_failed_says_why() -> None:
    async def work() -> list[dict[str, Any]]:
        previews = Previews(cast(Any, FailingRuns()))
        await previews.look()
        await asyncio.sleep(0.05)  # What computes them waits for nothing here.
        return await previews.look()

    runs = [run for preview in asyncio.run(work()) for run in preview["runs"]]
    assert {(run["status"], run["reason"]) for run in runs} == {("failed", "the worker died")}


@pytest.mark.full
def test_a_long_curve_is_a_few_points_with_both_ends(launch: StartServer) -> None:
    own = launch("--workers", "2")
    deep = next(preset for preset in PRESETS if preset.name == "deep")
    with httpx.Client(base_url=own.api, timeout=120) as http:
        # Posted by someone: the preview takes what is there.
        for submitted in http.post("/runs/compare", json=[spec.model_dump(mode="json") for spec in deep.specs]).json():
            http.get(f"/runs/{submitted['id']}/events", headers={"Accept": "application/x-ndjson"})
        hc = look(http)["deep"][1]
        layers = http.get(f"/runs/{hc['id']}/result").json()["layers_log10"]["composite_gain_fwd"]
        assert len(hc["curve"]) == 64
        assert [hc["curve"][0], hc["curve"][-1]] == pytest.approx([layers[0], layers[-1]])
