"""What the service adds to the instrument: figures for operators, and limits of one client."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.api.test_live_traces import OCTETS, Owner, encode
from tests.app.api.test_sweeps import SWEEP, build_grid
from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, StartServer
from tests.traced import read_trace

FreshSpec = Callable[..., dict[str, Any]]


def test_a_file_answered_on_the_connection_is_counted(server: Server) -> None:
    address = re.search(r'"(/static/[^"]+/js/pack\.js)"', httpx.get(server.url).text)
    assert address is not None

    def count() -> float:
        counted = r'requests_total\{method="GET",route="/static/\{path:path\}",status="200"\} (\S+)'
        found = re.search(counted, httpx.get(f"{server.url}/metrics").text)
        return 0.0 if found is None else float(found[1])

    httpx.get(server.url + address[1])  # the first answer in a coding takes the long way
    before = count()
    httpx.get(server.url + address[1])
    assert count() == before + 1


@pytest.mark.full
def test_the_figures_follow_a_live_trace(launch: StartServer) -> None:
    server = launch("--workers", "1", ready="/livez")

    def read_running() -> list[str]:
        text = httpx.get(f"{server.url}/metrics").text
        return [line for line in text.splitlines() if line.startswith('mhc_runs{status="running"}')]

    with httpx.Client(base_url=server.api, timeout=60) as http:
        owner = Owner(http, encode(read_trace().result.frames)[:1])
        assert read_running() == ['mhc_runs{status="running"} 1.0']
        owner.end()
        assert read_running() == [], "a status that no record has any more"


def test_metrics_name_routes_and_the_queue(server: Server) -> None:
    httpx.get(f"{server.api}/runs/nothing")
    metrics = httpx.get(f"{server.url}/metrics").text
    for name in ("mhc_runs_ended", "mhc_queue_waiting", "mhc_workers_ready", "mhc_streams_open", "mhc_frames_stored"):
        assert re.search(rf"^(# HELP )?{name}", metrics, re.MULTILINE), name
    assert 'route="/api/v1/runs/{run_id}"' in metrics


@pytest.mark.full
def test_the_queue_of_a_client_is_bounded(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "--client-queue-s", "0.001", "--address-queue-s", "0.001", ready="/livez")
    with httpx.Client(base_url=own.api, timeout=30) as http:
        spec = fresh_spec(**LONG)
        accepted = http.post("/runs", json=spec)
        assert accepted.status_code == 202
        refused = http.post("/runs", json=fresh_spec(**LONG))
        assert refused.status_code == 429
        assert refused.json()["type"].endswith("too-many-runs")
        assert int(refused.headers["retry-after"]) > 0
        # What is known is not new, and may be asked for again.
        assert http.post("/runs", json=spec).status_code == 200
        # Room is made by cancelling.
        http.delete(f"/runs/{accepted.json()['id']}")
        assert http.post("/runs", json=fresh_spec()).status_code == 202


@pytest.mark.full
def test_cells_of_a_sweep_wait_while_the_client_has_no_room(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "2", "--address-queue-s", "0.001", "--client-queue-s", "0.001", "QUEUE_SIZE=2")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        blocking = http.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        body = http.post(SWEEP, json=build_grid(fresh_spec())).json()
        assert body["counts"] == {"held": 6}, "the client has its one run under way"
        assert http.post("/runs", json=fresh_spec()).status_code == 429
        http.delete(f"/runs/{blocking}")
        most = 0
        while (now := http.get(f"{SWEEP}/{body['id']}").json())["is_open"]:
            most = max(most, now["counts"].get("running", 0) + now["counts"].get("queued", 0))
        assert most == 1
        assert now["counts"] == {"done": 6}


@pytest.mark.full
def test_what_a_client_keeps_is_bounded(launch: StartServer, tmp_path: Path) -> None:
    server = launch("--workers", "1", "--max-client-bytes", "1", "--max-address-bytes", "1", ready="/livez")
    path = tmp_path / "ours.mhct"
    read_trace().result.save(path)
    content = path.read_bytes()
    with httpx.Client(base_url=server.api, timeout=60) as http:
        assert http.post("/traces", content=content, headers=OCTETS).status_code == 201
        refused = http.post("/traces", content=content, headers=OCTETS)
    assert refused.status_code == 429
    assert (refused.json()["type"], refused.headers["retry-after"]) == ("/docs#problem-too-much-stored", "3600")
