"""/metrics says whether it is healthy, who waits, and what it costs. The dashboard asks for nothing else."""

import contextlib
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mhc_service.metrics_registry import LATE_S, MetricsRegistry, count_free_bytes
from mhc_service.operator_queries import EndedRun
from tests.app.engine.test_cancel import LONG
from tests.conftest import ROOT, Server, StartServer, compute

FreshSpec = Callable[..., dict[str, Any]]
Labels = frozenset[tuple[str, str]]


def read_metrics(server: Server) -> dict[tuple[str, Labels], float]:
    """Every sample: name and labels -> value, as Prometheus' own parser reads it."""
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def find(metrics: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    """One sample; 0 where there is none yet."""
    return metrics.get((name, frozenset(labels.items())), 0.0)


def test_a_run_is_counted_once_with_its_wait_and_its_time(server: Server, fresh_spec: FreshSpec) -> None:
    before = read_metrics(server)
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, fresh_spec())
        timings = http.get(f"/runs/{run_id}").json()["timings"]
    done = {"kind": "run", "status": "done"}
    for after in (read_metrics(server), read_metrics(server)):
        grown = {
            name: find(after, name, **labels) - find(before, name, **labels)
            for name, labels in (
                ("mhc_run_seconds_count", done),
                ("mhc_run_seconds_sum", done),
                ("mhc_run_wait_seconds_count", {"kind": "run"}),
                ("mhc_run_wait_seconds_sum", {"kind": "run"}),
            )
        }
        assert grown["mhc_run_seconds_count"] == grown["mhc_run_wait_seconds_count"] == 1
        assert grown["mhc_run_seconds_sum"] == pytest.approx(timings["run_s"], abs=1e-3)
        assert grown["mhc_run_wait_seconds_sum"] == pytest.approx(timings["wait_s"], abs=1e-3)


def test_a_row_that_comes_late_is_counted_and_none_twice() -> None:
    instruments = MetricsRegistry()
    now = time.time()

    def build(name: str, ended_ago_s: float) -> EndedRun:
        times = (now + 5 - ended_ago_s - 2, now + 5 - ended_ago_s - 1, now + 5 - ended_ago_s)
        return EndedRun(name, "run", "", "done", None, *times)

    for rows in ([build("b", 1.0)], [build("b", 1.0), build("a", 2.0)], [build("a", 2.0)], [build("a", 0.5)]):
        instruments._observe_ended(rows)
    # `a` was committed after `b` although it ended before, and was computed once more at last.
    assert instruments.registry.get_sample_value("mhc_run_wait_seconds_count", {"kind": "run"}) == 3
    instruments._observe_ended([build("of an earlier process", LATE_S)])
    assert instruments.registry.get_sample_value("mhc_run_wait_seconds_count", {"kind": "run"}) == 3


def test_who_waits_is_told(lone_server: Server, fresh_spec: FreshSpec) -> None:
    with httpx.Client(base_url=lone_server.api, timeout=60) as http:
        ids = [http.post("/runs", json=fresh_spec(**LONG)).json()["id"] for _ in range(3)]
        time.sleep(0.3)
        metrics = read_metrics(lone_server)
        for run_id in reversed(ids):
            http.delete(f"/runs/{run_id}")
        idle = read_metrics(lone_server)
    assert find(metrics, "mhc_queue_waiting") == 2
    assert find(metrics, "mhc_queue_clients") == 1
    assert 0.2 < find(metrics, "mhc_queue_oldest_seconds") < 60
    assert find(metrics, "mhc_queue_seconds") > 0
    assert all(find(idle, f"mhc_queue_{name}") == 0 for name in ("waiting", "clients", "oldest_seconds", "seconds"))


def test_refusals_are_counted_by_their_kind(server: Server) -> None:
    before = read_metrics(server)
    httpx.get(f"{server.api}/runs/none")
    httpx.post(f"{server.api}/runs", json={"depth": 0})
    httpx.post(f"{server.api}/runs", json={}, headers={"Origin": "https://elsewhere.example"})
    after = read_metrics(server)
    for kind, status in (("not-found", "404"), ("invalid-spec", "422"), ("foreign-origin", "403")):
        labels = {"kind": kind, "status": status}
        assert find(after, "mhc_refusals_total", **labels) == find(before, "mhc_refusals_total", **labels) + 1


def test_open_streams_are_told_by_their_route(lone_server: Server, fresh_spec: FreshSpec) -> None:
    route = "/api/v1/runs/{run_id}/events"
    with httpx.Client(base_url=lone_server.api, timeout=60) as http:
        run_id = http.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        with http.stream("GET", f"/runs/{run_id}/events", params={"viewer": "a"}) as stream:
            lines = stream.iter_lines()  # held, or the stream would be closed with it
            assert next(lines) == "retry: 1000"
            assert find(read_metrics(lone_server), "mhc_streams_by_route", route=route) == 1
        http.delete(f"/runs/{run_id}", params={"viewer": "a"})
    deadline = time.monotonic() + 20
    while find(read_metrics(lone_server), "mhc_streams_by_route", route=route):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.full
def test_bytes_are_those_of_the_files(launch: StartServer, fresh_spec: FreshSpec) -> None:
    server = launch("--workers", "1")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        before = find(read_metrics(server), "mhc_store_bytes", part="frames")
        run_id = compute(http, fresh_spec())
    metrics = read_metrics(server)
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/mhc-scope.db?mode=ro", uri=True)) as database:
        query = "SELECT sum(length(line)) FROM frames WHERE run_id = ?"
        (stored,) = database.execute(query, (run_id,)).fetchone()
    assert find(metrics, "mhc_store_bytes", part="frames") - before == stored > 0
    assert find(metrics, "mhc_store_bytes", part="database") == (server.data / "mhc-scope.db").stat().st_size
    free = shutil.disk_usage(server.data).free
    assert find(metrics, "mhc_disk_free_bytes") == pytest.approx(free, rel=0.2)


def test_free_space_is_known_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert count_free_bytes(tmp_path / "gone" / "too") > 0


def test_the_dashboard_asks_for_metrics_that_there_are(server: Server, fresh_spec: FreshSpec) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        compute(http, fresh_spec())
        http.get("/runs/none")
        told = http.get("/runs/none/events")
    assert told.status_code == 404
    names = {name for name, _ in read_metrics(server)}
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 15
    asked = {name for expression in expressions for name in re.findall(r"\bmhc_\w+", expression)}
    # Streams by route appear with the first stream, which `compute` was.
    assert asked <= names, asked - names
    labels = {name for _, pairs in read_metrics(server) for name, _ in pairs} | {"instance"}
    used = {
        name
        for expression in expressions
        for group in re.findall(r"by \(([^)]*)\)", expression)
        for name in group.split(", ")
    }
    assert used <= labels
