"""What a server does with its memory: it scans little of it again, and returns what many connections have left."""

import asyncio
import ctypes
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import cast

import pytest

from mhc_scope.edge.gate import Gate
from mhc_scope.edge.limits import ConnectionLimits
from mhc_scope.edge.memory import MIN_PEAK, ConnectionPeak
from mhc_scope.edge.protocol import EdgeProtocol
from tests.apart import run_loop
from tests.conftest import ROOT

pytestmark = pytest.mark.full

COLLECTED = """
import gc, time
import mhc_scope.main  # what a server has loaded
from mhc_scope.edge.memory import freeze_permanent_objects

def measure():
    gc.collect()
    begun = time.thread_time()
    gc.collect()
    return time.thread_time() - begun

before = measure()
freeze_permanent_objects()
print(before / measure())
"""
PIECES, PIECE_BYTES = 500, 100_000
TRIMMED = f"""
import os
from mhc_scope.edge.memory import release_memory
from benchmarks.scale import read_resident

before = read_resident(os.getpid())
pieces = [bytes([k % 256]) * ({PIECE_BYTES} if k % 2 else 2_000) for k in range(2 * {PIECES})]
del pieces[1::2]
kept = read_resident(os.getpid()) - before
release_memory()
print(kept, read_resident(os.getpid()) - before)
"""
HEAPS = """
import ctypes, sys, threading
from mhc_scope.edge.memory import use_one_heap

if sys.argv[1:]:
    use_one_heap()
kept, all_there = [], threading.Barrier(6)

def keep():
    kept.append([bytes(2000) for _ in range(100)])
    all_there.wait()

for _ in range(5):
    threading.Thread(target=keep).start()
all_there.wait()
ctypes.CDLL(None).malloc_stats()
"""


@dataclass(eq=False)
class Guest:
    """What a gate asks of a connection."""

    address: str
    block: str | None = None
    is_sending: bool = False

    def keep_time(self, now: float) -> None:
        """It has all the time."""


def test_what_is_there_for_good_is_not_looked_at_again() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 5


def test_half_of_a_crowd_has_to_leave() -> None:
    peak = ConnectionPeak()
    counts = [MIN_PEAK * 2, MIN_PEAK + 1, MIN_PEAK, MIN_PEAK, MIN_PEAK // 2 + 1, MIN_PEAK // 2, 0, MIN_PEAK - 1, 0]
    halved = [False, False, True, False, False, True, False, False, False]
    assert [peak.has_halved(count) for count in counts] == halved


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library has no malloc_trim")
def test_what_was_freed_between_things_in_use_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", TRIMMED], cwd=ROOT, capture_output=True, text=True, check=True)
    kept, left = map(int, done.stdout.split())
    assert kept > PIECES * PIECE_BYTES / 2
    assert left < kept / 4


def test_a_gate_notices_that_a_crowd_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Event()
    monkeypatch.setattr("mhc_scope.edge.gate.SETTLE_S", 0.0)
    monkeypatch.setattr("mhc_scope.edge.gate.release_memory", given.set)
    monkeypatch.setattr("mhc_scope.limits.HEADER_S", 0.04)

    async def work() -> bool:
        gate = Gate(None, ConnectionLimits(10**6, 10**6, 10), "", "")
        gate.start(asyncio.get_running_loop())
        guests = [cast(EdgeProtocol, Guest(f"10.0.0.{k}")) for k in range(MIN_PEAK)]
        for guest in guests:
            gate.admit(guest, 0.0)
        await asyncio.sleep(0.2)
        is_early = given.is_set()
        for guest in guests:
            gate.forget(guest)
        is_noticed = await asyncio.to_thread(given.wait, 10)
        gate.stop()
        return is_noticed and not is_early

    assert run_loop(work())


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="not glibc")
def test_threads_share_one_heap() -> None:
    def count(*arguments: str) -> int:
        command = [sys.executable, "-c", HEAPS, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr.count("Arena ")

    assert count("shared") == 1 < count()
