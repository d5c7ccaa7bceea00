"""The data folder that release 0.1.0 wrote opens: runs, frames, verification, snapshots and sweep, value by value."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mhc_core.spec import parse_spec
from tests.app.api.test_verify import count_jobs
from tests.conftest import Server, start_server
from tests.contract.values import compare, count_values

pytestmark = pytest.mark.full

DATA = Path(__file__).parent / "data"
KNOWN: dict[str, Any] = json.loads((DATA / "released.json").read_text())
NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this version on a copy of the old data."""
    folder = tmp_path_factory.mktemp("released")
    shutil.copy(DATA / "released.sqlite", folder / "mhc-scope.db")
    running = start_server(folder, "--no-precompute", "--workers", "1", "--keep-s", "1e12")
    yield running
    running.kill()


@pytest.mark.parametrize("path", KNOWN["answers"])
def test_answers_are_those_of_the_release(server: Server, path: str) -> None:
    before, now = KNOWN["answers"][path], httpx.get(server.url + path, timeout=60)
    assert now.status_code == 200, now.text
    if path.endswith("/verify"):  # what was recomputed then is still compared; laws and tolerances are this version's
        compared, compared_now = (
            {(check["metric"], check["verdict"]) for check in body["checks"] if check["law"] == "recomputation"}
            for body in (before, now.json())
        )
        assert compared == compared_now
        assert now.json()["verdict"] == "holds"
        return
    assert [str(found) for found in compare(before, now.json()) if found.kind == "different"] == []
    assert count_values(before) > 5


@pytest.mark.parametrize("name", KNOWN["runs"])
def test_frames_are_the_same_bytes(server: Server, name: str) -> None:
    run_id = KNOWN["runs"][name]
    with closing(sqlite3.connect(DATA / "released.sqlite")) as database:
        rows = database.execute("SELECT line FROM frames WHERE run_id = ? ORDER BY idx", (run_id,)).fetchall()
    stream = httpx.get(f"{server.api}/runs/{run_id}/events", headers=NDJSON)
    assert stream.content == b"".join(line for (line,) in rows)
    assert rows


def test_a_verification_is_found_and_not_computed_again(server: Server) -> None:
    before = count_jobs(server)
    path = f"/api/v1/runs/{KNOWN['runs']['hc']}/verify"
    answer = httpx.post(server.url + path, timeout=60)
    assert (answer.status_code, answer.json()) == (200, httpx.get(server.url + path).json())
    assert count_jobs(server) == before == 0


def test_specs_of_old_runs_are_computed_anew_under_ids_of_their_own(server: Server) -> None:
    """Numbers have moved since: the old id goes on to mean the old ones."""
    for name in ("hc", "trained"):
        run_id = KNOWN["runs"][name]
        before = httpx.get(f"{server.api}/runs/{run_id}").json()
        posted = httpx.post(f"{server.api}/runs", json=before["spec"])
        assert (posted.status_code, posted.json()["id"]) == (202, parse_spec(before["spec"]).id)
        assert posted.json()["id"] != run_id
        assert httpx.get(f"{server.api}/runs/{run_id}").json()["status"] == "done"


def test_a_run_that_failed_starts_again(server: Server) -> None:
    run_id = KNOWN["runs"]["failed"]
    spec = httpx.get(f"{server.api}/runs/{run_id}").json()["spec"]
    posted = httpx.post(f"{server.api}/runs", json=spec)
    assert (posted.status_code, posted.json()["id"]) == (202, parse_spec(spec).id)
    httpx.get(f"{server.api}/runs/{posted.json()['id']}/events", timeout=60)


@pytest.mark.parametrize("snapshot", KNOWN["snapshots"].values())
def test_pages_of_snapshots_open(server: Server, snapshot: str) -> None:
    for address in (f"/s/{snapshot}", f"/s/{snapshot}/picture.png", f"/embed/{snapshot}?panel=gain"):
        assert httpx.get(server.url + address, timeout=60).status_code == 200
