"""Define the contract of every queue: runs wait in it in fair order, and one place at a time computes each.

`LocalQueue` serves one process; an extension may provide one that several servers share. `tests/app/store` has
the cases that each queue must pass.
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
    """The queue after a turn: which runs were enqueued, and which were claimed."""

    board: QueueState
    put: frozenset[str]
    claimed: list[StoredRun]


@dataclass(frozen=True)
class CheckReport:
    """Report what a check has found.

    Attributes
    ----------
    gone: claimed runs that have another claim now.
    to_cancel: claimed runs with a requested stop.
    freed: runs that nobody computed, which are queued again or have ended.
    """

    gone: list[str]
    to_cancel: list[str]
    freed: list[str]


class Member(Protocol):
    """Define what a queue may require of the server that uses it. Call it in the event loop."""

    def wake(self) -> None:
        """Take a turn soon: the queue has changed."""

    def check_soon(self) -> None:
        """Check soon: a stop was requested."""

    def computes(self, run_id: str) -> bool:
        """Return whether a run is claimed here."""


class Queue(Protocol):
    """Operate the queue, one transaction per call. Each raises `StoreUnavailable` if the database cannot be used.

    Attributes
    ----------
    check_s: time between two checks.
    stop_s: time within which a run with a requested stop has ended, wherever it is computed.
    """

    check_s: float
    stop_s: float

    async def join(self, member: Member) -> None:
        """Begin to use the queue: this server has started."""

    async def leave(self) -> None:
        """Put this server's running runs back into the queue, because the server stops."""

    async def take_turn(self, fresh: Mapping[str, NewJob], free: int, short_s: float | None = None) -> Turn:
        """Enqueue jobs that are not live or done, and claim as many runs as workers are free.

        Of the runs after them, `short_s` claims one more that is predicted to take no longer; it comes last.
        """
        ...

    async def requeue(self, claim: RunClaim, client: str, seconds: float) -> bool:
        """Requeue a run whose worker was lost; return False if a stop was requested, and the run is cancelled now.

        Raises
        ------
        ClaimLost
            If another claim exists.
        """
        ...

    async def want(self, run_id: str) -> bool:
        """Record a request of a client that does not own the run; return False if it is over, or being stopped."""
        ...

    async def request_cancel(self, run_id: str, is_forced: bool = False) -> Answer:
        """End a run that waits; for a running one, request a stop. A wanted run is stopped only if it is forced."""
        ...

    async def check(self, claims: Collection[RunClaim]) -> CheckReport:
        """Free runs that nobody computes; `claims` are those of this server."""
        ...

    async def count_watchers(self, run_id: str, excluded_viewer: str) -> int:
        """Return how many event streams are open on a run at other servers, without those of one viewer."""
        ...

    async def count_stuck(self, max_run_s: float) -> int:
        """Return how many runs are running that nobody seems to compute; a run takes `max_run_s` at most."""
        ...
