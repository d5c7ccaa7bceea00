"""The atlas of a run over the API: cuts that are those of single runs; progress, cancelling, refusals."""

import json
import math
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core.record import codec
from mhc_scope.api.models.atlases import AtlasBody
from tests.conftest import compute

FreshSpec = Callable[..., dict[str, Any]]


def fetch_atlas(http: httpx.Client, run_id: str, kind: str = "atlas") -> dict[str, Any]:
    """Start the atlas, or another job of a run, and wait for it."""
    answer = http.post(f"/runs/{run_id}/{kind}", timeout=60)
    shares = []
    while answer.status_code == 202:
        shares.append(answer.json()["done"])
        time.sleep(0.02)
        answer = http.get(f"/runs/{run_id}/{kind}")
    assert answer.status_code == 200, answer.text
    assert shares == sorted(shares)
    body: dict[str, Any] = answer.json()
    return body


def check_problem(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(f"#problem-{kind}")


@pytest.mark.full
def test_an_atlas_has_what_single_edited_runs_measure(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(depth=5, connection={"kind": "hc", "streams": 3})
    body = fetch_atlas(client, compute(client, spec))
    assert (body["status"], body["done"], body["seeds"]) == ("done", 1.0, 1)
    assert np.shape(body["loss"]) == np.shape(body["effect_last"]) == (3, 5, 3)
    for place, cut in enumerate(body["cuts"]):
        edit = {"layers": [2, 2], "index": 1} | cut
        run_id = compute(client, spec | {"edits": [edit]})
        single = client.get(f"/runs/{run_id}/result.json").json()
        assert body["loss"][place][2][1] == pytest.approx(single["loss"], rel=1e-6)
        assert body["effect_last"][place][2][1] == pytest.approx(single["layers"]["effect_state"][-1], rel=1e-4)


def test_an_atlas_is_computed_once(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec())
    assert client.get(f"/runs/{run_id}/atlas").status_code == 404
    assert fetch_atlas(client, run_id) == client.post(f"/runs/{run_id}/atlas").json()


def test_of_an_edited_run_there_is_no_atlas(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    edit = {"layers": [0, 0], "what": "branch", "do": "zero"}
    answer = client.post(f"/runs/{compute(client, fresh_spec(edits=[edit]))}/atlas")
    check_problem(answer, 409, "not-available")
    assert answer.json()["errors"] == [
        {"field": "edits", "got": 1, "wanted": "none: an atlas is of a run without edits"}
    ]
    assert "edits" in answer.json()["detail"]


@pytest.mark.full
def test_an_atlas_can_be_cancelled(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(depth=200, width=64, connection={"streams": 8}))
    assert client.post(f"/runs/{run_id}/atlas").status_code == 202
    body = client.delete(f"/runs/{run_id}/atlas").json()
    assert body["status"] == "cancelled"
    assert body["done"] < 1
    check_problem(client.get(f"/runs/{run_id}/atlas"), 409, "not-ready")
    assert client.get(f"/runs/{run_id}").json()["status"] == "done"
    assert client.delete(f"/runs/{run_id}/atlas").json()["status"] == "cancelled"


def test_without_an_atlas_there_is_nothing_to_cancel(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    check_problem(client.delete(f"/runs/{compute(client, fresh_spec())}/atlas"), 404, "not-found")


def test_values_that_are_not_finite_are_null() -> None:
    body = AtlasBody(run="run", status="done", done=1.0, cuts=[], loss=[[[math.nan, math.inf, 1.0]]])
    assert json.loads(codec.to_json(body.model_dump()))["loss"] == [[[None, None, 1.0]]]
