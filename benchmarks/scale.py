"""What a viewer, a run and a byte cost one server: `python -m benchmarks.scale`, the measured half of docs/scale.md.

Time is processor time of the server process and of its workers, told by the system, so that other work on the machine
adds little to it. Rates per core follow from it; they are what a core would do that does nothing else.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.latency import serve
from benchmarks.rows import Row, print_rows

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
RUNS, VIEWERS, OPEN_STREAMS, VISITS = 12, 100, 200, 50
NDJSON = {"Accept": "application/x-ndjson"}
PACKED = {"Accept-Encoding": "gzip"}
KINDS = ("residual", "hc", "mhc")
API = "/api/v1"
# One client here stands for many.
NO_LIMITS = ("MHC_MAX_RUN_SECONDS", "MHC_QUEUE_S")


@dataclass
class Spent:
    """Processor seconds of the server and of its workers."""

    server: float = 0.0
    workers: float = 0.0


@contextmanager
def watch(pid: int) -> Iterator[Spent]:
    """Yield the processor seconds that are spent while the context lasts."""
    spent, server, tree = Spent(), _read_seconds(pid), _read_tree(pid)
    yield spent
    spent.server = _read_seconds(pid) - server
    spent.workers = _read_tree(pid) - tree - spent.server


def _read_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _read_tree(pid: int) -> float:
    return _read_seconds(pid) + sum(map(_read_tree, list_children(pid)))


def list_children(pid: int) -> list[int]:
    """Return the process ids of the children."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def read_resident(pid: int) -> int:
    """Return the bytes of memory that the process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_runs(http: httpx.Client, pid: int, data: str) -> tuple[list[Row], list[str]]:
    """Measure new runs of the page's default size, one after another, each with one viewer."""
    before, ids, sent = _count_stored(data), [], 0
    with watch(pid) as spent:
        for seed in range(RUNS):
            spec = {"seed": seed, "connection": {"kind": KINDS[seed % len(KINDS)]}}
            ids.append(http.post(f"{API}/runs", json=spec).json()["id"])
            sent += _count_sent(http, ids[-1])
    run = f"one of {RUNS} default runs"
    return [
        Row("run: processor time of a worker", run, 1e3 * spent.workers / RUNS, "ms"),
        Row("run: processor time of the server", run, 1e3 * spent.server / RUNS, "ms"),
        Row("run: stored", run, (_count_stored(data) - before) / RUNS / 1e3, "kB"),
        Row("run: sent to one viewer", "compressed", sent / RUNS / 1e3, "kB"),
    ], ids


def _count_stored(data: str) -> int:
    return sum(path.stat().st_size for path in Path(data).rglob("*") if path.is_file())


def _count_sent(http: httpx.Client, run_id: str) -> int:
    with http.stream("GET", f"{API}/runs/{run_id}/events", headers=NDJSON | PACKED) as stream:
        stream.raise_for_status()
        return sum(map(len, stream.iter_raw()))


def measure_viewers(http: httpx.Client, pid: int, ids: list[str]) -> list[Row]:
    """Measure viewers of finished runs, who read frames from the log."""
    with watch(pid) as spent:
        sent = sum(_count_sent(http, ids[k % len(ids)]) for k in range(VIEWERS))
    per_viewer = spent.server / VIEWERS
    return [
        Row("viewer of a finished run: server", f"{VIEWERS} in turn", 1e3 * per_viewer, "ms"),
        Row("viewers a second", "of one core", 1 / per_viewer, ""),
        Row("a megabyte sent: server", "compressed frames", 1e3 * spent.server / (sent / 1e6), "ms"),
    ]


def measure_visits(http: httpx.Client, pid: int) -> list[Row]:
    """Measure the page itself; scripts and styles come from a cache after the first visit."""
    size = 0
    with watch(pid) as spent:
        for _ in range(VISITS):
            with http.stream("GET", "/", headers={"Accept-Encoding": "br, gzip"}) as answer:
                answer.raise_for_status()
                size = sum(map(len, answer.iter_raw()))
    return [
        Row("page: sent", "HTML, compressed", size / 1e3, "kB"),
        Row("page: server", f"one of {VISITS} requests", 1e3 * spent.server / VISITS, "ms"),
    ]


async def measure_open_streams(url: str, pid: int, run_id: str) -> list[Row]:
    """Measure what open event streams of a run that waits in the queue cost."""
    limits = httpx.Limits(max_connections=OPEN_STREAMS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        before = read_resident(pid)
        request = client.build_request("GET", f"{API}/runs/{run_id}/events")
        streams = [await client.send(request, stream=True) for _ in range(OPEN_STREAMS)]
        held = read_resident(pid) - before
        with watch(pid) as spent:
            await asyncio.sleep(10)
        for stream in streams:
            await stream.aclose()
    idle = 1e6 * spent.server / 10 / OPEN_STREAMS
    return [
        Row("open stream: memory of the server", f"one of {OPEN_STREAMS}", held / OPEN_STREAMS / 1e3, "kB"),
        Row("open stream: server, waiting", f"one of {OPEN_STREAMS}, each second", idle, "us"),
    ]


def occupy(http: httpx.Client) -> str:
    """Give the only worker a long run. Return the id of a run that waits behind it."""
    long: dict[str, Any] = {"depth": 512, "width": 128, "train": {"steps": 10}}
    http.post(f"{API}/runs", json=long).raise_for_status()
    answer = http.post(f"{API}/runs", json=long | {"seed": 1})
    waiting: str = answer.raise_for_status().json()["id"]
    return waiting


def main() -> None:
    """Print the rows."""
    os.environ |= dict.fromkeys(NO_LIMITS, "1000000")
    with TemporaryDirectory() as data, serve(data, workers=1) as http:
        (pid,) = list_children(os.getpid())
        rows, ids = measure_runs(http, pid, data)
        rows += measure_viewers(http, pid, ids)
        rows += measure_visits(http, pid)
        rows += asyncio.run(measure_open_streams(str(http.base_url), pid, occupy(http)))
        print_rows(rows)


if __name__ == "__main__":
    main()
