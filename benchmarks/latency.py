"""What a viewer waits for, against a real server process on loopback: first frame, stored run, twenty viewers.

Every figure includes HTTP and the client; medians of 25 rounds. `python -m benchmarks.latency` prints rows.
"""

import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from benchmarks.rows import Row, print_rows
from tests.limited import to_command

ROUNDS, VIEWERS = 25, 20
START_S = 60.0
NDJSON = {"Accept": "application/x-ndjson"}


@contextmanager
def serve(data: str, workers: int = 0, limits: Sequence[str] = ()) -> Iterator[httpx.Client]:
    """Run a server with this many warm workers, by default one for each core."""
    workers = workers or len(os.sched_getaffinity(0))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--port", str(port), "--data", data, "--workers", str(workers))
    command = to_command(["serve", "--no-precompute", *where, *limits])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            _wait_until_ready(http, process, workers)
            yield http
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(http: httpx.Client, process: subprocess.Popen[bytes], workers: int) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if http.get("/readyz").json()["workers"] == workers:
                return
        except httpx.TransportError:
            pass  # Not listening yet.
        time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


def time_first_frame(http: httpx.Client, seed: int) -> float:
    """Return the seconds from the POST of a new spec to its first frame."""
    start = time.perf_counter()
    run_id = http.post("/api/v1/runs", json={"seed": seed}).json()["id"]
    with http.stream("GET", f"/api/v1/runs/{run_id}/events", headers=NDJSON) as stream:
        lines = stream.iter_lines()
        next(lines)
        took = time.perf_counter() - start
        for _ in lines:  # The next round must find an idle worker.
            pass
    return took


def time_stored_run(http: httpx.Client, run_id: str) -> float:
    """Return the seconds that reading every frame of a stored run takes."""
    start = time.perf_counter()
    text = http.get(f"/api/v1/runs/{run_id}/events", headers=NDJSON).text
    assert text.splitlines()[-1].endswith('"status":"done","reason":null}')
    return time.perf_counter() - start


def time_viewers(http: httpx.Client, run_id: str) -> float:
    """Return the seconds until twenty concurrent viewers have read a stored run."""

    def read(_: int) -> int:
        return len(httpx.get(http.base_url.join(f"/api/v1/runs/{run_id}/events"), headers=NDJSON).content)

    with ThreadPoolExecutor(VIEWERS) as pool:
        start = time.perf_counter()
        sizes = set(pool.map(read, range(VIEWERS)))
        took = time.perf_counter() - start
    assert len(sizes) == 1
    return took


def count_computations(http: httpx.Client, seed: int) -> int:
    """Return how often a run that twenty viewers follow from start to end is computed."""
    before = _count_ended(http)
    run_id = http.post("/api/v1/runs", json={"seed": seed, "depth": 256}).json()["id"]
    time_viewers(http, run_id)
    return _count_ended(http) - before


def _count_ended(http: httpx.Client) -> int:
    return sum(http.get("/readyz").json()["ended"].values())


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as data:
        with serve(data) as http:
            stored = http.post("/api/v1/runs", json={}).json()["id"]
            http.get(f"/api/v1/runs/{stored}/events")
            page = http.post("/api/v1/snapshots", json={"runs": [stored]}).json()["url"]
        # Another process: what is stored comes from the database, not from the memory of who computed it.
        with serve(data) as http:
            print_rows(build_rows(http, stored, page))


def build_rows(http: httpx.Client, stored: str, page: str) -> list[Row]:
    """Measure, and return the rows."""
    against = "real server, loopback, client included"
    timed: dict[str, Callable[[int], float]] = {
        "first frame after POST, warm worker": lambda k: time_first_frame(http, 1000 + k),
        "a stored run, all frames": lambda k: time_stored_run(http, stored),
        "the page of a snapshot": lambda k: _time_get(http, page),
    }
    rows = []
    for name, way in timed.items():
        took = [1e3 * way(k) for k in range(ROUNDS + 1)][1:]
        rows.append(Row(name, against, statistics.median(took), "ms", 30))
    viewers = statistics.median(time_viewers(http, stored) for _ in range(ROUNDS))
    rows.append(Row(f"a stored run, all frames, {VIEWERS} viewers at once", against, 1e3 * viewers, "ms", 1000))
    counted = count_computations(http, 5000)
    rows.append(Row(f"computations of a run that {VIEWERS} viewers follow live", against, counted, "", 1))
    return rows


def _time_get(http: httpx.Client, url: str) -> float:
    start = time.perf_counter()
    http.get(url).raise_for_status()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
