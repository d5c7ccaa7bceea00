"""Decide what each client may do, and how much.

The default policy is for one person, or for people who trust each other: everyone may start runs, and only the whole
server has limits. An add-on can install another policy, with accounts and quotas (`mhc_scope.extension`).
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

# Smallest time that a run counts as, because even a small run costs the server rows, queueing and an event stream.
RUN_S = 0.1
MAX_RETRY_S = 60.0


@dataclass(frozen=True)
class Credentials:
    """Parts of a request that identify its sender.

    Attributes
    ----------
    host: the sender's address; behind a trusted proxy, that of the proxy's client.
    token: the bearer token; None without one, or if it is the key of the resource that the request names.
    headers: in the order in which they were sent, with lower-case names.
    cookies: by name.
    is_from_proxy: whether a trusted proxy forwarded the request.
    """

    host: str
    token: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    cookies: Mapping[str, str] = field(default_factory=dict)
    is_from_proxy: bool = False


class Policy(Protocol):
    """Decides who the client of a request is, and limits what it may use.

    Attributes
    ----------
    event_streams: counts and limits open event streams.
    sign_in_path: path of the page for signing in with a token; None if there is none.
    """

    event_streams: StreamLimit
    sign_in_path: str | None

    async def identify(self, credentials: Credentials) -> ClientIdentity:
        """Return the client that sends a request, by its credentials.

        Raises
        ------
        InvalidTokenError
            If the token is unknown or has expired. Such a request is never treated as one without a token.
        """
        ...

    def is_token(self, text: str) -> bool:
        """Return whether a bearer token has the form of an access token, and is not the key of another resource."""
        ...

    def require_queue_capacity(self, client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost]) -> None:
        """Refuse new runs whose predicted seconds `new_s` exceed a limit, together with the `live` runs.

        If no run waits or runs, any request is admitted, because the cost of a single run has its own limit.

        Raises
        ------
        NoCapacityError
            If a limit is exceeded, with the time after which to try again.
        """
        ...

    def charge_read(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count the bytes of frames that a client reads against its quota.

        Raises
        ------
        TooMuchReadError
            If the quota would be exceeded. Then nothing is counted.
        """
        ...

    async def require_storage(self, client: ClientIdentity) -> None:
        """Refuse a client that has used up its quota of stored recordings and snapshots.

        Raises
        ------
        TooMuchStoredError
            If the quota is used up. The text states the stored bytes and the quota.
        """
        ...


class OpenPolicy:
    """The default policy: everyone may start runs, and only the whole server has limits. Addresses identify clients."""

    sign_in_path: str | None = None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.event_streams = StreamLimit(limits.MAX_STREAMS)

    async def identify(self, credentials: Credentials) -> ClientIdentity:
        """Return the client by its address, on a server without accounts."""
        if credentials.token is not None:
            raise InvalidTokenError(
                "This server has no accounts, so it accepts no access token: send the request without one."
            )
        address = to_block(credentials.host)
        return ClientIdentity(to_ip_key(address), address)

    def is_token(self, text: str) -> bool:
        """Return False, because there are no access tokens without accounts."""
        return False

    def require_queue_capacity(self, client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost]) -> None:
        """Refuse runs if the server's limit of predicted work, or of waiting runs, would be exceeded."""
        settings = self._settings
        new, taken = sum_seconds(new_s), sum_seconds(item.seconds for item in live)
        if taken and taken + new > settings.queue_s:
            detail = describe_taken("all clients together", taken, settings.queue_s)
            raise QueueFullError(detail, to_wait_s(taken + new - settings.queue_s, settings))
        waiting = max(0, len(live) - settings.worker_count)
        if waiting + len(new_s) > limits.QUEUE_SIZE:
            raise QueueFullError(f"The queue is full: {waiting} of {limits.QUEUE_SIZE} runs are waiting.")

    def charge_read(self, client: ClientIdentity, size_bytes: int) -> None:
        """Do nothing: reading has no quota."""

    async def require_storage(self, client: ClientIdentity) -> None:
        """Do nothing: only the whole database has a limit."""


def sum_seconds(seconds: Iterable[float]) -> float:
    """Return the sum of predicted seconds of runs. Each run counts as at least `RUN_S`."""
    return sum(max(RUN_S, value) for value in seconds)


def describe_taken(whose: str, taken: float, limit: float) -> str:
    """Return a sentence with the queued work and its limit."""
    got = format_value(taken, digits=3)
    return f"About {got} s of work is queued or running for {whose}; {limit:g} s is allowed."


def to_wait_s(excess_s: float, settings: Settings) -> float:
    """Return the seconds after which to try again, when the workers have computed the excess."""
    return min(MAX_RETRY_S, excess_s / settings.worker_count)
