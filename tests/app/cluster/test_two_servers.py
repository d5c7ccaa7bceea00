"""Two real server processes, with real workers, on one PostgreSQL: one is killed in the middle of a run."""

import time
from pathlib import Path

import httpx
import pytest

from tests.app.engine.test_crash import read_lines
from tests.app.store.postgresql import PostgreSQL
from tests.conftest import start_server, wait_for_end

pytestmark = pytest.mark.full


def test_a_run_of_a_server_that_is_killed_is_finished_by_the_other(postgresql: PostgreSQL, tmp_path: Path) -> None:
    flags = ("--no-precompute", "--workers", "1", "--database-url", postgresql.create_database(), "--lease-s", "5")
    a, b = start_server(tmp_path / "a", *flags), start_server(tmp_path / "b", *flags)
    try:
        run_id = httpx.post(f"{a.api}/runs", json={"depth": 128, "width": 32, "seed": 7}, timeout=60).json()["id"]
        with httpx.Client(base_url=b.api, timeout=120) as http:
            while http.get(f"/runs/{run_id}").json()["frames"] < 4:
                time.sleep(0.05)
            a.kill()
            assert wait_for_end(http, run_id)["status"] == "done"
            assert all(f'"index":{index},' in line for index, line in enumerate(read_lines(http, run_id)))
        assert f"run {run_id} was under way, and no server computed it" in b.log.read_text()
    finally:
        a.kill()
        b.kill()
