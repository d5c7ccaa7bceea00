"""Limit the memory of a process with many connections: garbage collections, and memory returned to the system."""

import ctypes
import gc

# The youngest objects are collected as often as by default. All of them rarely: with 800 event streams open a full
# collection takes 0.1 s, which blocks every request.
THRESHOLDS = (700, 10, 100)
# Of glibc's <malloc.h>: the maximum number of heaps.
M_ARENA_MAX = -8
# Fewer connections than these leave no significant memory behind.
MIN_PEAK = 64


def use_one_heap() -> None:
    """Make all threads of this process allocate from one heap, before any thread exists.

    glibc gives each thread its own heap, with free memory that only that thread can reuse: 15 MB after 800 connections.
    Python runs one thread at a time, so threads do not need them. Other C libraries have no such call.
    """
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(M_ARENA_MAX, 1)


def freeze_permanent_objects() -> None:
    """Exclude all existing objects from later garbage collections.

    These are 300 000 objects of modules and schemas: a collection that visits them blocked every request for 0.25 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def release_memory() -> None:
    """Give freed memory of this process back to the system.

    glibc keeps memory that is free below the highest used piece: after 800 connections, as much again as is in use.
    Other C libraries have no such call.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class ConnectionPeak:
    """Detect that many connections have closed."""

    def __init__(self) -> None:
        self._most = 0

    def has_halved(self, count: int) -> bool:
        """Return whether half of the maximum number of connections have closed; if so, restart the maximum."""
        self._most = max(self._most, count)
        if self._most < MIN_PEAK or count > self._most / 2:
            return False
        self._most = count
        return True
