"""What survives: a worker's death, the server's death, a restart."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mhc_scope.presets import OPENING
from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, StartServer, compute, read_sse, start_server, wait_for_end

pytestmark = pytest.mark.full

BEGUN_S = 0.5  # a worker that dies before its job's first frame was dead when it was given the job
FreshSpec = Callable[..., dict[str, Any]]
NDJSON = {"Accept": "application/x-ndjson"}


def read_lines(http: httpx.Client, run_id: str) -> list[str]:
    """The run's whole log."""
    return http.get(f"/runs/{run_id}/events", headers=NDJSON, timeout=60).text.splitlines()


def kill_worker(server: Server) -> None:
    """Kill the one worker, and wait until another has taken its place."""
    worker = wait_for_worker(server)
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while worker in (now := server.worker_pids()) or not now:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_attempt(http: httpx.Client, run_id: str) -> None:
    """Wait until the run is under way again."""
    deadline = time.monotonic() + 60
    while (run := http.get(f"/runs/{run_id}").json())["status"] != "running":
        assert run["status"] == "queued", run["reason"]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_whose_worker_is_killed_is_tried_once_more(
    lone_server: Server, lone_client: httpx.Client, client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    spec = fresh_spec(depth=128, width=64)
    run_id = start_long(lone_client, spec)
    kill_worker(lone_server)
    assert wait_for_end(lone_client, run_id)["status"] == "done"
    # Half from before, half from after: the log of an undisturbed run.
    assert compute(client, spec) == run_id
    assert read_lines(client, run_id) == read_lines(lone_client, run_id)


def test_a_worker_killed_twice_fails_its_run_and_no_other(
    lone_server: Server, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    http, spec = lone_client, fresh_spec(**LONG)
    run_id = start_long(http, spec)
    waiting = http.post("/runs", json=fresh_spec()).json()["id"]
    kill_worker(lone_server)
    wait_for_attempt(http, run_id)
    time.sleep(BEGUN_S)
    kill_worker(lone_server)
    end = wait_for_end(http, run_id)
    assert end["status"] == "failed"
    assert "SIGKILL" in end["reason"]
    assert http.get(f"/runs/{run_id}").json()["reason"] == end["reason"]
    assert wait_for_end(http, waiting)["status"] == "done"
    # The failed spec starts again when it is asked for again.
    assert http.post("/runs", json=spec).status_code == 202
    http.delete(f"/runs/{run_id}")


def wait_for_worker(server: Server) -> int:
    """The one worker's process id; its predecessor may just have been killed by another test."""
    deadline = time.monotonic() + 30
    while not (pids := server.worker_pids()) and time.monotonic() < deadline:
        time.sleep(0.02)
    (pid,) = pids
    return pid


def test_a_worker_killed_while_idle_is_replaced(
    lone_server: Server, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    worker = wait_for_worker(lone_server)
    os.kill(worker, signal.SIGKILL)
    # The server may not have noticed, and give it to the dead one: that is no attempt.
    run_id = compute(lone_client, fresh_spec())
    assert lone_server.worker_pids() != [worker]
    with closing(sqlite3.connect(f"file:{lone_server.data}/mhc-scope.db?mode=ro", uri=True)) as database:
        assert database.execute("SELECT attempts FROM runs WHERE id = ?", [run_id]).fetchone() == (1,)


def test_a_worker_killed_while_it_warms_up_is_told_and_replaced(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", ready="/livez")
    worker = wait_for_worker(own)
    os.kill(worker, signal.SIGKILL)
    with httpx.Client(base_url=own.api, timeout=60) as http:
        compute(http, fresh_spec())
    assert f"worker {worker} has ended: the worker process was killed (SIGKILL)" in own.log.read_text()


def test_a_run_past_the_deadline_fails(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "--run-deadline-s", "2")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = http.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        end = wait_for_end(http, run_id)
        assert end["status"] == "failed"
        assert "2 s" in end["reason"]
        run_id = http.post("/runs", json=fresh_spec()).json()["id"]
        assert wait_for_end(http, run_id)["status"] == "done"
    assert httpx.get(f"{own.url}/readyz").json()["ended"] == {"failed": 1, "done": 1}


def test_a_run_out_of_memory_fails_and_says_so(launch: StartServer, fresh_spec: FreshSpec) -> None:
    # A worker with a CUDA build of torch takes 760 MiB before it computes.
    own = launch("--workers", "1", "--worker-memory-bytes", str(1200 * 2**20), "ADMITTED_MEMORY=100")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        big = {"depth": 64, "width": 512, "input": {"batch": 8, "tokens": 256}}
        run_id = http.post("/runs", json=fresh_spec(**big)).json()["id"]
        end = wait_for_end(http, run_id)
        assert end["status"] == "failed"
        assert "out of memory: a worker may allocate 1.2 GiB" in end["reason"]
        run_id = http.post("/runs", json=fresh_spec()).json()["id"]
        assert wait_for_end(http, run_id)["status"] == "done"


def test_kill_9_of_the_server_keeps_runs_and_snapshots(
    launch: StartServer, lone_client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, fresh_spec())
        lines = read_lines(http, done)
        view = {"runs": [done], "state": "v=1&depth=4", "title": "kept"}
        snapshot = http.post("/snapshots", json=view).json()
        del snapshot["key"]  # which only the POST tells
        cut_spec = fresh_spec(depth=128, width=64)
        cut = start_long(http, cut_spec)
        queued = http.post("/runs", json=fresh_spec()).json()["id"]
    workers = own.worker_pids()
    own.kill()
    deadline = time.monotonic() + 3
    while any(_is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlives its server"
        time.sleep(0.02)

    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        assert read_lines(http, done) == lines
        assert http.get(f"/snapshots/{snapshot['id']}").json() == snapshot
        assert wait_for_end(http, cut)["status"] == "done"
        assert wait_for_end(http, queued)["status"] == "done"
        assert http.post("/runs", json=cut_spec).status_code == 200
        joined = read_lines(http, cut)
    # Half from before the kill, half from after it: the log of an undisturbed run.
    assert compute(lone_client, cut_spec) == cut
    assert read_lines(lone_client, cut) == joined


def test_a_run_outlives_its_server_again_and_again(launch: StartServer, fresh_spec: FreshSpec) -> None:
    lose_servers(launch, fresh_spec, "--workers", "1")


def lose_servers(launch: StartServer, fresh_spec: FreshSpec, *flags: str) -> None:
    """Kill servers one after the other while they compute a run; the last one finishes it."""
    own = launch(*flags)
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = start_long(http, fresh_spec(depth=256, width=64))
    for _ in range(3):
        own.kill()
        own = launch(*flags)
        with httpx.Client(base_url=own.api, timeout=60) as http:
            wait_for_attempt(http, run_id)
    with httpx.Client(base_url=own.api, timeout=60) as http:
        assert wait_for_end(http, run_id)["status"] == "done"


def test_a_stop_by_signal_ends_streams_and_is_resumed(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = start_long(http, fresh_spec(depth=256, width=64))
        with http.stream("GET", f"/runs/{run_id}/events") as stream:
            pieces = stream.iter_text()
            received = next(pieces)
            assert own.terminate() < 4
            received += "".join(pieces)
    assert "event: closing" in received
    assert "Traceback" not in own.log.read_text()
    last = [event for event in read_sse(received) if "id" in event][-1]["id"]

    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        again = http.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": last}).text
        events = [event for event in read_sse(again) if "id" in event]
        assert int(events[0]["id"]) == int(last) + 1
        assert json.loads(events[-1]["data"])["status"] == "done"


def test_two_servers_do_not_share_a_data_folder(server: Server) -> None:
    with pytest.raises(RuntimeError, match="another server uses the data folder") as failure:
        start_server(server.data)
    assert "Traceback" not in str(failure.value)[str(failure.value).index("another") :]


def test_the_opening_comparison_is_there_without_a_click(launch: StartServer) -> None:
    own = launch("--precompute")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        for spec in OPENING.specs:
            assert wait_for_end(http, spec.id)["status"] == "done"
        posted = http.post("/runs/compare", json=[spec.canonical() for spec in OPENING.specs])
        assert posted.status_code == 200
        assert [run["status"] for run in posted.json()] == ["done"] * 3


def test_old_runs_are_swept_and_pinned_ones_kept(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "--keep-s", "2", "RETENTION_INTERVAL_S=0.2")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        pinned = compute(http, fresh_spec())
        assert http.post("/snapshots", json={"runs": [pinned]}).status_code == 201
        loose = compute(http, fresh_spec())
        deadline = time.monotonic() + 20
        while http.get(f"/runs/{loose}").status_code != 404:
            assert time.monotonic() < deadline, "the old run is still there"
            time.sleep(0.1)
        assert http.get(f"/runs/{pinned}").json()["pinned"] is True


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
