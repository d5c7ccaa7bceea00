"""What befalls a server's database, disk, network and clock under load: what is said, and what is there afterwards."""

import argparse
import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from benchmarks.rows import Row
from tests.endurance.site.clocks import Clock, DatabaseClock, find_library
from tests.endurance.site.kinds import Place, open_database, open_postgresql, open_sqlite
from tests.endurance.site.ledger import Ledger, find_damage, find_live
from tests.endurance.site.load import under_load
from tests.endurance.site.probes import Heard, probing
from tests.endurance.site.relay import Relay
from tests.endurance.site.servers import mark, wait_until_gone

CLIENTS, WORK_S, RECOVER_S = 2, 60.0, 120.0
DISK_BYTES = 60_000_000
HOUR_S = 3600
# A server is to answer within this, whatever has befallen it.
LONGEST_S = 30.0


@dataclass(frozen=True)
class Scene:
    """A site, and what is done to it: `harm` breaks something for so many seconds.

    Attributes
    ----------
    is_told: whether `/readyz` has to say what is wrong meanwhile.
    """

    place: Place
    harm: Callable[[float], None]
    is_told: bool = True


def run(arguments: Sequence[str]) -> list[Row]:
    """Each fault once."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance faults", description=__doc__)
    parser.add_argument("--only", choices=FAULTS, nargs="+", default=list(FAULTS))
    parser.add_argument("--disk-s", type=float, default=15, help="how long the disk is full")
    parser.add_argument("--lock-s", type=float, default=20, help="how long the database is locked")
    parser.add_argument("--folder-s", type=float, default=5, help="rest after the data folder is deleted")
    parser.add_argument("--cut-s", type=float, default=30, help="how long the network is cut")
    parser.add_argument("--clock-s", type=float, default=15, help="how long each jump of an hour lasts")
    parser.add_argument("--forked", action="store_true", help="fork servers from one that has imported all: quicker")
    given = parser.parse_args(arguments)
    return [row for name in given.only for row in try_fault(name, given)]


def try_fault(name: str, given: argparse.Namespace) -> list[Row]:
    """One fault under load, and what is left."""
    stage, option = FAULTS[name]
    marked, ledger = mark(), Ledger()
    with tempfile.TemporaryDirectory(prefix="mhc-faults-") as folder, stage(Path(folder), given.forked) as scene:
        site, url = scene.place.site, scene.place.database_url
        with under_load(site.urls, CLIENTS, ledger), probing(site.urls[0], ledger) as heard:
            wait_for_runs(ledger, 2)
            scene.harm(getattr(given, option))
            mended = time.monotonic()
            wait_for_post(heard, mended)
            wait_for_runs(ledger, len(ledger.told) + 2)
        lost = ledger.find_lost(site.urls)
        live = find_live(url)
        site.stop()
        damage, crashes = find_damage(url), site.list_crashes()
    left = wait_until_gone(marked)
    found = {"lost": lost, "wrong": ledger.wrong, "live": live, "damage": damage, "left": [*left.values()]}
    for kind, sentences in (found | {"crash": crashes}).items():
        for sentence in sentences:
            print(f"{name}: {kind}: {sentence}", flush=True)
    return to_rows(name, scene, ledger, heard, mended, found, crashes)


def to_rows(
    name: str,
    scene: Scene,
    ledger: Ledger,
    heard: Heard,
    mended: float,
    found: dict[str, list[str]],
    crashes: list[str],
) -> list[Row]:
    """What was said meanwhile, and what is left."""
    refused = ", ".join(f"{kind} x {count}" for kind, count in ledger.refused.items()) or "none was refused"
    said = "; ".join(f"{' '.join(what.split())} x {count}" for what, count in heard.unready.items()) or "nothing"
    back = min((at for at in heard.posted_at if at > mended), default=None)
    ends = ", ".join(f"{count} {status}" for status, count in sorted(ledger.ends.items()))
    failed = "; ".join(f"{count} failed: {why}" for why, count in ledger.reasons.items())
    return [
        Row(f"{name}: `/readyz` tells what is wrong", said, len(heard.unready), "", 1 if scene.is_told else None, True),
        Row(f"{name}: answers without a clear problem", refused, len(found["wrong"]), "", 0),
        Row(f"{name}: longest answer", "POST /runs, GET /readyz", max(heard.longest_s.values()), "s", LONGEST_S),
        Row(f"{name}: from the end of it to the next run taken", "POST /runs", back and back - mended, "s", LONGEST_S),
        Row(f"{name}: finished runs lost or changed", f"{ends} {failed}".strip(), len(found["lost"]), "", 0),
        Row(f"{name}: runs stuck", "the database", len(found["live"]), "", 0),
        Row(f"{name}: findings of mhc-scope check", "the database", len(found["damage"]), "", 0),
        Row(f"{name}: tracebacks in logs", "all servers", len(crashes), "", 0),
        Row(f"{name}: processes left", "by a mark they inherit", len(found["left"]), "", 0),
    ]


def wait_for_runs(ledger: Ledger, count: int) -> None:
    """Until so many runs have ended, or for a while."""
    deadline = time.monotonic() + WORK_S
    while len(ledger.told) < count and time.monotonic() < deadline:
        time.sleep(0.05)


def wait_for_post(heard: Heard, since: float) -> None:
    """Until a run is taken, or for a while."""
    deadline = time.monotonic() + RECOVER_S
    while not any(at > since for at in heard.posted_at) and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def full_disk(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """Another program takes all room on the disk."""
    disk = folder / "data-0"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", disk], check=True)
    try:
        with open_sqlite(folder, "MIN_FREE_BYTES=1", is_forked=is_forked) as place:
            yield Scene(place, lambda seconds: _fill_disk(disk / "ballast", seconds))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _fill_disk(ballast: Path, seconds: float) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:  # others write too
            file.write(bytes(4096))
    time.sleep(seconds)
    ballast.unlink()


@contextmanager
def locked_database(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """Another process holds SQLite's lock."""
    with open_sqlite(folder, is_forked=is_forked) as place:
        yield Scene(place, lambda seconds: _lock(folder / "data-0" / "mhc-scope.db", seconds))


