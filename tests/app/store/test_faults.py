"""What befalls the files while a server uses them: it says so, goes on by itself, and loses no finished run."""

import contextlib
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mhc_scope.store.checking import CheckCounts, check
from mhc_scope.store.database import Database
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.schema import open_current
from tests.app.edge.sockets import build, connect
from tests.app.engine.test_cancel import LONG, start_long
from tests.app.store.filled import add_run, do, to_url
from tests.conftest import Server, StartServer, compute, start_server

pytestmark = pytest.mark.full

FreshSpec = Callable[..., dict[str, Any]]
NAME = "mhc-scope.db"
WAIT_S = 60.0


def post_until_taken(http: httpx.Client, spec: dict[str, Any]) -> None:
    """A server that has recovered takes runs again."""
    deadline = time.monotonic() + WAIT_S
    while (answer := http.post("/runs", json=spec)).status_code not in (200, 202):
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def require_problem(answer: httpx.Response, kind: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].endswith(f"problem-{kind}")
    assert int(answer.headers["retry-after"]) > 0


def list_damage(data: Path) -> list[str]:
    with open_current(f"sqlite:///{data / NAME}") as connection:
        return list(check(connection, CheckCounts()))


def read_frames(http: httpx.Client, run_id: str) -> bytes:
    return http.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).content


def test_a_deleted_data_folder_is_written_anew(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "LOG_CACHE_BYTES=1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, fresh_spec())
        frames = read_frames(http, done)
        shutil.rmtree(own.data)
        post_until_taken(http, spec := fresh_spec())
        assert (own.data / NAME).stat().st_mode & 0o777 == 0o600
        assert read_frames(http, done) == frames
        compute(http, spec)
    own.kill()
    again = launch("--workers", "1", ready="/livez")
    with httpx.Client(base_url=again.api, timeout=60) as http:
        assert read_frames(http, done) == frames
    assert list_damage(own.data) == []


def test_a_data_folder_deleted_while_the_server_stops_is_not_written_again(
    launch: StartServer, fresh_spec: FreshSpec
) -> None:
    own = launch("--workers", "1")
    with own.log.open() as log, httpx.Client(base_url=own.api, timeout=60) as http, connect(own) as half:
        start_long(http, fresh_spec(**LONG))
        for _ in range(3):
            http.post("/runs", json=fresh_spec(**LONG))
        x = {"field": "connection.noise", "values": [0.1, 0.2]}
        assert http.post("/runs/sweep", json={"spec": fresh_spec(), "x": x}).status_code == 202
        half.sendall(build("POST", "/api/v1/runs", ["Content-Length: 900"], b"{"))  # holds the stop up for its grace
        time.sleep(0.2)
        own.process.send_signal(signal.SIGTERM)
        wait_until_refused(own)
        for _ in range(3):  # a journal of a transaction under way may come or go meanwhile
            shutil.rmtree(own.data, ignore_errors=True)
        while own.process.poll() is None:
            assert not own.data.exists()
            time.sleep(0.01)
        assert "Application shutdown failed" not in log.read()
    assert not own.data.exists()
    again = launch("--workers", "1", ready="/livez")
    assert httpx.get(f"{again.url}/livez").json() == {"status": "alive"}


def wait_until_refused(server: Server) -> None:
    """Until it accepts no more connections."""
    deadline = time.monotonic() + WAIT_S
    with contextlib.suppress(httpx.ConnectError):
        while time.monotonic() < deadline:
            httpx.get(f"{server.url}/livez")
            time.sleep(0.01)
        raise TimeoutError("the server still accepts connections")


def test_a_database_that_is_replaced_is_gone_on_with(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        compute(http, fresh_spec())
        copy = own.data.parent / "copy.db"
        shutil.copy(own.data / NAME, copy)
        copy.replace(own.data / NAME)
        post_until_taken(http, spec := fresh_spec())
        compute(http, spec)
    assert list_damage(own.data) == []


def test_a_lock_of_another_process_is_waited_for_and_told(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, fresh_spec())
        with contextlib.closing(sqlite3.connect(own.data / NAME, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            started = time.monotonic()
            answer = http.post("/runs", json=fresh_spec())
            require_problem(answer, "store-unavailable")
            assert "locked" in answer.json()["detail"]
            assert time.monotonic() - started < 20
            assert httpx.get(f"{own.url}/livez").status_code == 200
            other.execute("ROLLBACK")
        post_until_taken(http, spec := fresh_spec())
        compute(http, spec)
        assert http.get(f"/runs/{done}").json()["status"] == "done"
    assert list_damage(own.data) == []


@contextlib.contextmanager
def serve(data: Path, *flags: str) -> Iterator[Server]:
    running = start_server(data, "--no-precompute", "--workers", "1", *flags)
    try:
        yield running
    finally:
        running.kill()


def fill(path: Path, leave: int) -> None:
    """A file that takes all of its disk but so many bytes."""
    with path.open("wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(path.parent).free - leave)))


def test_room_is_kept_free_on_the_disk(small_disk: Path, fresh_spec: FreshSpec) -> None:
    with (
        serve(small_disk / "data", "MIN_FREE_BYTES=4000000") as own,
        httpx.Client(base_url=own.api, timeout=60) as http,
    ):
        known = fresh_spec()
        compute(http, known)
        fill(small_disk / "ballast", 3_000_000)
        time.sleep(1.1)  # a measurement holds for a second
        answer = http.post("/runs", json=fresh_spec())
        require_problem(answer, "storage-full")
        assert "3 MB are free" in answer.json()["detail"]
        assert http.post("/runs", json=known).status_code == 200, "what is known is shown"
        require_problem(http.post("/traces", content=b"x"), "storage-full")
        (small_disk / "ballast").unlink()
        post_until_taken(http, spec := fresh_spec())
        compute(http, spec)


def test_a_full_disk_is_told_and_nothing_is_lost(small_disk: Path, fresh_spec: FreshSpec) -> None:
    with serve(small_disk / "data", "MIN_FREE_BYTES=1") as own, httpx.Client(base_url=own.api, timeout=60) as http:
        done = compute(http, fresh_spec())
        frames = read_frames(http, done)
        fill(small_disk / "ballast", 8192)  # more than is kept free, and less than a run takes
        answer = http.post("/runs", json=fresh_spec())
        require_problem(answer, "store-unavailable")
        assert "disk is full" in answer.json()["detail"]
        assert httpx.get(f"{own.url}/livez").status_code == 200
        assert read_frames(http, done) == frames
        (small_disk / "ballast").unlink()
        post_until_taken(http, spec := fresh_spec())
        compute(http, spec)
        own.kill()
        assert list_damage(own.data) == []


def test_a_deleted_file_that_was_not_open_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "data" / NAME

    async def work(database: Database) -> None:
        await add_run(database, "r")
        database._engine.dispose()
        shutil.rmtree(path.parent)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="was deleted"):
                await add_run(database, "s")
            assert not path.exists()

    do(to_url(path), work)
