"""A worker uses the memory that it has freed, without a page fault for each page."""

import ctypes
import subprocess
import sys

import pytest

from mhc_scope.engine.heap import KEPT_BYTES
from tests.conftest import ROOT

BLOCK_BYTES, BLOCKS = 8 * 2**20, 8
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

# The second round can need one block more than the first left free.
first, _, again = count_faults(), count_faults(), count_faults()
print(first, again)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library has no mallopt")
def test_freed_memory_is_used_again_without_faults() -> None:
    def count(*arguments: str) -> tuple[int, int]:
        command = [sys.executable, "-c", FAULTS, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        first, again = map(int, done.stdout.split())
        return first, again

    assert BLOCKS * BLOCK_BYTES < KEPT_BYTES
    kept, returned = count("kept"), count()
    assert kept[1] < kept[0] / 20  # without the call each block is fetched from the system a second time
    assert returned[1] > 10 * kept[1]
