"""Limit the memory of a process with many connections, by garbage collection and by returning memory to the system."""

import ctypes
import gc

# Collections of the youngest objects are as frequent as by default. Full collections are rare, because with 800 open
# event streams one takes 0.1 s, which blocks every request.
THRESHOLDS = (700, 10, 100)
# Option in glibc's <malloc.h>: the maximum number of heaps.
M_ARENA_MAX = -8
# Fewer connections than this do not leave significant free memory.
MIN_PEAK = 64


def use_one_heap() -> None:
    """Make all threads of this process allocate from one heap. Call this before any thread exists.

    By default, glibc gives each thread its own heap, whose free memory only that thread can reuse: 15 MB after 800
    connections. Python runs one thread at a time and does not need this. Other C libraries have no such option.
    """
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(M_ARENA_MAX, 1)


def freeze_permanent_objects() -> None:
    """Exclude all existing objects from later garbage collections.

    They are 300 000 objects of modules and schemas. A collection that visits them would block every request for 0.25 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def release_memory() -> None:
    """Return freed memory of this process to the system.

    By default, glibc keeps free memory below the highest used address: after 800 connections as much as is in use.
    Other C libraries have no such function.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class ConnectionPeak:
    """Detects that many connections have closed, to return their memory."""

    def __init__(self) -> None:
        self._most = 0

    def has_halved(self, count: int) -> bool:
        """Return whether half of the maximum number of connections have closed. If so, reset the maximum."""
        self._most = max(self._most, count)
        if self._most < MIN_PEAK or count > self._most / 2:
            return False
        self._most = count
        return True
