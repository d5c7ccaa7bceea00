"""Edited runs are runs like any other: over REST, in snapshots, files and figures, and for Verify."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.api.test_verify import verify
from tests.conftest import compute
from tests.core.drawn import draw_edited

FreshSpec = Callable[..., dict[str, Any]]
CUT = {"layers": [1, 1], "what": "stream", "index": 1, "do": "zero"}


def test_an_edited_run_has_an_id_of_its_own_and_says_what_it_costs(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec()
    plain, edited = compute(client, spec), compute(client, spec | {"edits": [CUT]})
    assert plain != edited
    assert client.post("/runs", json=spec | {"edits": []}).json()["id"] == plain
    shown = client.get(f"/runs/{edited}").json()
    assert shown["spec"]["edits"] == [CUT]
    (effect,) = (one for one in shown["summary"]["findings"] if one["key"] == "effect")
    assert effect["text"] == f"Stream 2 is cut at layer 2: {effect['statement']}"
    assert all(one.get("statement") is None for one in shown["summary"]["findings"] if one is not effect)
    result = client.get(f"/runs/{edited}/result.json").json()
    assert effect["numbers"]["loss"] == result["loss"]
    assert effect["numbers"]["loss_base"] == client.get(f"/runs/{plain}/result.json").json()["loss"]
    figure = client.get(f"/runs/{edited}/figures/effect").json()
    assert any(trace.get("y") for trace in figure["data"])


def test_a_wrong_edit_is_refused_by_its_field(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    answer = client.post("/runs", json=fresh_spec(edits=[CUT | {"index": 7}]))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "edits.0.index"
    assert error["got"] == 7
    assert "0 to 3" in error["wanted"]


def check_edited_run(http: httpx.Client, spec: dict[str, Any]) -> Counter[str]:
    """Everything that a run offers, of an edited one; the verdicts of its checks, by name where one fails."""
    run_id = compute(http, spec)
    shown = http.get(f"/runs/{run_id}").json()
    assert http.post("/runs", json=shown["spec"]).json()["id"] == run_id
    for path in ("result.json", "result.csv", "result.npz", "figures/effect", "figures/gain", "figures/mixing"):
        answer = http.get(f"/runs/{run_id}/{path}")
        assert answer.status_code == 200, (path, answer.text)
    snapshot = http.post("/snapshots", json={"runs": [run_id], "state": "v=1"}).json()["id"]
    (stored,) = http.get(f"/snapshots/{snapshot}").json()["runs"]
    assert run_id in str(stored)
    assert "effect" in {one["key"] for one in shown["summary"]["findings"]}
    checks = verify(http, run_id)["checks"]
    return Counter(f"{one['law']} {one['metric']}" if one["verdict"] == "fails" else one["verdict"] for one in checks)


@pytest.mark.sample(12)
@pytest.mark.parametrize("spec", list(draw_edited(12, seed=2)), ids=range(12))
def test_a_few_random_edited_specs(client: httpx.Client, spec: dict[str, Any]) -> None:
    found = check_edited_run(client, spec)
    assert found.keys() <= {"holds", "skipped"}
    assert found["holds"] > 20


@pytest.mark.trial
@pytest.mark.timeout(1200)
def test_many_random_edited_specs(client: httpx.Client) -> None:
    """By chance a true run fails one check in some hundreds, as docs/laws.md has it."""
    total: Counter[str] = Counter()
    for spec in draw_edited(200, seed=3):
        total += check_edited_run(client, spec)
    failed = {name: found for name, found in total.items() if name not in ("holds", "skipped")}
    assert sum(failed.values()) <= 2, failed
    assert total["holds"] > 8000
