"""Until when a view is kept: as long as the longest of those who store it wants, and each look at it renews that."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mhc_scope.store.snapshots import RENEW_EVERY_S, Owner, SnapshotStore, StoredSnapshot
from mhc_scope.store.sqlite_database import SqliteDatabase
from tests.apart import run_loop

NOW = 1_800_000_000.0
Act = Callable[[SnapshotStore, StoredSnapshot], Awaitable[object]]


def store_then(folder: Path, first: float | None, act: Act) -> StoredSnapshot:
    """The view as it is after something was done with it."""

    async def check() -> StoredSnapshot:
        database = SqliteDatabase(f"sqlite:///{folder / 'mhc-scope.db'}")
        views = SnapshotStore(database)
        stored, is_new = await views.put(["r"], "s", "t", owner=Owner("cookie:a", "192.0.2.7", "hash", first))
        assert is_new
        await act(views, stored)
        found = await views.get(stored.id)
        await database.close()
        assert found is not None
        return found

    return run_loop(check())


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (NOW, NOW + 2 * RENEW_EVERY_S, NOW + 2 * RENEW_EVERY_S),
        (NOW, NOW + RENEW_EVERY_S / 2, NOW),  # not worth a write
        (NOW, NOW - 2 * RENEW_EVERY_S, NOW),
        (NOW, None, None),
        (None, NOW, None),
        (None, None, None),
    ],
)
def test_a_view_is_kept_as_long_as_either_wants(
    tmp_path: Path, first: float | None, second: float | None, kept: float | None
) -> None:
    async def store_again(views: SnapshotStore, stored: StoredSnapshot) -> None:
        again, is_new = await views.put(["r"], "s", "t", owner=Owner("cookie:b", "198.51.100.1", "other", second))
        assert (again.id, is_new) == (stored.id, False)

    found = store_then(tmp_path, first, store_again)
    assert found.expires_at == kept
    assert (found.client, found.address, found.key_hash) == ("cookie:a", "192.0.2.7", "hash")


@pytest.mark.parametrize(
    ("first", "until", "kept"),
    [
        (NOW, NOW + 2 * RENEW_EVERY_S, NOW + 2 * RENEW_EVERY_S),
        (NOW, NOW + 1, NOW),
        (None, NOW, None),
    ],
)
def test_a_look_renews_a_view_once_a_day(tmp_path: Path, first: float | None, until: float, kept: float | None) -> None:
    found = store_then(tmp_path, first, lambda views, stored: views.renew(stored, until))
    assert found.expires_at == kept
