"""Track queued runs whose ids no client has received yet.

A client that requests and follows runs on one connection receives their ids there. If the connection closes before, no
one can watch or cancel these runs, so that they are withdrawn.
"""

from collections.abc import Awaitable, Callable, Iterable


class CallerGone(Exception):
    """The client has closed its connection before a run was queued."""


class Caller:
    """The connection of a request for runs. `is_gone` returns whether it is closed."""

    def __init__(self, is_gone: Callable[[], Awaitable[bool]]) -> None:
        self.is_gone = is_gone


class UnannouncedRuns:
    """Ids of queued runs that no caller has received, each with the callers that wait for it."""

    def __init__(self) -> None:
        self._callers: dict[str, set[Caller]] = {}

    def add(self, run_ids: Iterable[str], caller: Caller) -> None:
        """Add runs that were just queued for a caller, which has not received their ids yet."""
        self._callers |= {run_id: {caller} for run_id in run_ids}

    def join(self, run_ids: Iterable[str], caller: Caller) -> None:
        """Add a caller to the runs among `run_ids` whose ids no caller has received."""
        for run_id in self._callers.keys() & set(run_ids):
            self._callers[run_id].add(caller)

    def announce(self, run_ids: Iterable[str]) -> None:
        """Remove runs whose ids a caller has received, so that they are not withdrawn."""
        for run_id in run_ids:
            self._callers.pop(run_id, None)

    def waits(self, caller: Caller) -> bool:
        """Return whether a caller still waits for the id of a run that it has submitted."""
        return any(caller in callers for callers in self._callers.values())

    def leave(self, caller: Caller) -> list[str]:
        """Remove a caller. Return, and remove, the runs for which no other caller waits."""
        left = [run_id for run_id, callers in self._callers.items() if callers == {caller}]
        self.announce(left)
        for callers in self._callers.values():
            callers.discard(caller)
        return left
