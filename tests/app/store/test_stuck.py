"""Runs that are said to be computed though no server does it."""

import time
from pathlib import Path

from sqlalchemy import insert

from mhc_scope.store.database import Database
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.probe import count_stuck
from mhc_scope.store.tables import runs
from tests.apart import run_loop
from tests.records import TRACE


def test_what_no_lease_holds_is_stuck_once_its_time_is_over(tmp_path: Path) -> None:
    """Five runs under way; a trace that grows from outside has no lease and needs none."""
    now = time.time()  # of a database that is not shared, this machine's
    leases = {"held": now + 60, "lapsed": now - 60, "bare": None, "fresh": None}
    common = {"kind": "run", "source": {"kind": "spec", "spec": {}}, "cost": {}, "created_at": 1.0, "used_at": 1.0}

    async def work() -> int:
        database = Database(f"sqlite:///{tmp_path / 'mhc-scope.db'}")
        await LiveTraceStore(database).open("fed", TRACE, "secret")
        rows = [
            {"id": name, "status": "running", "started_at": now - 20 if name == "fresh" else 1.0, "leased_until": until}
            for name, until in leases.items()
        ]
        await database.call(lambda c: c.execute(insert(runs), [row | common for row in rows]))
        found = await count_stuck(database, lapsed_s=30.0, begun_s=40.0)
        await database.close()
        return found

    assert run_loop(work()) == 2, "lapsed and bare"
