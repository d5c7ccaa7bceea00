"""A worker uses the memory that it has freed, without a page fault for each page."""

import ctypes
import subprocess
import sys

import pytest

from mhc_scope.engine.heap import KEPT_BYTES
from tests.conftest import ROOT

pytestmark = pytest.mark.full

BLOCK_BYTES, BLOCKS, ROUNDS = 8 * 2**20, 8, 20
FAULTS = f"""
import resource, sys
import torch
from mhc_scope.engine.heap import keep_freed_memory

if sys.argv[1:]:
    keep_freed_memory()

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros({BLOCK_BYTES}, dtype=torch.uint8) for _ in range({BLOCKS})]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = count_faults()
print(first, sum(count_faults() for _ in range({ROUNDS})))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_freed_memory_is_used_again_without_faults() -> None:
    def count(*arguments: str) -> tuple[int, int]:
        command = [sys.executable, "-c", FAULTS, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        first, later = map(int, done.stdout.split())
        return first, later

    assert 2 * BLOCKS * BLOCK_BYTES <= KEPT_BYTES
    (first, kept), (_, returned) = count("kept"), count()
    # A small tensor can take a piece of a freed block, so the heap may grow by as many blocks again before all fit.
    assert kept < 2 * first
    assert returned > ROUNDS / 2 * first  # without the call each block is fetched from the system in each round
