"""Memory of a process that serves many at once: what is looked at again and again, and what the system gets back."""

import ctypes
import gc

# The youngest objects are looked at as often as ever. All of them seldom: with 800 streams open it takes 0.1 s,
# in which no one is served.
THRESHOLDS = (700, 10, 100)
# Of glibc's <malloc.h>: how many heaps there may be.
M_ARENA_MAX = -8
# Fewer connections than these leave nothing behind that matters.
CROWD = 64


def share_one_heap() -> None:
    """Let all threads use one heap, before there are any.

    glibc gives threads heaps of their own, each with room that only it can use again: 15 MB after 800 connections.
    Python lets one thread work at a time, so that they need none. Other libraries of C have no such call.
    """
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(M_ARENA_MAX, 1)


def spare_known_objects() -> None:
    """Take what is there for good out of later garbage collections.

    They are 300 000 objects of modules and schemas: to look at them held everyone up for a quarter of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def give_back() -> None:
    """Give freed memory back to the system.

    glibc keeps what is free below the highest piece in use: after 800 connections at once as much again as is in
    use. Other libraries of C have no such call.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Crowd:
    """Notices that many connections have gone."""

    def __init__(self) -> None:
        self._most = 0

    def has_left(self, count: int) -> bool:
        """Whether half of the most connections that there were have gone; those that are left count anew."""
        self._most = max(self._most, count)
        if self._most < CROWD or count > self._most / 2:
            return False
        self._most = count
        return True
