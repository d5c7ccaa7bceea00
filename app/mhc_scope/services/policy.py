"""Decide who may do what, and how much.

The default is for one person, or for people who trust each other: everyone may run, and only the server as a whole
has limits. An add-on installs another policy, with accounts and quotas (`mhc_scope.extension`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mhc_core.findings.numerals import format_value
from mhc_scope import limits
from mhc_scope.services.errors import InvalidTokenError, QueueFullError
from mhc_scope.services.identity import ClientIdentity, to_block, to_ip_key
from mhc_scope.services.streams import StreamLimit
from mhc_scope.settings import Settings
from mhc_scope.store.runs import LiveCost

# What a run costs the server in addition to its computation: rows, a turn in the queue, an event stream. Small runs
# are not free.
RUN_S = 0.1
MAX_RETRY_S = 60.0


@dataclass(frozen=True)
class Credentials:
    """Parts of a request that identify its sender.

    Attributes
    ----------
    host: the sender's address; behind a trusted proxy, that of the proxy's client.
    token: the bearer token; None without one, or if it is the key of the resource that the request names.
    headers: in the order in which they came, with lower-case names.
    cookies: by name.
    is_from_proxy: whether a trusted proxy forwarded the request.
    """

    host: str
    token: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    cookies: Mapping[str, str] = field(default_factory=dict)
    is_from_proxy: bool = False


class Policy(Protocol):
    """Decide who a client is, what it may do, and how much.

    Attributes
    ----------
    streams: the open event streams, and their limits.
    sign_in_path: the page where people give their token; None if there is none.
    """

    streams: StreamLimit
    sign_in_path: str | None

    async def identify(self, credentials: Credentials) -> ClientIdentity:
        """Return the client that sends a request, by its credentials.

        Raises
        ------
        InvalidTokenError
            If a token is sent that is unknown or has expired: it is never treated as no token.
        """
        ...

    def is_token(self, text: str) -> bool:
        """Return whether a bearer is an access token by its form, and not the key of a view or a trace."""
        ...

    def require_queue_capacity(self, client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost]) -> None:
        """Refuse runs of `new_s` predicted seconds each that do not fit next to the `live` ones.

        One request is always admitted if nothing waits or runs: the cost of a single run has its own limit.

        Raises
        ------
        NoCapacityError
            If they do not fit; it says when to try again.
        """
        ...

    def charge_read(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count the bytes of frames that a client reads against its quota.

        Raises
        ------
        TooMuchReadError
            If the client has read as much as it may; then nothing is counted.
        """
        ...

    async def require_storage(self, client: ClientIdentity) -> None:
        """Refuse a client that has stored as many bytes of traces and snapshots as it may.

        Raises
        ------
        TooMuchStoredError
            If it does; the text has both figures.
        """
        ...


class OpenPolicy:
    """Allow everyone to run, and limit the server as a whole. A client is identified by its address."""

    sign_in_path: str | None = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.streams = StreamLimit(limits.MAX_STREAMS)

    async def identify(self, credentials: Credentials) -> ClientIdentity:
        """Return the client by its address, on a server without accounts."""
        if credentials.token is not None:
            raise InvalidTokenError(
                "This server has no accounts, so it accepts no access token: send the request without one."
            )
        address = to_block(credentials.host)
        return ClientIdentity(to_ip_key(address), address)

    def is_token(self, text: str) -> bool:
        """Return whether a bearer is an access token: False, because there are none without accounts."""
        return False

    def require_queue_capacity(self, client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost]) -> None:
        """Refuse runs if the server has as much predicted work, or as many waiting runs, as it allows."""
        settings = self._settings
        new, taken = sum_seconds(new_s), sum_seconds(item.seconds for item in live)
        if taken and taken + new > settings.queue_s:
            detail = describe_taken("all clients together", taken, settings.queue_s)
            raise QueueFullError(detail, to_wait_s(taken + new - settings.queue_s, settings))
        waiting = max(0, len(live) - settings.worker_count)
        if waiting + len(new_s) > limits.QUEUE_SIZE:
            raise QueueFullError(f"The queue is full: {waiting} of {limits.QUEUE_SIZE} runs are waiting.")

    def charge_read(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count nothing."""

    async def require_storage(self, client: ClientIdentity) -> None:
        """Refuse no one: the size of the database has one limit as a whole."""


def sum_seconds(seconds: Iterable[float]) -> float:
    """Return the predicted seconds of these runs together, each with the fixed time that a run takes."""
    return sum(max(RUN_S, value) for value in seconds)


def describe_taken(whose: str, taken: float, limit: float) -> str:
    """Return a sentence with the queued work and its limit."""
    got = format_value(taken, digits=3)
    return f"About {got} s of work is queued or running for {whose}; {limit:g} s is allowed."


def to_wait_s(excess_s: float, settings: Settings) -> float:
    """Return after how many seconds to try again: when the workers have done the excess work."""
    return min(MAX_RETRY_S, excess_s / settings.worker_count)
