"""Views whose time is over go, and let go of the runs that no other view holds."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select

from mhc_scope.store import expiry
from mhc_scope.store.database import Database
from mhc_scope.store.expiry import drop_expired
from mhc_scope.store.snapshots import Owner, SnapshotStore
from mhc_scope.store.tables import runs
from tests.app.store.filled import add_run, do, to_url

NOW = time.time()
OVER, LATER = Owner(expires_at=NOW - 1), Owner(expires_at=NOW + 1000)


def build_sweep(**states: str) -> dict[str, object]:
    return {"id": "s", "spec": {}, "x": {}, "y": None, "ids": [], "states": states, "reasons": {}}


async def list_pinned(database: Database) -> list[str]:
    query = select(runs.c.id).where(runs.c.pinned).order_by(runs.c.id)
    return await database.call(lambda connection: list(connection.execute(query).scalars()))


def test_runs_stay_pinned_while_another_view_holds_them(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        for name in ("alone", "both", "forever", "cell", "shared-cell"):
            await add_run(database, name)
        views = SnapshotStore(database)
        sweep = build_sweep(cell="done", **{"shared-cell": "done", "lost": "missing"})
        gone, _ = await views.put(["alone", "both", "forever"], "v=1", "gone", sweep=sweep, owner=OVER)
        await views.put(["both"], "v=1", "later", owner=LATER)
        other = build_sweep(**{"shared-cell": "done"})
        kept, _ = await views.put(["forever"], "v=1", "for good", sweep=other)
        assert len(await list_pinned(database)) == 5
        assert await drop_expired(database, NOW) == 1
        assert await list_pinned(database) == ["both", "forever", "shared-cell"]
        assert await views.get(gone.id) is None
        assert await views.get(kept.id) is not None
        assert await drop_expired(database, NOW + 2000) == 1
        assert await list_pinned(database) == ["forever", "shared-cell"]
        assert await drop_expired(database, NOW + 10**9) == 0, "a view without an end is kept"

    do(to_url(tmp_path / "mhc-scope.db"), work)


@pytest.mark.full
def test_many_go_in_steps(tmp_path: Path) -> None:
    count = 2 * expiry.EXPIRED_BATCH_SIZE + 10

    async def work(database: Database) -> None:
        await add_run(database, "r")
        views = SnapshotStore(database)
        for index in range(count):
            await views.put(["r"], "v=1", f"view {index}", owner=OVER)
        assert await drop_expired(database, NOW) == count
        assert await list_pinned(database) == []

    do(to_url(tmp_path / "mhc-scope.db"), work)


def test_a_view_that_came_or_was_renewed_since_the_look_holds_its_runs(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        for name in ("a", "b", "c"):
            await add_run(database, name)
        views = SnapshotStore(database)
        first, _ = await views.put(["a", "b"], "v=1", "first", owner=OVER)
        second, _ = await views.put(["c"], "v=1", "second", owner=OVER)
        await views.put(["a"], "v=1", "new", owner=LATER)
        await views.renew(second, NOW + 10**6)
        ids = [first.id, second.id]
        assert await database.call(lambda c: expiry._drop_expired(NOW, ids, {"a", "b", "c"}, c)) == 1
        assert await list_pinned(database) == ["a", "c"]

    do(to_url(tmp_path / "mhc-scope.db"), work)
