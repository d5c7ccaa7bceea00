"""Define the contract of every queue: runs wait in fair order, and only one server at a time computes each.

`LocalQueue` is the queue of one process; an extension may provide one that several servers share. `tests/app/store`
has the cases that each queue must pass.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mhc_scope.store.board import QueueState
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.runs import NewJob, StoredRun

Answer = Literal["stops", "wanted", "over"]


@dataclass(frozen=True)
class Turn:
    """The queue after a turn, with the ids of the enqueued runs and the claimed runs."""

    board: QueueState
    put: frozenset[str]
    claimed: list[StoredRun]


@dataclass(frozen=True)
class CheckReport:
    """Report the result of a check.

    Attributes
    ----------
    gone: runs of the given claims that are no longer valid.
    to_cancel: claimed runs with a requested stop.
    freed: running runs that no server computed. They are requeued or have ended.
    """

    gone: list[str]
    to_cancel: list[str]
    freed: list[str]


class Member(Protocol):
    """Define what a queue may call of the server that uses it, in the event loop."""

    def wake(self) -> None:
        """Take a turn soon, because the queue has changed."""

    def check_soon(self) -> None:
        """Check soon, because a stop was requested."""

    def computes(self, run_id: str) -> bool:
        """Return whether this server has claimed a run."""


class Queue(Protocol):
    """Operate the queue. Each call is one transaction, and raises `StoreUnavailable` if the database cannot be used.

    Attributes
    ----------
    check_s: time between two checks.
    stop_s: time within which a run with a requested stop ends, on any server.
    """

    check_s: float
    stop_s: float

    async def join(self, member: Member) -> None:
        """Start to use the queue, because this server has started."""

    async def leave(self) -> None:
        """Requeue this server's running runs, because the server stops."""

    async def take_turn(self, fresh: Mapping[str, NewJob], free: int, short_s: float | None = None) -> Turn:
        """Enqueue jobs that are not live or done, and claim `free` runs, one per free worker.

        With `short_s`, also claim the next run that is predicted to take at most this time; it comes last.
        """
        ...

    async def requeue(self, claim: RunClaim, client: str, seconds: float) -> bool:
        """Requeue a run whose worker was lost; if a stop was requested, cancel it instead, and return False.

        Raises
        ------
        ClaimLost
            If the claim is not the latest.
        """
        ...

    async def want(self, run_id: str) -> bool:
        """Record a request of a client that does not own the run; return False if it has ended or is being stopped."""
        ...

    async def request_cancel(self, run_id: str, is_forced: bool = False) -> Answer:
        """Cancel a waiting run; request the stop of a running one. A wanted run is stopped only if `is_forced`."""
        ...

    async def check(self, claims: Collection[RunClaim]) -> CheckReport:
        """Release running runs that no server computes. `claims` are those of this server."""
        ...

    async def count_watchers(self, run_id: str, excluded_viewer: str) -> int:
        """Return the number of open event streams on a run at other servers, without those of one viewer."""
        ...

    async def count_stuck(self, max_run_s: float) -> int:
        """Return the number of running runs that no server seems to compute. A run takes at most `max_run_s`."""
        ...
