"""What one client may take beside others: seconds of the queue, streams, bytes that are read, bytes that are kept."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mhc_core.record.source import SpecSource
from mhc_scope import limits
from mhc_scope.services.errors import (
    QueueFullError,
    ServerStreamLimitError,
    TooManyRunsError,
    TooManyStreamsError,
    TooMuchReadError,
    TooMuchStoredError,
)
from mhc_scope.services.identity import SERVER, ClientIdentity, to_ip_key
from mhc_scope.services.policy import RUN_S, OpenPolicy
from mhc_scope.store.runs import LiveCost, NewJob, RunStore
from mhc_scope.store.snapshots import Owner, SnapshotStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_service.quotas import QuotaStreams, ReadQuota, StorageQuota, require_queue_quota
from mhc_service.settings import ServiceSettings
from mhc_service.stored_bytes import StoredBytes
from tests.apart import run_loop

CLASS, HOME = "192.0.2.7", "198.51.100.1"
QUEUE = ServiceSettings(client_queue_s=10, address_queue_s=40, queue_s=60, workers=2)


def require_capacity(
    client: ClientIdentity, new_s: list[float], live: list[LiveCost], settings: ServiceSettings = QUEUE
) -> None:
    """Refuse runs as a server does: by the quotas first, then by what it takes as a whole."""
    require_queue_quota(client, new_s, live, settings)
    OpenPolicy(settings).require_queue_capacity(client, new_s, live)


def student(number: int, address: str = CLASS) -> ClientIdentity:
    """One of many with a cookie of their own."""
    return ClientIdentity(f"cookie:{number}", address)


def live(client: ClientIdentity, *seconds: float) -> list[LiveCost]:
    """Runs under way."""
    return [LiveCost(client.key, client.address, value) for value in seconds]


def test_a_quota_is_in_seconds_and_not_in_runs() -> None:
    ann = student(1)
    require_capacity(ann, [0.2] * 20, live(ann, *[0.2] * 25), QUEUE)
    with pytest.raises(TooManyRunsError, match=r"About 8[.0]* s of work is queued or running for this client; 10 s is"):
        require_capacity(ann, [6], live(ann, 8), QUEUE)


def test_when_to_come_again_is_told_by_what_is_too_much() -> None:
    ann = student(1)
    with pytest.raises(TooManyRunsError) as caught:
        require_capacity(ann, [6], live(ann, 8), QUEUE)
    assert caught.value.retry_after_s == 2  # 4 s too much, two workers
    with pytest.raises(TooManyRunsError) as caught:
        require_capacity(ann, [1000], live(ann, 8), QUEUE)
    assert caught.value.retry_after_s == 60


def test_one_request_fits_a_quota_of_which_nothing_is_taken() -> None:
    require_capacity(student(1), [50, 50], [], QUEUE)


def test_small_runs_are_not_free() -> None:
    ann, many = student(1), int(10 / RUN_S)
    require_capacity(ann, [1e-6], live(ann, *[1e-6] * (many - 1)), QUEUE)
    with pytest.raises(TooManyRunsError):
        require_capacity(ann, [1e-6], live(ann, *[1e-6] * (many + 1)), QUEUE)


def test_new_cookies_do_not_make_an_address_larger() -> None:
    """Every request comes with another cookie, as of someone who throws them away."""
    waiting: list[LiveCost] = []
    for number in range(8):
        require_capacity(student(number), [5], waiting, QUEUE)
        waiting += live(student(number), 5)
    with pytest.raises(TooManyRunsError, match="all clients of this address"):
        require_capacity(student(9), [5], waiting, QUEUE)
    # There is room for someone elsewhere.
    require_capacity(student(0, HOME), [5], waiting, QUEUE)


def test_a_class_behind_one_address_fits_the_default_quotas() -> None:
    """300 students drag, and each has a comparison of three runs of half a second under way; 61 do so from home."""
    settings, waiting = ServiceSettings(workers=2), list[LiveCost]()
    for number in range(300):
        require_capacity(student(number), [0.5] * 3, waiting, settings)
        waiting += live(student(number), *[0.5] * 3)
    for number in range(61):
        require_capacity(student(number, f"203.0.113.{number}"), [0.5] * 3, waiting, settings)
    streams = QuotaStreams(settings)
    with ExitStack() as open_streams:
        for number in range(300):
            open_streams.enter_context(streams.take(student(number)))


def test_scripts_of_an_address_are_one_client_with_half_of_its_quota() -> None:
    script = ClientIdentity(to_ip_key(CLASS), CLASS)
    require_capacity(script, [5], live(script, *[5] * 3), QUEUE)
    with pytest.raises(TooManyRunsError, match="for this client; 20 s"):
        require_capacity(script, [5], live(script, *[5] * 4), QUEUE)
    require_capacity(student(1), [5], live(script, *[5] * 4), QUEUE)


def test_a_full_server_says_so_in_other_words() -> None:
    waiting = [item for number in range(12) for item in live(student(number, f"203.0.113.{number}"), 5)]
    with pytest.raises(QueueFullError, match="all clients together"):
        require_capacity(student(1, HOME), [5], waiting, QUEUE)
    # The server's own runs are no client's.
    require_capacity(ClientIdentity("", "203.0.113.1"), [5], live(SERVER, 30), QUEUE)


def test_the_length_of_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUEUE_SIZE", 3)
    settings = ServiceSettings(workers=1)
    waiting = [item for number in range(3) for item in live(student(number, f"203.0.113.{number}"), 0.1)]
    require_capacity(student(9, HOME), [0.1], waiting, settings)
    with pytest.raises(QueueFullError, match="2 of 3 runs are waiting"):
        require_capacity(student(9, HOME), [0.1, 0.1], waiting, settings)


def test_streams_are_counted_as_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS", 4)
    quota = QuotaStreams(ServiceSettings(client_streams=2, address_streams=3))
    ann, ben = student(1), student(2)
    with ExitStack() as kept:
        with ExitStack() as ended:
            for _ in range(2):
                ended.enter_context(quota.take(ann))
            with pytest.raises(TooManyStreamsError, match="2 event streams are open for this client"):
                ended.enter_context(quota.take(ann))
            kept.enter_context(quota.take(ben))
            with pytest.raises(TooManyStreamsError, match="all clients of this address"):
                kept.enter_context(quota.take(ben))
            kept.enter_context(quota.take(student(3, HOME)))
            with pytest.raises(ServerStreamLimitError):
                kept.enter_context(quota.take(student(3, HOME)))
        assert quota.open == 2
        for client in (ann, ben):
            kept.enter_context(quota.take(client))
        with pytest.raises(ServerStreamLimitError):
            kept.enter_context(quota.take(student(4, HOME)))


def test_nothing_is_kept_of_clients_that_have_gone() -> None:
    quota = QuotaStreams(ServiceSettings())
    for number in range(50):
        with quota.take(student(number)):
            pass
    assert (quota.open, len(quota._open)) == (0, 0)


def test_large_results_are_given_out_at_a_pace() -> None:
    quota = ReadQuota(ServiceSettings(client_read_bytes=200_000_000, address_read_bytes=300_000_000))
    ann = student(1)
    for _ in range(11):
        quota.charge(ann, 18_000_000)
    with pytest.raises(TooMuchReadError, match=r"200 MB .* this client"):
        quota.charge(ann, 18_000_000)
    for _ in range(5):
        quota.charge(student(2), 18_000_000)
    with pytest.raises(TooMuchReadError, match="all clients of this address"):
        quota.charge(student(3), 18_000_000)
    quota.charge(student(3, HOME), 18_000_000)


def test_what_is_larger_than_a_quota_can_be_read_alone() -> None:
    quota = ReadQuota(ServiceSettings(client_read_bytes=1_000_000))
    quota.charge(student(1), 50_000_000)
    with pytest.raises(TooMuchReadError):
        quota.charge(student(1), 1)


def test_what_is_kept_counts_whoever_asks_with_which_cookie(tmp_path: Path) -> None:
    async def check() -> None:
        database = SqliteDatabase(f"sqlite:///{tmp_path / 'mhc-scope.db'}")
        runs, views = RunStore(database), SnapshotStore(database)
        quota = StorageQuota(ServiceSettings(max_client_bytes=20_000, max_address_bytes=60_000), StoredBytes(database))
        ann = student(1)
        job = NewJob("run", SpecSource(spec={}), {"seconds": 1.0}, None, ann.key, ann.address)
        await runs.put_queued({"r": job})
        assert await runs.list_live_costs() == [LiveCost(ann.key, ann.address, 1.0)]
        await views.put(["r"], "s" * 15_000, "t", owner=Owner(ann.key, ann.address))
        await quota.require_capacity(ann)
        await views.put(["r"], "s" * 15_001, "t", owner=Owner(ann.key, ann.address))
        with pytest.raises(TooMuchStoredError, match="for this client"):
            await quota.require_capacity(ann)
        for number in range(2, 4):
            client = student(number)
            await quota.require_capacity(client)
            await views.put(["r"], "s" * 15_000, f"t{number}", owner=Owner(client.key, client.address))
        with pytest.raises(TooMuchStoredError, match="for all clients of this address"):
            await quota.require_capacity(student(9))
        await quota.require_capacity(student(9, HOME))
        await database.close()

    run_loop(check())


def test_a_charge_takes_no_time_to_speak_of() -> None:
    quota = ReadQuota(ServiceSettings(address_read_bytes=2**40))
    started = time.perf_counter()
    for number in range(2000):
        quota.charge(student(number), 1)
    assert (time.perf_counter() - started) / 2000 < 0.01


def test_addresses_with_many_streams_leave_some_to_those_with_few() -> None:
    quota = QuotaStreams(ServiceSettings())
    with ExitStack() as kept:
        for number in range(448):
            kept.enter_context(quota.take(student(number, f"203.0.113.{number // 200}")))
        with pytest.raises(
            ServerStreamLimitError, match="448 event streams are open; 448 are allowed to addresses with more"
        ):
            kept.enter_context(quota.take(student(449, "203.0.113.2")))
        for number in range(64):
            kept.enter_context(quota.take(student(number, f"198.51.100.{number}")))
        with pytest.raises(ServerStreamLimitError, match="512 event streams are open; 512 are allowed"):
            kept.enter_context(quota.take(student(1, "198.51.100.200")))
