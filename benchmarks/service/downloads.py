"""100 downloads of a result of 18 MB at once: how soon `/livez` answers meanwhile, and what memory the server keeps.

`python -m benchmarks.service.downloads [--clients 100] [--distinct 1]`. The server may open 1024 files.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx

PORT = 18_533
URL = f"http://127.0.0.1:{PORT}"
SPEC = {"depth": 1000, "width": 16, "input": {"tokens": 16}, "connection": {"kind": "mhc", "streams": 8}}
PROBE_S = 0.02
FILES = 1024


def start(data: Path) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it is ready."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    shares = ["--service", "--client-read-bytes", "100000000000", "--address-read-bytes", "100000000000"]
    flags = ["--no-precompute", *shares, "--port", str(PORT), "--data", str(data)]
    with (data / "server.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "app", "serve", *flags], stderr=log, preexec_fn=limit_files)
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{URL}/readyz").status_code == 200:
                return server
        time.sleep(0.1)


def compute(seed: int) -> str:
    """Compute a run with a large result. Return its id."""
    run_id: str = httpx.post(f"{URL}/api/v1/runs", json={**SPEC, "seed": seed}, timeout=60).json()["id"]
    while httpx.get(f"{URL}/api/v1/runs/{run_id}", timeout=60).json()["status"] != "done":
        time.sleep(0.1)
    return run_id


def read_rss(pid: int) -> int:
    """Return the bytes of memory that a process uses."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def probe(stop: Event, answers: Any) -> None:
    """Request `/livez` repeatedly. Put the seconds of each answer into the queue."""
    took = []
    with httpx.Client() as http:
        while not stop.is_set():
            begun = time.perf_counter()
            http.get(f"{URL}/livez", timeout=60)
            took.append(time.perf_counter() - begun)
            time.sleep(PROBE_S)
    answers.put(took)


async def download(run_ids: list[str], clients: int, coding: str) -> tuple[list[int], int]:
    """Run all downloads concurrently; a refused one waits as the answer says. Return statuses and sent bytes."""
    statuses: list[int] = []
    sent = 0

    async def fetch(http: httpx.AsyncClient, run_id: str) -> None:
        nonlocal sent
        while True:
            async with http.stream("GET", f"/runs/{run_id}/result.json", headers={"Accept-Encoding": coding}) as answer:
                async for chunk in answer.aiter_raw():
                    sent += len(chunk)
            statuses.append(answer.status_code)
            if answer.status_code not in (429, 503):
                return
            await asyncio.sleep(int(answer.headers["retry-after"]))

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"{URL}/api/v1", timeout=600, limits=limits) as http:
        await asyncio.gather(*(fetch(http, run_ids[k % len(run_ids)]) for k in range(clients)))
    return statuses, sent


def measure(name: str, server: int, run_ids: list[str], clients: int, coding: str) -> dict[str, Any]:
    """Return the row."""
    before = read_rss(server)
    context = multiprocessing.get_context("spawn")
    stop, answers = context.Event(), context.Queue()
    prober = context.Process(target=probe, args=(stop, answers))
    prober.start()
    time.sleep(2)
    begun = time.perf_counter()
    statuses, sent = asyncio.run(download(run_ids, clients, coding))
    if not clients:
        time.sleep(3)
    took_s = time.perf_counter() - begun
    stop.set()
    livez = answers.get()
    prober.join()
    time.sleep(3)
    return {
        "what": name,
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        "MB": round(sent / 1e6),
        "s": round(took_s, 1),
        "livez_p50_ms": round(1000 * statistics.median(livez), 1),
        "livez_p99_ms": round(1000 * statistics.quantiles(livez, n=100)[98], 1),
        "livez_max_ms": round(1000 * max(livez), 1),
        "rss_before_MB": round(before / 1e6),
        "rss_after": round(read_rss(server) / before, 3),
    }


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--distinct", type=int, default=1, help="runs that are downloaded")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder))
        try:
            run_ids = [compute(seed) for seed in range(known.distinct)]
            print(json.dumps(measure("nothing, 5 s", server.pid, [], 0, "identity")), flush=True)
            for coding in ("identity", "gzip"):
                for name in ("first", "kept"):
                    row = measure(f"{coding}, {name}", server.pid, run_ids, known.clients, coding)
                    print(json.dumps(row), flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
