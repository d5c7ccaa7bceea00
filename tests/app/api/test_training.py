"""Training as viewers see it: steps stream while they are made, resume, are cancelled, survive a restart."""

import io
import json
from collections.abc import Callable
from itertools import groupby
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core.cost.estimates import estimate
from mhc_core.record import codec
from mhc_core.spec import parse_spec
from mhc_scope.settings import Settings
from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import time_cancel
from tests.conftest import Call, StartServer, compute, wait_for_end

FreshSpec = Callable[..., dict[str, Any]]
NDJSON = {"Accept": "application/x-ndjson"}
ENDLESS = {"depth": 24, "width": 32, "train": {"steps": 500}}


def follow_to_steps(http: httpx.Client, run_id: str, steps: int) -> list[str]:
    """Lines of a live run up to that many of its steps."""
    lines: list[str] = []
    with http.stream("GET", f"/runs/{run_id}/events", headers=NDJSON, timeout=60) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if sum(json.loads(item)["type"] == "step" for item in lines) == steps:
                return lines
    raise AssertionError("the run ended before its steps")


def test_steps_stream_while_they_are_made_and_resume(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(train={"steps": 120})).json()["id"]
    first = follow_to_steps(client, run_id, 5)
    status = client.get(f"/runs/{run_id}").json()
    assert status["status"] == "running"
    rest = client.get(f"/runs/{run_id}/events", params={"after": len(first) - 1}, headers=NDJSON, timeout=60)
    whole = client.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines()
    assert first + rest.text.splitlines() == whole
    frames = [json.loads(line) for line in whole]
    assert [frame["index"] for frame in frames] == list(range(len(frames)))
    assert [frame["step"] for frame in frames if frame["type"] == "step"] == list(range(120))
    order = [kind for kind, _ in groupby(frame["type"] for frame in frames) if kind not in ("forward", "similarity")]
    assert order == ["start", "loss", "backward", "mixing", "step", "loss", "backward", "mixing", "summary", "end"]
    assert frames[-1]["status"] == "done"


@pytest.mark.full
def test_training_is_cancelled_between_two_steps(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(**ENDLESS)).json()["id"]
    follow_to_steps(client, run_id, 2)
    assert time_cancel(client, run_id) < 1.0


@pytest.mark.full
def test_a_restart_trains_again_and_comes_to_the_same(launch: StartServer, fresh_spec: FreshSpec) -> None:
    """The frames stored before must come out byte for byte, which they would not if they held a clock."""
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = http.post("/runs", json=fresh_spec(depth=12, train={"steps": 60})).json()["id"]
        before = follow_to_steps(http, run_id, 8)
    own.kill()
    again = launch("--workers", "1")
    with httpx.Client(base_url=again.api, timeout=60) as http:
        end = wait_for_end(http, run_id)
        assert end["status"] == "done", end["reason"]
        lines = http.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines()
    assert lines[: len(before)] == before
    assert sum(json.loads(line)["type"] == "step" for line in lines) == 60


def test_a_result_carries_the_steps(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "hc"}, train={"steps": 7, "kept": 3}))
    whole = client.get(f"/runs/{run_id}/result", params={"arrays": "packed"}).json()
    with np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as arrays:
        assert arrays["steps.step_loss"].tolist() == whole["steps"]["step_loss"]
        assert arrays["steps.step_gain_fwd"].shape == arrays["steps_log10.step_gain_fwd"].shape == (7, 4)
        assert arrays["kept.step"].tolist() == whole["kept"]["step"] == [0, 3, 6]
        assert arrays["kept.step_h_res"].shape == (3, 4, 4, 4)
        gains = codec.from_typed_array(whole["steps"]["step_gain_fwd"])
        np.testing.assert_array_equal(arrays["steps.step_gain_fwd"], gains)
    assert whole["loss"] != whole["loss_untrained"]
    assert client.get(f"/runs/{run_id}/result.csv").text.count("\n") == 5
    untrained = client.get(f"/runs/{compute(client, fresh_spec())}/result").json()
    assert not {"steps", "kept", "loss_untrained"} & untrained.keys()


@pytest.mark.full
def test_a_figure_shows_the_step_that_is_asked_for(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(connection={"kind": "hc"}, train={"steps": 7, "kept": 3, "lr": 0.1})
    run_id = compute(client, spec)
    with np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as arrays:
        gains, kept = arrays["steps_log10.step_gain_fwd"], arrays["kept.step_h_res"]
        trained = arrays["layers_log10.composite_gain_fwd"]
    url = f"/runs/{run_id}/figures"
    for step, place in ((0, 0), (4, 1), (6, 2)):
        figure = client.get(f"{url}/gain", params={"step": step}).json()
        np.testing.assert_allclose(figure["data"][-1]["y"], gains[step], rtol=1e-6)
        assert f"step {step + 1}" in figure["layout"]["title"]["text"]
        detail = client.get(f"{url}/detail", params={"step": step, "layer": 2}).json()
        assert f"layer 3 · step {[1, 4, 7][place]}<" in detail["layout"]["title"]["text"], (
            "of the matrices kept next to it"
        )
        (matrix,) = detail["data"]
        np.testing.assert_array_equal(codec.from_typed_array(matrix["z"]), kept[place][2])
    whole = client.get(f"{url}/gain").json()
    np.testing.assert_allclose(whole["data"][-1]["y"], trained, rtol=1e-6)
    assert abs(trained - gains[6]).max() > 0
    check_problem(client.get(f"{url}/gain", params={"step": 7}), 422, "step", "0 to 6")
    untrained = compute(client, fresh_spec())
    check_problem(client.get(f"/runs/{untrained}/figures/gain", params={"step": 0}), 422, "step", "none of these runs")


def test_too_many_steps_are_refused_by_their_name(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    spec = fresh_spec(depth=64, width=64, train={"steps": 5000})
    check_problem(client.post("/runs", json=spec), 422, "train.steps", "s of predicted time")


@pytest.mark.full
def test_three_hundred_steps_of_every_connection_are_admitted() -> None:
    for kind in ("residual", "hc", "mhc"):
        for dynamic in (False, True):
            spec = parse_spec({"depth": 24, "connection": {"kind": kind, "dynamic": dynamic}, "train": {"steps": 300}})
            assert 3 < estimate(spec).seconds < Settings().max_run_seconds


@pytest.mark.full
def test_the_command_line_counts_steps(call: Call) -> None:
    done = call("run", "-", stdin='{"depth": 4, "width": 16, "input": {"tokens": 16}, "train": {"steps": 12}}')
    assert done.returncode == 0, done.stderr
    assert "12/12" in done.stderr
    assert "step" in done.stderr
    assert "after 12 steps" in done.stdout
