"""The lens of a run over the API: what it has, that it is computed once, and what it refuses."""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from tests.app.api.test_atlas import check_problem, fetch_atlas
from tests.conftest import compute

FreshSpec = Callable[..., dict[str, Any]]


def fetch_lens(http: httpx.Client, run_id: str) -> dict[str, Any]:
    return fetch_atlas(http, run_id, "lens")


def test_a_lens_has_every_row_and_is_computed_once(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(depth=3, connection={"kind": "hc", "streams": 3}))
    check_problem(client.get(f"/runs/{run_id}/lens"), 404, "not-found")
    body = fetch_lens(client, run_id)
    assert (body["status"], body["done"]) == ("done", 1.0)
    assert body["subsets"] == [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]
    assert np.shape(body["kl_subsets"]) == (4, 7)
    assert [row[-1] for row in body["kl_subsets"]] == body["kl"]
    assert body["kl"][-1] == pytest.approx(0, abs=1e-12)
    assert len(body["kl_branches"]) == 3
    assert np.shape(body["tokens"]) == (4, 5)
    assert [probe["target"] for probe in body["probes"]] == ["position", "token", "next"]
    assert all(np.shape(probe["accuracy"]) == (4, 3) for probe in body["probes"])
    assert client.post(f"/runs/{run_id}/lens").json() == body


def test_vectors_have_no_lens(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    answer = client.post(f"/runs/{compute(client, fresh_spec(input={'kind': 'gaussian'}))}/lens")
    check_problem(answer, 409, "not-available")
    assert answer.json()["errors"][0]["field"] == "input.kind"
    assert "input.kind" in answer.json()["detail"]


def test_without_a_lens_there_is_nothing_to_cancel(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    check_problem(client.delete(f"/runs/{compute(client, fresh_spec())}/lens"), 404, "not-found")
