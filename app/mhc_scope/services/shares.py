"""What a client may take of the server, in seconds and bytes: its own share, and that of its address.

A client without a token can make itself a new one with each request, and not change its address; so each share is kept
twice. An address may be a whole class, so that its share is some times larger, and it is never all of the server.
Scripts that send no cookie are one client, that of their address: together they may take half of what the address may.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from mhc_core.findings.numerals import format_value
from mhc_scope.services.errors import (
    QueueFullError,
    ServerStreamsError,
    TooManyRunsError,
    TooManyStreamsError,
    TooMuchReadError,
    TooMuchStoredError,
)
from mhc_scope.services.identity import SERVER, ClientIdentity, to_address_key
from mhc_scope.settings import Settings
from mhc_scope.store.runs import LiveCost
from mhc_scope.store.shares import ShareStore

WHOSE = ("this client", "all clients of this address")
# What a run costs the server beside its computation: rows, a turn in the queue, a stream. Small runs are not free.
RUN_S = 0.1
MAX_RETRY_S = 60.0
KILO = 1000  # reads are counted in kB
# Of all streams one in so many is kept for addresses that have no more than one client may have.
KEPT_PART = 8
READ_KB = 100  # the least that a read counts as


def require_queue_share(
    client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost], settings: Settings
) -> None:
    """Refuse runs of `new_s` predicted seconds each that do not fit beside those that wait or run.

    One request always fits a share of which nothing is taken: what a single one may cost is bounded elsewhere.

    Raises
    ------
    TooManyRunsError
        Where the share of the client or of its address is used up.
    QueueFullError
        Where the server's is.
    """
    new = _sum(new_s)
    of_others = [item for item in live if item.client != SERVER.key]
    all_taken = (
        _sum(item.seconds for item in of_others if item.client == client.key),
        _sum(item.seconds for item in of_others if item.address == client.address),
    )
    of_address = client.room_s if client.room else settings.address_queue_s
    limits = _to_limits(client, settings.client_queue_s, of_address)
    for whose, taken, limit in zip(WHOSE, all_taken, limits, strict=True):
        if taken and taken + new > limit:
            raise TooManyRunsError(_to_detail(whose, taken, limit), _wait(taken + new - limit, settings))
    taken = _sum(item.seconds for item in live)
    if taken and taken + new > settings.queue_s:
        detail = _to_detail("all clients together", taken, settings.queue_s)
        raise QueueFullError(detail, _wait(taken + new - settings.queue_s, settings))
    waiting = max(0, len(live) - settings.worker_count)
    if waiting + len(new_s) > settings.queue_size:
        raise QueueFullError(f"The queue is full: {waiting} of {settings.queue_size} runs are waiting.")


def _sum(seconds: Iterable[float]) -> float:
    return sum(max(RUN_S, value) for value in seconds)


def _to_detail(whose: str, taken: float, limit: float) -> str:
    got = format_value(taken, digits=3)
    return f"About {got} s of work is queued or running for {whose}; {limit:g} s is allowed."


def _wait(excess_s: float, settings: Settings) -> float:
    """When there may be room: once the workers have done as much as is too much."""
    return min(MAX_RETRY_S, excess_s / settings.worker_count)


class StreamShares:
    """Event streams that are open, counted as they are taken, so that no two requests find the same room."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()
        self.open = 0  # streams of all clients

    def require_room(self, client: ClientIdentity) -> None:
        """Refuse one more stream where there is no room for it now.

        Raises
        ------
        TooManyStreamsError
            Where the client, or its address, has as many as it may.
        ServerStreamsError
            Where the server has.
        """
        keys = _to_keys(client)
        limits = _to_limits(client, self._settings.client_streams, self._settings.address_streams)
        for whose, key, limit in zip(WHOSE, keys, limits, strict=True):
            if self._open[key] >= limit:
                detail = f"{self._open[key]} event streams are open for {whose}; {limit:g} are allowed."
                raise TooManyStreamsError(detail)
        room, to_whom = self._find_room(self._open[keys[1]])
        if self.open >= room:
            raise ServerStreamsError(f"{self.open} event streams are open; {room} are allowed{to_whom}.")

    def take(self, client: ClientIdentity) -> "StreamTicket":
        """A place, to be given back when the stream has ended; `require_room` says when it is refused."""
        self.require_room(client)
        keys = _to_keys(client)
        self._open.update(keys)
        self.open += 1
        return StreamTicket(self, keys)

    def _find_room(self, of_address: int) -> tuple[int, str]:
        """Streams that there may be where an address that has `of_address` of them asks for one more, and why."""
        room, few = self._settings.max_streams, self._settings.client_streams
        return (room, "") if of_address < few else (room - room // KEPT_PART, f" to addresses with more than {few}")

    def release(self, keys: Sequence[str]) -> None:
        """One place less is taken of each share."""
        self.open -= 1
        for key in keys:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


class StreamPlace:
    """Where one client opens event streams."""

    def __init__(self, shares: StreamShares, client: ClientIdentity) -> None:
        self._shares, self._client = shares, client

    def require_room(self) -> None:
        """As `StreamShares.require_room`."""
        self._shares.require_room(self._client)

    def take(self) -> "StreamTicket":
        """As `StreamShares.take`."""
        return self._shares.take(self._client)


class StreamTicket:
    """The place of one event stream."""

    def __init__(self, shares: StreamShares, keys: Sequence[str]) -> None:
        self._shares, self._keys, self._is_taken = shares, keys, True

    def give_back(self) -> None:
        """The stream has ended. A second time changes nothing."""
        if self._is_taken:
            self._is_taken = False
            self._shares.release(self._keys)


class ReadShares:
    """Bytes of frames that were read for results and figures, in the last minute."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._settings = settings

    def charge(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count a read of `size_bytes`, of the client and of its address.

        Raises
        ------
        TooMuchReadError
            Where either has read as much as it may; then nothing is counted.
        """
        limits = _to_limits(client, self._settings.client_read_bytes, self._settings.address_read_bytes)
        windows = [RateLimitItemPerMinute(max(READ_KB, int(limit / KILO))) for limit in limits]
        for whose, key, window in zip(WHOSE, _to_keys(client), windows, strict=True):
            if not self._limiter.test(window, key, cost=_to_kb(size_bytes, window)):
                megabytes = window.amount * KILO / 1e6
                raise TooMuchReadError(f"Reading is limited to {megabytes:g} MB of frames per minute for {whose}.")
        for key, window in zip(_to_keys(client), windows, strict=True):
            self._limiter.hit(window, key, cost=_to_kb(size_bytes, window))


def _to_kb(size_bytes: int, limit: RateLimitItemPerMinute) -> int:
    """A record that alone is larger than the limit can be read once a minute."""
    return min(limit.amount, max(READ_KB, size_bytes // KILO))


class StoredShares:
    """What clients keep here: traces and views, in bytes."""

    def __init__(self, settings: Settings, store: ShareStore) -> None:
        self._settings, self._store = settings, store

    async def require_room(self, client: ClientIdentity) -> None:
        """Refuse a client that keeps as much as it may, itself or with others of its address.

        What it brings now is not known yet; each request has a limit of its own.

        Raises
        ------
        TooMuchStoredError
            Names both figures.
        """
        stored = await self._store.sum_stored(client.key, client.address)
        limits = _to_limits(client, self._settings.max_client_bytes, self._settings.max_address_bytes)
        for whose, taken, limit in zip(WHOSE, stored, limits, strict=True):
            if taken >= limit:
                got, allowed = f"{taken / 1e6:.1f} MB", f"{limit / 1e6:.1f} MB"
                detail = f"{got} of traces and views are stored for {whose}; {allowed} is allowed."
                raise TooMuchStoredError(detail)


def _to_keys(client: ClientIdentity) -> tuple[str, str]:
    """What a request of a client counts against."""
    return f"client {client.key}", f"at {client.address}"


def _to_limits(client: ClientIdentity, of_client: float, of_address: float) -> tuple[float, float]:
    """The share of a client, and that of its address."""
    is_address = client.key == to_address_key(client.address)
    return max(of_client, of_address / 2) if is_address else of_client, of_address
