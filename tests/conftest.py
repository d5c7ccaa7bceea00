"""Tests of the service talk to a real server process over a loopback port, with a data folder of its own."""

import contextlib
import gc
import importlib
import inspect
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import sampling
from tests.forked import ForkedServer, find_workers, fork_server, run_command
from tests.limited import to_command
from tests.ports import free_port

# Small tensors gain nothing from threads, and lose much where others share the cores. Said before torch or numpy is
# imported; processes that tests start take it over, and servers give their workers threads themselves.
for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[pool] = "1"

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ("app", "service")  # folders of tests
LONE = ("--workers", "1", "HEARTBEAT_S=0.2")
START_S = 120.0  # workers are nice: on a busy machine they wait long for their turn


LEFT_OUT = {"full", "trial"}  # marks of what `make test` does not run
WHOLE = re.compile(r"^pytestmark = pytest\.mark\.(full|trial)$", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files of `make test-rest` alone in `make test`: their import, in every lane, is a part of its time."""
    if not _is_everyday(config) or collection_path.suffix != ".py":
        return None
    return True if WHOLE.search(collection_path.read_text()) else None


def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> list[pytest.Item] | None:
    """Build no cases of tests that `make test` leaves out as a whole."""
    if not _is_everyday(collector.config) or not inspect.isfunction(obj):
        return None
    return [] if LEFT_OUT & {mark.name for mark in getattr(obj, "pytestmark", ())} else None


def _is_everyday(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "not full")


def pytest_collection(session: pytest.Session) -> None:
    """Let each lane import its share of the files before all others.

    Assertions of each file are rewritten once and stored, and not in every lane at the same time. An error of a file is
    left to its collection.
    """
    lane = getattr(session.config, "workerinput", None)
    if lane is None:
        return
    number, lanes = int(lane["workerid"].removeprefix("gw")), lane["workercount"]
    folders = [Path(argument).resolve() for argument in session.config.args]  # a file is imported soon enough
    files = [path for folder in folders for path in sorted(folder.rglob("test_*.py"))]
    for path in [path for path in files if not pytest_ignore_collect(path, session.config)][number::lanes]:
        with contextlib.suppress(Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.hookimpl(tryfirst=True)  # Before `-m` looks at the marks.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make test-rest` what the samples of `tests/sampling.py` leave out, and run servers before browsers.

    Playwright leaves an event loop running in its thread, and Ray starts machines from the main thread alone.
    """
    left_out = sampling.mark_full(items, everyday=_is_everyday(config))
    if _is_everyday(config):  # Before other plugins see the cases: each takes time for each case, in each process.
        left_out = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    dropped = set(left_out)
    items[:] = [item for item in items if item not in dropped]
    items.sort(key=lambda item: item.path.relative_to(ROOT).parts[1] not in SERVERS)


def pytest_collection_finish() -> None:
    """Exclude modules and cases, which stay until the end, from garbage collections: each would visit all of them."""
    gc.collect()
    gc.freeze()


@dataclass
class Server:
    """A running `python -m app serve`."""

    process: subprocess.Popen[bytes] | ForkedServer
    url: str
    data: Path
    log: Path

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"

    def worker_pids(self) -> list[int]:
        """Its worker processes."""
        return find_workers(self.process.pid)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> float:
        """Ask it to stop; seconds until it has."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        return time.monotonic() - started


StartServer = Callable[..., Server]
Call = Callable[..., subprocess.CompletedProcess[str]]


def start_server(
    data: Path, *flags: str, port: int | None = None, forked: bool = True, ready: str = "/readyz"
) -> Server:
    """Start a server, on a port of its own unless one is given, and wait until it can take runs.

    With `ready="/livez"` it is not waited for its workers, whose start is most of the cost. It is forked from a process
    that has imported the app, unless it shall start as `python -m app serve` does.
    """
    data.mkdir(parents=True, exist_ok=True)
    log, port = data / "server.log", port or free_port()
    arguments = ["serve", "--port", str(port), "--data", str(data), *flags]
    process = fork_server(arguments, log) if forked else _execute(arguments, log)
    server = Server(process, f"http://127.0.0.1:{port}", data, log)
    deadline = time.monotonic() + START_S
    with httpx.Client(base_url=server.url) as http:  # a new one for each question would take the cores from the server
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if http.get(ready).status_code == 200:
                    return server
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError(f"the server did not become ready:\n{log.read_text()}")


def _execute(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    # An operator's settings must not reach a test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MHC_")}
    with log.open("ab") as sink:
        return subprocess.Popen(to_command(arguments), cwd=ROOT, env=environment, stdout=sink, stderr=sink)


@contextlib.contextmanager
def share_server(data: Path, *flags: str) -> Iterator[Server]:
    """Run one server that tests share; they must leave it as usable as they found it."""
    running = start_server(data, "--no-precompute", *flags)
    yield running
    running.kill()


@contextlib.contextmanager
def launch_servers(data: Path, *common: str) -> Iterator[StartServer]:
    """Let a test start servers of its own, all on one data folder, and end those that still run."""
    started: list[Server] = []

    def build(*flags: str, port: int | None = None, ready: str = "/readyz") -> Server:
        started.append(start_server(data, "--no-precompute", *common, *flags, port=port, ready=ready))
        return started[-1]

    yield build
    for running in started:
        if running.process.poll() is None:
            running.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shared server."""
    with share_server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="session")
def lone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server with one worker, for tests of the queue and of the worker."""
    with share_server(tmp_path_factory.mktemp("lone"), *LONE) as running:
        yield running


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of a test's own: `launch("--workers", "1")`, on the same data folder each time."""
    with launch_servers(tmp_path / "data") as build:
        yield build


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the shared server's API."""
    with httpx.Client(base_url=server.api, timeout=30) as http:
        yield http


@pytest.fixture
def lone_client(lone_server: Server) -> Iterator[httpx.Client]:
    """HTTP to the API of the server with one worker."""
    with httpx.Client(base_url=lone_server.api, timeout=60) as http:
        yield http


@pytest.fixture
def fresh_spec() -> Callable[..., dict[str, Any]]:
    """Small specs that no test has run before: each has a seed of its own."""

    def build(**fields: Any) -> dict[str, Any]:
        small = {"depth": 4, "width": 16, "input": {"tokens": 16}}
        return small | {"seed": int.from_bytes(os.urandom(4), "little")} | fields

    return build


def read_sse(text: str) -> list[dict[str, str]]:
    """Events of a stream as field dicts; comments and bare `retry` left out."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            events.append(fields)
    return events


def wait_for_end(http: httpx.Client, run_id: str) -> dict[str, Any]:
    """Follow a run to its end; the last frame."""
    body = http.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}, timeout=60)
    last: dict[str, Any] = json.loads(body.text.splitlines()[-1])
    assert last["type"] == "end"
    return last


def compute(http: httpx.Client, spec: dict[str, Any]) -> str:
    """Post a spec, wait until it is done, return its id."""
    run_id: str = http.post("/runs", json=spec).json()["id"]
    end = wait_for_end(http, run_id)
    assert end["status"] == "done", end["reason"]
    return run_id


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """`python -m app` with these arguments, and with a text for its standard input: `call("run", "-", stdin="{}")`."""
    return lambda *arguments, stdin="": run_command(arguments, stdin, tmp_path)
