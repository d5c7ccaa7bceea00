"""When nothing more is stored, and what then goes before its time."""

import asyncio
import time
from pathlib import Path

import pytest

from mhc_scope import limits
from mhc_scope.services.errors import StorageFullError
from mhc_scope.services.housekeeping import Housekeeping
from mhc_scope.services.storage import Storage, count_excess, explain_full
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.runs import RunStore
from mhc_scope.store.space import Space
from tests.app.store.filled import add_run, do, to_url

SMALL = Settings(max_store_bytes=1000)
FREE_BYTES = 100


@pytest.fixture(autouse=True)
def _small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MIN_FREE_BYTES", FREE_BYTES)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Space(999, 100), None),
        (Space(1000, 100), "the database holds 0.001 MB; 0.001 MB are allowed"),
        (Space(999, 99), "free on the disk"),
        (Space(999, None), None),
        (Space(1000, None), "the database holds"),
    ],
)
def test_a_store_is_full_at_its_cap_or_where_the_disk_nearly_is(space: Space, said: str | None) -> None:
    why = explain_full(space, SMALL)
    assert why is None if said is None else why is not None and said in why


def test_what_has_to_go_brings_it_below_the_share() -> None:
    assert count_excess(Space(950, 10**9), SMALL, 0.9) == 50
    assert count_excess(Space(900, 10**9), SMALL, 0.9) == 0
    assert count_excess(Space(10, 100), SMALL, 0.5) == 100
    assert count_excess(Space(10, None), SMALL, 0.9) == 0


def open_storage(database: Database, path: Path, **sizes: int) -> tuple[Storage, Settings]:
    settings = Settings(data=path.parent, **sizes)  # type: ignore[arg-type]
    return Storage(settings, database), settings


def test_a_full_store_refuses_until_old_runs_have_gone(tmp_path: Path) -> None:
    path = tmp_path / "mhc-scope.db"

    async def work(database: Database) -> None:
        for age in range(10):
            await add_run(database, f"r{age}", frames=50, age_days=age * 0.05)
        used = (await open_storage(database, path)[0].measure()).used_bytes
        storage, settings = open_storage(database, path, max_store_bytes=used)
        with pytest.raises(StorageFullError, match="are allowed"):
            await storage.require_space()
        assert storage.is_near_full.is_set()
        await Housekeeping(settings, database, storage).delete_old()
        await storage.require_space()
        left = [name for name in (f"r{age}" for age in range(10)) if await RunStore(database).get(name) is not None]
        assert 5 < len(left) < 10
        assert left == [f"r{age}" for age in range(len(left))], "those that were not used for longest have gone"
        assert (await storage.measure()).used_bytes <= 0.9 * used

    do(to_url(path), work)


def test_a_run_that_was_used_lately_is_spared_though_the_store_is_full(tmp_path: Path) -> None:
    path = tmp_path / "mhc-scope.db"

    async def work(database: Database) -> None:
        await add_run(database, "new", age_days=0.01)
        storage, settings = open_storage(database, path, max_store_bytes=1)
        await Housekeeping(settings, database, storage).delete_old()
        assert await RunStore(database).get("new") is not None
        with pytest.raises(StorageFullError):
            await storage.require_space()

    do(to_url(path), work)


def test_a_full_store_is_swept_before_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mhc_scope.services.housekeeping.MIN_PAUSE_S", 0.01)
    path = tmp_path / "mhc-scope.db"

    async def work(database: Database) -> None:
        await add_run(database, "old", frames=200, age_days=0.5)
        await add_run(database, "new", age_days=0.0)
        storage, settings = open_storage(database, path, max_store_bytes=100_000)
        assert limits.RETENTION_INTERVAL_S == 600
        housekeeping = Housekeeping(settings, database, storage)
        await housekeeping.start()
        with pytest.raises(StorageFullError):
            await storage.require_space()
        deadline = time.monotonic() + 30
        while await RunStore(database).get("old") is not None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        await housekeeping.stop()
        assert await RunStore(database).get("new") is not None

    do(to_url(path), work)
