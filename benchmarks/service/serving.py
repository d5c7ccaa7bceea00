"""A server of a load's own, and what it holds: memory, descriptors, the size of its database."""

import os
import signal
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

from benchmarks.scale import list_children, read_resident
from tests.app.edge.crowded import count_descriptors, start_with_descriptors
from tests.conftest import Server

START_S = 600.0  # a server that gives way may wait long for its workers
DESCRIPTORS = 1024  # `ulimit -n` of a shell that nobody has changed


@contextmanager
def serve(*flags: str, descriptors: int = DESCRIPTORS) -> Iterator[Server]:
    """Run a server with a data folder of its own until the block ends."""
    with TemporaryDirectory() as data:
        server = start_with_descriptors(Path(data), descriptors, "--no-precompute", *flags, start_s=START_S)
        try:
            yield server
        finally:
            try:
                server.terminate()
            except TimeoutExpired:
                server.kill()


@dataclass(frozen=True)
class Held:
    """Memory and sizes of a server in bytes, and its descriptors; `workers` is the memory of all its children."""

    server: int
    workers: int
    descriptors: int
    database: int


def look(server: Server) -> Held:
    """Return what the server holds now."""
    pid = server.process.pid
    return Held(read_resident(pid), _read_below(pid), count_descriptors(server), measure_database(server.data))


def measure_database(data: Path) -> int:
    """Return the bytes of the database and its log, which may exist only during a transaction."""
    total = 0
    for path in data.glob("mhc-scope.db*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _read_below(pid: int) -> int:
    total = 0
    for child in list_children(pid):
        try:
            total += read_resident(child) + _read_below(child)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since it was listed
    return total


def read_log(server: Server, *words: str) -> list[str]:
    """Return the lines of the server's log that contain any of these words."""
    return [line for line in server.log.read_text(errors="replace").splitlines() if any(word in line for word in words)]


def begin(niceness: int) -> None:
    """Lower this process's priority, which the server inherits; SIGTERM ends both."""
    os.nice(niceness)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def to_p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]
