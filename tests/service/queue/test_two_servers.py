"""Two real server processes, with real workers, on one PostgreSQL: what one began the other ends and finishes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.api.test_sweeps import SLOW
from tests.app.engine.test_crash import FreshSpec, lose_servers, read_lines
from tests.conftest import Server, StartServer, start_server, wait_for_end
from tests.service.postgresql import PostgreSQL

pytestmark = pytest.mark.full
SWEEP = "/runs/sweep"


@pytest.fixture
def pair(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers on one database."""
    database = ("--database-url", postgresql.create_database())
    flags = ("--service", "--no-precompute", "--workers", "1", "--lease-s", "5", *database)
    a, b = start_server(tmp_path / "a", *flags), start_server(tmp_path / "b", *flags)
    yield a, b
    a.kill()
    b.kill()


def start_sweep(server: Server, seed: int) -> dict[str, Any]:
    """Eight cells that take a while."""
    x = {"field": "connection.noise", "values": [0.1 * step for step in range(1, 9)]}
    spec = SLOW | {"seed": seed, "connection": {"kind": "mhc"}}
    answer = httpx.post(f"{server.api}{SWEEP}", json={"spec": spec, "x": x}, timeout=60)
    assert answer.status_code == 202
    body: dict[str, Any] = answer.json()
    return body


def wait_for_counts(server: Server, sweep_id: str, holds: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """How many cells are in which state, once something holds of it."""
    until = time.monotonic() + 120
    with httpx.Client(base_url=server.api, timeout=60) as http:
        while not holds(counts := http.get(f"{SWEEP}/{sweep_id}").json()["counts"]):
            assert time.monotonic() < until, counts
            time.sleep(0.1)
    found: dict[str, int] = counts
    return found


def test_a_sweep_is_seen_and_ended_from_the_other_server(pair: tuple[Server, Server]) -> None:
    a, b = pair
    sweep = start_sweep(a, 11)
    wait_for_counts(b, sweep["id"], lambda counts: bool(counts.get("done")))
    ended = httpx.delete(f"{b.api}{SWEEP}/{sweep['id']}", timeout=60).json()
    assert not ended["is_open"]
    assert ended["counts"].keys() == {"done", "cancelled"}
    assert httpx.get(f"{a.api}{SWEEP}/{sweep['id']}").json()["counts"] == ended["counts"]
    time.sleep(2)  # time in which a server that still fed it would have begun another cell
    assert httpx.get(f"{a.api}{SWEEP}/{sweep['id']}").json()["counts"] == ended["counts"]


def test_a_sweep_of_a_server_that_is_killed_goes_on_at_the_other(pair: tuple[Server, Server]) -> None:
    a, b = pair
    sweep = start_sweep(a, 12)
    wait_for_counts(b, sweep["id"], lambda counts: bool(counts.get("done")))
    a.kill()
    assert wait_for_counts(b, sweep["id"], lambda counts: not {"held", "queued", "running"} & counts.keys()) == {
        "done": 8
    }
    assert f"continuing sweep {sweep['id']}" in b.log.read_text()


def test_a_run_of_a_server_that_is_killed_is_finished_by_the_other(pair: tuple[Server, Server]) -> None:
    a, b = pair
    run_id = httpx.post(f"{a.api}/runs", json={"depth": 128, "width": 32, "seed": 7}, timeout=60).json()["id"]
    with httpx.Client(base_url=b.api, timeout=120) as http:
        while http.get(f"/runs/{run_id}").json()["frames"] < 4:
            time.sleep(0.05)
        a.kill()
        assert wait_for_end(http, run_id)["status"] == "done"
        assert all(f'"index":{index},' in line for index, line in enumerate(read_lines(http, run_id)))
    assert f"run {run_id} was running, and no server computed it" in b.log.read_text()


def test_a_run_outlives_its_server_again_and_again(
    launch: StartServer, postgresql: PostgreSQL, fresh_spec: FreshSpec
) -> None:
    flags = ("--workers", "1", "--database-url", postgresql.create_database(), "--lease-s", "2")
    lose_servers(launch, fresh_spec, *flags)