def _lock(path: Path, seconds: float) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        other.execute("ROLLBACK")


@contextmanager
def deleted_folder(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """Someone deletes the data folder; the server still has the file open."""
    with open_sqlite(folder, is_forked=is_forked) as place:
        yield Scene(place, lambda seconds: _delete(folder / "data-0", seconds), is_told=False)


def _delete(data: Path, seconds: float) -> None:
    shutil.rmtree(data)
    time.sleep(seconds)


@contextmanager
def silent_network(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """Nothing passes between two servers and PostgreSQL, and no connection ends."""
    with _relayed(folder, is_forked) as (place, relay):
        yield Scene(place, lambda seconds: _cut(relay, relay.stall, seconds))


@contextmanager
def reset_network(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """All connections between two servers and PostgreSQL are reset, and so are new ones."""
    with _relayed(folder, is_forked) as (place, relay):
        yield Scene(place, lambda seconds: _cut(relay, relay.refuse, seconds))


@contextmanager
def _relayed(folder: Path, is_forked: bool) -> Iterator[tuple[Place, Relay]]:
    with ExitStack() as stack:
        url = stack.enter_context(open_database()).create_database()
        relay = Relay(make_url(url).port or 0)
        stack.callback(relay.close)
        yield stack.enter_context(open_postgresql(folder, url, port=relay.port, is_forked=is_forked)), relay


def _cut(relay: Relay, cut: Callable[[], None], seconds: float) -> None:
    cut()
    time.sleep(seconds)
    relay.mend()


@contextmanager
def clock_of_server(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """The clock of a server on SQLite goes an hour ahead, then an hour back, then right. It is never forked."""
    _require_clock()
    clock = Clock(folder)
    with open_sqlite(folder, environment=clock.environment) as place:
        yield Scene(place, lambda seconds: _jump(clock, seconds), is_told=False)


@contextmanager
def clock_of_database(folder: Path, is_forked: bool) -> Iterator[Scene]:
    """The clock of PostgreSQL's machine does so, while two servers use it."""
    with open_database() as postgresql:
        url = postgresql.create_database()
        clock = DatabaseClock(url)
        with open_postgresql(folder, url, is_forked=is_forked) as place:
            yield Scene(place, lambda seconds: _jump(clock, seconds), is_told=False)


def _jump(clock: Clock | DatabaseClock, seconds: float) -> None:
    for ahead_s in (HOUR_S, -HOUR_S, 0):
        clock.set(ahead_s)
        time.sleep(seconds)


def _require_clock() -> None:
    if find_library() is None:
        raise SystemExit("a clock that can be set is missing: apt-get install faketime")


FAULTS: dict[str, tuple[Callable[[Path, bool], AbstractContextManager[Scene]], str]] = {
    "full disk": (full_disk, "disk_s"),
    "locked database": (locked_database, "lock_s"),
    "deleted data folder": (deleted_folder, "folder_s"),
    "silent network": (silent_network, "cut_s"),
    "reset network": (reset_network, "cut_s"),
    "clock of the server": (clock_of_server, "clock_s"),
    "clock of the database": (clock_of_database, "clock_s"),
}
"""By name: what sets the scene, and the option that says how long it lasts."""
ON_POSTGRESQL = ("silent network", "reset network", "clock of the database")
