"""`/readyz` of a real server: each check, and that nothing holds it up."""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, StartServer

FreshSpec = Callable[..., dict[str, Any]]
NAME = "mhc-scope.db"


def ask(server: Server) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{server.url}/readyz", timeout=30)
    return answer.status_code, answer.json()


def list_bad(body: dict[str, Any]) -> list[str]:
    return [name for name, check in body["checks"].items() if not check["ok"]]


def wait_for_bad(server: Server, name: str) -> tuple[int, dict[str, Any]]:
    """Until a probe that went well is out of date."""
    deadline = time.monotonic() + 60
    while (found := ask(server)) and name not in list_bad(found[1]):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def test_a_ready_server_says_what_it_looked_at(server: Server) -> None:
    status, body = ask(server)
    assert (status, body["status"]) == (200, "ready")
    assert list(body["checks"]) == ["database", "room", "runs", "workers", "accepting"]
    assert list_bad(body) == []
    assert body["used_bytes"] > 0
    assert body["free_bytes"] > 0
    assert body["workers"] >= 1


@pytest.mark.full
def test_each_thing_that_is_not_well_is_told(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "--max-store-bytes", "1")
    status, body = ask(own)
    assert (status, list_bad(body)) == (200, ["room"]), "stored runs can still be looked at"
    assert "are allowed" in body["checks"]["room"]["why"]
    with contextlib.closing(sqlite3.connect(own.data / NAME, isolation_level=None)) as other:
        # As a server that is gone for good would leave it: the next heartbeat sees to it.
        other.execute(
            "INSERT INTO runs (id, kind, source, status, cost, frames, created_at, started_at, used_at, pinned) "
            "VALUES ('lost', 'run', '{\"kind\": \"spec\", \"spec\": {}}', 'running', '{}', 0, 1, 1, 1, 0)"
        )
        deadline = time.monotonic() + 60
        while other.execute("SELECT status FROM runs WHERE id = 'lost'").fetchone() == ("running",):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        other.execute("BEGIN EXCLUSIVE")
        status, body = wait_for_bad(own, "database")
        assert (status, body["status"]) == (503, "not ready")
        assert "answered" in body["checks"]["database"]["why"] or "locked" in body["checks"]["database"]["why"]
        started = time.monotonic()
        ask(own)
        assert time.monotonic() - started < 10
        other.execute("ROLLBACK")
    deadline = time.monotonic() + 60
    while ask(own)[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.full
def test_probes_are_few_and_a_run_under_way_is_not_stuck(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        start_long(http, fresh_spec(**LONG))
    with contextlib.closing(sqlite3.connect(own.data / NAME)) as other:
        ask(own)
        (first,) = other.execute("SELECT at FROM probes").fetchall()
        for _ in range(20):
            assert list_bad(ask(own)[1]) == []
        (last,) = other.execute("SELECT at FROM probes").fetchall()
    assert last[0] - first[0] == 0 or last[0] - first[0] >= 10


@pytest.mark.full
def test_a_probe_that_failed_in_an_unforeseen_way_is_made_again(launch: StartServer) -> None:
    own = launch("--workers", "1")
    with contextlib.closing(sqlite3.connect(own.data / NAME, isolation_level=None)) as other:
        other.execute("CREATE TRIGGER broken BEFORE INSERT ON probes BEGIN SELECT RAISE(ABORT, 'broken'); END")
        deadline = time.monotonic() + 60
        while httpx.get(f"{own.url}/readyz", timeout=30).status_code != 500:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        other.execute("DROP TRIGGER broken")
    assert ask(own)[0] == 200
