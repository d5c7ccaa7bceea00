"""The spare worker: a short run does not wait behind others, and it takes no long one itself."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.app.engine.test_cancel import start_long
from tests.conftest import Server, StartServer, compute, wait_for_end

pytestmark = pytest.mark.full

FreshSpec = Callable[..., dict[str, Any]]
WORKERS, MAX_TRIES = 2, 20
# A minute and more, in little memory; its first layers come at once.
HEAVY = {"depth": 128, "width": 32, "input": {"batch": 8, "tokens": 64}, "train": {"steps": 200}}
LIMITS = ("--max-run-seconds", "--queue-s")
FLAGS = ("--workers", str(WORKERS), *(word for limit in LIMITS for word in (limit, "1e9")))


def read_statuses(http: httpx.Client, ids: list[str]) -> list[str]:
    return [http.get(f"/runs/{run_id}").json()["status"] for run_id in ids]


@contextlib.contextmanager
def keep_busy(server: Server, fresh_spec: FreshSpec) -> Iterator[tuple[httpx.Client, list[str]]]:
    """All workers have long runs."""
    with httpx.Client(base_url=server.api, timeout=120) as http:
        yield http, [start_long(http, fresh_spec(**HEAVY)) for _ in range(WORKERS)]


def test_a_short_run_is_done_while_all_workers_are_busy_with_long_ones(
    launch: StartServer, fresh_spec: FreshSpec
) -> None:
    server = launch(*FLAGS)
    with keep_busy(server, fresh_spec) as (http, heavy):
        third = http.post("/runs", json=fresh_spec(**HEAVY)).json()["id"]
        compute(http, fresh_spec())
        assert read_statuses(http, [*heavy, third]) == ["running", "running", "queued"]
        assert len(server.worker_pids()) == WORKERS + 1
        workers = http.get(f"{server.url}/readyz").json()["workers"]
        assert workers == WORKERS, "it is beside the workers, and none of them"
        os.kill(max(server.worker_pids()), signal.SIGKILL)  # it is the youngest
        compute(http, fresh_spec())  # by another
        assert read_statuses(http, [*heavy, third]) == ["running", "running", "queued"]
        http.delete(f"/runs/{heavy[0]}")
        while read_statuses(http, [third]) == ["queued"]:  # the limit of time of a test ends it
            time.sleep(0.05)
        assert read_statuses(http, [heavy[1], third]) == ["running", "running"]


def compare(http: httpx.Client, fresh_spec: FreshSpec) -> list[dict[str, Any]]:
    """Times of runs that were computed for one request."""
    spec = fresh_spec(depth=256, width=32)
    specs = [{**spec, "connection": {"kind": kind}} for kind in ("residual", "hc", "mhc")]
    ids = [run["id"] for run in http.post("/runs/compare", json=specs).json()]
    assert [wait_for_end(http, run_id)["status"] for run_id in ids] == ["done"] * 3
    return [http.get(f"/runs/{run_id}").json()["timings"] for run_id in ids]


def overlap(times: list[dict[str, Any]]) -> bool:
    return bool(max(run["started_at"] for run in times) < min(run["finished_at"] for run in times))


def test_the_three_runs_of_a_comparison_begin_together(launch: StartServer, fresh_spec: FreshSpec) -> None:
    server = launch("--workers", str(WORKERS))
    with httpx.Client(base_url=server.api, timeout=120) as http:
        # It warms up once all workers have.
        assert any(overlap(compare(http, fresh_spec)) for _ in range(MAX_TRIES))


def test_an_operator_may_have_none(launch: StartServer, fresh_spec: FreshSpec) -> None:
    with keep_busy(launch(*FLAGS, "SHORT_RUN_S=0"), fresh_spec) as (http, heavy):
        short = http.post("/runs", json=fresh_spec()).json()["id"]
        time.sleep(1)
        assert read_statuses(http, [*heavy, short]) == ["running", "running", "queued"]
        http.delete(f"/runs/{heavy[0]}")
        assert wait_for_end(http, short)["status"] == "done"
