"""What storing costs: frames that are compressed, and requests while old runs are swept. Prints rows.

The second half fills a database of 1 GB, which takes a minute: `python -m benchmarks.storage`.
"""

import contextlib
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.encoding import RUN, SPECS
from benchmarks.latency import serve
from benchmarks.rows import Row, print_rows
from mhc_core.measure.run import run
from mhc_core.record.codec import encode_frame
from mhc_core.spec import parse_spec
from mhc_scope.store.frames import pack_line, unpack_line
from mhc_scope.store.schema import upgrade

RUNS, FRAMES, FRAME_BYTES = 500, 200, 10_000
COLUMNS = "id, kind, source, status, cost, frames, bytes, created_at, used_at, pinned"
NAME = "mhc-scope.db"


def build_packing_rows() -> list[Row]:
    """Measure size and time of compressed frames of the specs that `benchmarks.encoding` encodes."""
    lines = [encode_frame(frame, RUN, k) for spec in SPECS for k, frame in enumerate(run(parse_spec(spec)))]
    packing, unpacking = [], []
    for _ in range(25):
        started = time.perf_counter()
        stored = [pack_line(line) for line in lines]
        packed = time.perf_counter()
        assert [unpack_line(line) for line in stored] == lines
        packing.append((packed - started) / len(lines))
        unpacking.append((time.perf_counter() - packed) / len(lines))
    ratio = sum(map(len, stored)) / sum(map(len, lines))
    against = f"{len(lines)} frames of {sum(map(len, lines)) // len(lines)} bytes"
    return [
        Row("stored frames", "as encoded", ratio, "x", 0.6),
        Row("to compress a frame", against, 1e6 * statistics.median(packing), "us", 200),
        Row("to read a compressed frame", against, 1e6 * statistics.median(unpacking), "us", 50),
    ]


def fill(path: Path) -> None:
    """Store old runs of 1 GB in all; `kept` was used now."""
    upgrade(f"sqlite:///{path}")
    now, source = time.time(), '{"kind": "spec", "spec": {}}'
    with contextlib.closing(sqlite3.connect(path)) as database:
        for number in range(RUNS + 1):
            name, used_at = (f"run{number}", 0.0) if number < RUNS else ("kept", now)
            values = (name, "run", source, "done", "{}", FRAMES, FRAMES * FRAME_BYTES, now, used_at, False)
            database.execute(f"INSERT INTO runs ({COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)
            noise = os.urandom(FRAMES * FRAME_BYTES)
            frames = [(name, k, noise[k * FRAME_BYTES : (k + 1) * FRAME_BYTES]) for k in range(FRAMES)]
            database.executemany("INSERT INTO frames VALUES (?, ?, ?)", frames)
            database.commit()


def build_sweep_rows() -> list[Row]:
    """Measure how long requests wait while 1 GB of old runs is deleted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        fill(path)
        before, waits = path.stat().st_size, {"/readyz": list[float](), "/api/v1/runs/kept": list[float]()}
        with serve(folder, limits=("RETENTION_INTERVAL_S=5", "--keep-s", "3600")) as http:
            started = time.monotonic()
            while path.stat().st_size > before / 100 and time.monotonic() - started < 300:
                for url, took in waits.items():
                    took.append(_time_get(http, url))
                time.sleep(0.01)
            swept_s = time.monotonic() - started
        left = path.stat().st_size
    rows = [Row("sweep of 1 GB, until the file is small", f"{left / before:.1%} are left", swept_s, "s", 300)]
    for url, took in waits.items():
        p99 = sorted(took)[int(0.99 * len(took))]
        rows.append(Row(f"GET {url}, p99 while it is swept", f"{len(took)} requests", 1e3 * p99, "ms", 100))
        rows.append(Row(f"GET {url}, longest while it is swept", "the same", 1e3 * max(took), "ms", 500))
    return rows


def _time_get(http: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    http.get(url).raise_for_status()
    return time.perf_counter() - started


def main() -> None:
    """Print the rows."""
    print_rows(build_packing_rows())
    print_rows(build_sweep_rows())


if __name__ == "__main__":
    main()
