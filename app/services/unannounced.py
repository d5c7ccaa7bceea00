"""Runs that were queued for callers who have not been told so yet.

A caller that follows its runs on the same connection learns their ids from it. Where the connection closes before that,
nobody would look at these runs, and nobody could cancel them.
"""

from collections.abc import Awaitable, Callable, Iterable


class CallerGone(Exception):
    """The caller closed its connection before anything was queued."""


class Caller:
    """Someone who asks for runs, and who is told on this connection; `is_gone` says whether it is closed."""

    def __init__(self, is_gone: Callable[[], Awaitable[bool]]) -> None:
        self.is_gone = is_gone


class Unannounced:
    """Runs that nobody was told of, each with the callers that wait to be told."""

    def __init__(self) -> None:
        self._callers: dict[str, set[Caller]] = {}

    def add(self, run_ids: Iterable[str], caller: Caller) -> None:
        """The caller waits to be told of runs that have just been queued for it."""
        self._callers |= {run_id: {caller} for run_id in run_ids}

    def join(self, run_ids: Iterable[str], caller: Caller) -> None:
        """The caller waits too, for those of the runs that nobody was told of."""
        for run_id in self._callers.keys() & set(run_ids):
            self._callers[run_id].add(caller)

    def announce(self, run_ids: Iterable[str]) -> None:
        """Somebody was told of the runs."""
        for run_id in run_ids:
            self._callers.pop(run_id, None)

    def waits(self, caller: Caller) -> bool:
        """Whether the caller was not told of some run."""
        return any(caller in callers for callers in self._callers.values())

    def leave(self, caller: Caller) -> list[str]:
        """The caller is gone; runs for which no other caller waits."""
        left = [run_id for run_id, callers in self._callers.items() if callers == {caller}]
        self.announce(left)
        for callers in self._callers.values():
            callers.discard(caller)
        return left
