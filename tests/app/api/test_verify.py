"""Verification of a finished run over the API: all holds, a changed number is caught, nothing is computed twice."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mhc_core.record import codec
from mhc_scope.store.frames import unpack_line
from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import LONG
from tests.conftest import Call, Server, StartServer, compute
from tests.stored import store_as_of_old

FreshSpec = Callable[..., dict[str, Any]]
MLP = {"kind": "mlp", "activation": "relu", "mlp_ratio": 2}
GAUSSIAN = {"kind": "gaussian", "batch": 1, "tokens": 16}


def verify(http: httpx.Client, run_id: str) -> dict[str, Any]:
    """POST, then GET until the verdict is there."""
    answer = http.post(f"/runs/{run_id}/verify", timeout=60)
    while answer.status_code == 202:
        answer = http.get(f"/runs/{run_id}/verify")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def count_jobs(server: Server) -> int:
    frames: int = httpx.get(f"{server.url}/readyz").json()["frames_stored"]
    return frames


@pytest.mark.sample(5)
@pytest.mark.parametrize("connection", ["none", "residual", "hc", "mhc", "kromhc"])
def test_a_true_run_holds(client: httpx.Client, fresh_spec: FreshSpec, connection: str) -> None:
    # A chosen seed: by chance a true run fails one check in some hundreds.
    spec = fresh_spec(width=32, connection={"kind": connection}, block=MLP, input=GAUSSIAN, seed=11)
    run_id = compute(client, spec)
    body = verify(client, run_id)
    assert body["run"] == run_id
    assert body["status"] == "done"
    assert [check for check in body["checks"] if check["verdict"] == "fails"] == []
    assert body["verdict"] == "holds"
    assert body["summary"].startswith("All ")
    laws = {check["law"] for check in body["checks"]}
    assert "recomputation" in laws
    assert {"none": "mean_field", "residual": "residual_pre", "hc": "drift_gain", "mhc": "rows_exact"}.get(
        connection, "doubly_stochastic"
    ) in laws
    for check in body["checks"]:
        assert check["statement"]
        assert check["source"]
        assert check["detects"].startswith("Finds ")
        if check["verdict"] == "holds":
            assert abs(check["measured"] - check["expected"]) <= check["tolerance"]


@pytest.mark.full
def test_the_second_call_computes_nothing(
    lone_server: Server, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id = compute(lone_client, fresh_spec())
    assert lone_client.get(f"/runs/{run_id}/verify").status_code == 404
    first = verify(lone_client, run_id)
    stored = count_jobs(lone_server)
    assert verify(lone_client, run_id) == first
    assert lone_client.get(f"/runs/{run_id}/verify").json() == first
    assert count_jobs(lone_server) == stored


def test_a_falsified_run_is_caught_and_the_number_named(
    server: Server, client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "mhc_lite"}))
    assert verify(client, run_id)["verdict"] == "holds"
    copy = "fa15e" + run_id[5:]  # The server has the frames of the run itself at hand, and need not read them.
    store_as_of_old(server, run_id, copy, ())
    change_frame(server, copy, layer=2, key="act_rms", factor=1.01)
    body = verify(client, copy)
    assert body["verdict"] == "fails"
    (caught,) = (check for check in body["checks"] if check["verdict"] == "fails")
    assert (caught["law"], caught["metric"], caught["layer"]) == ("recomputation", "act_rms", 2)
    assert re.match(r"1 of \d+ checks failed: recomputation of act_rms at layer 3\.", body["summary"])


def change_frame(server: Server, run_id: str, layer: int, key: str, factor: float) -> None:
    """Alter one stored number, as somebody with the database at hand could."""
    with sqlite3.connect(server.data / "mhc-scope.db") as database:
        rows = database.execute("select idx, line from frames where run_id = ?", (run_id,)).fetchall()
        for index, line in rows:
            frame = json.loads(unpack_line(line))
            if frame["type"] == "forward" and frame["layer"] == layer:
                frame["values"][key] *= factor
                frame["log10"][key] += (factor - 1) / 2.302585
                changed = (codec.to_json(frame) + b"\n", run_id, index)
                database.execute("update frames set line = ? where run_id = ? and idx = ?", changed)
    database.close()


def test_what_cannot_be_verified_is_refused(lone_client: httpx.Client, fresh_spec: FreshSpec) -> None:
    assert lone_client.post("/runs/unknown/verify").status_code == 404
    assert lone_client.get("/runs/unknown/verify").status_code == 404
    run_id = lone_client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    assert lone_client.post(f"/runs/{run_id}/verify").status_code == 409
    lone_client.delete(f"/runs/{run_id}")


def test_of_a_run_that_trains_the_first_step_is_recomputed(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(depth=4, width=16, input={"kind": "text", "batch": 1, "tokens": 16}, train={"steps": 3})
    body = verify(client, compute(client, spec))
    assert body["verdict"] == "holds", body["summary"]
    assert {"step_loss", "step_grad_norm", "step_cka"} <= {check["metric"] for check in body["checks"]}


@pytest.mark.full
def test_a_recomputation_is_no_run_of_its_own(
    lone_server: Server, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id = compute(lone_client, fresh_spec())
    verify(lone_client, run_id)
    with contextlib.closing(sqlite3.connect(lone_server.data / "mhc-scope.db")) as database:
        ((job_id, kind),) = database.execute("select id, kind from runs where of_run = ?", (run_id,)).fetchall()
    assert kind == "verification"
    for path in ("", "/events", "/result", "/verify"):
        for name in (job_id, f"{run_id}-verify"):
            assert lone_client.get(f"/runs/{name}{path}").status_code == 404


@pytest.mark.full
def test_a_recomputation_is_bounded_like_a_run(launch: StartServer, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec()
    server = launch("--workers", "1")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, spec)
    server.kill()
    server = launch("--workers", "1", "--max-run-seconds", "0.0001")
    check_problem(httpx.post(f"{server.api}/runs/{run_id}/verify"), 422, "depth", "at most 0.0001 s")


@pytest.mark.full
def test_the_command_line_prints_a_row_a_check(call: Call) -> None:
    spec = '{"depth": 4, "width": 16, "connection": {"kind": "mhc_lite"}, "input": {"tokens": 16}}'
    done = call("verify", "-", stdin=spec)
    assert done.returncode == 0, done.stderr
    table, told = done.stdout.split("\n\n")
    head, *rows, last = table.splitlines()
    assert head.split() == ["verdict", "check", "of", "expected", "measured", "tolerance", "statement"]
    verdicts = [row.split()[0] for row in rows]
    assert set(verdicts) <= {"holds", "skipped"}
    assert last.startswith(f"All {verdicts.count('holds')} checks hold.")
    assert {line.split(":")[0] for line in told.splitlines()[1:]} == {row.split()[1] for row in rows}
