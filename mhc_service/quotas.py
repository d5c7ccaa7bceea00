"""Limit what a client may use of the server, in seconds and bytes: it has a quota, and its address has one.

A client without a token can become a new one with each request, but cannot change its address; so each quota exists
twice. An address may be a whole class, so its quota is several times larger, but never all of the server. Scripts that
send no cookie are one client, that of their address: together they may use half of the address's quota.
"""

from collections import Counter
from collections.abc import Sequence

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from mhc_scope import limits
from mhc_scope.services.errors import (
    ServerStreamLimitError,
    TooManyRunsError,
    TooManyStreamsError,
    TooMuchReadError,
    TooMuchStoredError,
)
from mhc_scope.services.identity import SERVER, ClientIdentity, to_ip_key
from mhc_scope.services.policy import describe_taken, sum_seconds, to_wait_s
from mhc_scope.services.streams import StreamLimit
from mhc_scope.store.runs import LiveCost
from mhc_service.settings import ServiceSettings
from mhc_service.stored_bytes import StoredBytes

WHOSE = ("this client", "all clients of this address")
KILO = 1000  # reads are counted in kB
# One in so many event streams is reserved for addresses that have no more than one client may have.
KEPT_PART = 8
READ_KB = 100  # minimum that a read counts as


def require_queue_quota(
    client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost], settings: ServiceSettings
) -> None:
    """Refuse runs of `new_s` predicted seconds each that do not fit next to the `live` ones of a client.

    One request always fits an unused quota: the cost of a single run has its own limit.

    Raises
    ------
    TooManyRunsError
        If the quota of the client or of its address is used up.
    """
    new = sum_seconds(new_s)
    of_others = [item for item in live if item.client != SERVER.key]
    all_taken = (
        sum_seconds(item.seconds for item in of_others if item.client == client.key),
        sum_seconds(item.seconds for item in of_others if item.address == client.address),
    )
    of_address = client.room_s if client.room else settings.address_queue_s
    limits = _to_limits(client, settings.client_queue_s, of_address)
    for whose, taken, limit in zip(WHOSE, all_taken, limits, strict=True):
        if taken and taken + new > limit:
            raise TooManyRunsError(describe_taken(whose, taken, limit), to_wait_s(taken + new - limit, settings))


class QuotaStreams(StreamLimit):
    """Count event streams of the server, of each client and of each address."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(limits.MAX_STREAMS)
        self._settings = settings
        self._open: Counter[str] = Counter()

    def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse one more event stream of a client that has as many open as its quota allows.

        Raises
        ------
        TooManyStreamsError
            If the client, or its address, has as many as it may.
        ServerStreamLimitError
            If the server has as many as it may.
        """
        keys = _to_quota_keys(client)
        limits = _to_limits(client, self._settings.client_streams, self._settings.address_streams)
        for whose, key, limit in zip(WHOSE, keys, limits, strict=True):
            if self._open[key] >= limit:
                detail = f"{self._open[key]} event streams are open for {whose}; {limit:g} are allowed."
                raise TooManyStreamsError(detail)
        capacity, to_whom = self._find_capacity(self._open[keys[1]])
        if self.open >= capacity:
            raise ServerStreamLimitError(f"{self.open} event streams are open; {capacity} are allowed{to_whom}.")

    def _count(self, client: ClientIdentity, change: int) -> None:
        """Change the numbers of open event streams of a client and of its address."""
        super()._count(client, change)
        for key in _to_quota_keys(client):
            self._open[key] += change
            if not self._open[key]:
                del self._open[key]

    def _find_capacity(self, of_address: int) -> tuple[int, str]:
        """Return the limit on the server's streams for an address with `of_address` streams, and to whom it applies."""
        capacity, few = self.most, self._settings.client_streams
        if of_address < few:
            return capacity, ""
        return capacity - capacity // KEPT_PART, f" to addresses with more than {few}"


class ReadQuota:
    """Count the bytes of frames that were read for results and figures, in the last minute."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._settings = settings

    def charge(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count a read of `size_bytes` against the quotas of the client and of its address.

        Raises
        ------
        TooMuchReadError
            If either has read as much as it may; then nothing is counted.
        """
        limits = _to_limits(client, self._settings.client_read_bytes, self._settings.address_read_bytes)
        windows = [RateLimitItemPerMinute(max(READ_KB, int(limit / KILO))) for limit in limits]
        for whose, key, window in zip(WHOSE, _to_quota_keys(client), windows, strict=True):
            if not self._limiter.test(window, key, cost=_to_kb(size_bytes, window)):
                megabytes = window.amount * KILO / 1e6
                raise TooMuchReadError(f"Reading is limited to {megabytes:g} MB of frames per minute for {whose}.")
        for key, window in zip(_to_quota_keys(client), windows, strict=True):
            self._limiter.hit(window, key, cost=_to_kb(size_bytes, window))


def _to_kb(size_bytes: int, limit: RateLimitItemPerMinute) -> int:
    """Return the kilobytes to charge: a record that alone exceeds the limit can be read once a minute."""
    return min(limit.amount, max(READ_KB, size_bytes // KILO))


class StorageQuota:
    """Limit what clients keep here: traces and views, in bytes."""

    def __init__(self, settings: ServiceSettings, store: StoredBytes) -> None:
        self._settings, self._store = settings, store

    async def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse a client that stores as much as it may, itself or together with others of its address.

        The size of the new upload is not known yet; each request has its own limit.

        Raises
        ------
        TooMuchStoredError
            If that is so; the text has both figures.
        """
        stored = await self._store.sum_stored(client.key, client.address)
        limits = _to_limits(client, self._settings.max_client_bytes, self._settings.max_address_bytes)
        for whose, taken, limit in zip(WHOSE, stored, limits, strict=True):
            if taken >= limit:
                got, allowed = f"{taken / 1e6:.1f} MB", f"{limit / 1e6:.1f} MB"
                detail = f"{got} of traces and views are stored for {whose}; {allowed} is allowed."
                raise TooMuchStoredError(detail)


def _to_quota_keys(client: ClientIdentity) -> tuple[str, str]:
    """Return the keys of the quotas against which a client's request counts."""
    return f"client {client.key}", f"at {client.address}"


def _to_limits(client: ClientIdentity, client_limit: float, address_limit: float) -> tuple[float, float]:
    """Return the quota of a client, and that of its address.

    Clients without a cookie have one quota together, at least half of that of their address.
    """
    is_anonymous = client.key == to_ip_key(client.address)
    return max(client_limit, address_limit / 2) if is_anonymous else client_limit, address_limit
