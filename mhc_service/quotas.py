"""Limit how much of the server a client may use, in seconds and bytes, by a quota of the client and one of its address.

A client without a token can pretend to be a new one with each request, but cannot change its IP address: each quota
therefore exists twice. An address may be that of a whole class, so its quota is several times larger, but never the
whole server. Scripts that send no cookie count as one client of their address, with half of the address's quota.
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
# One of this many event streams is reserved for addresses with fewer streams than one client may have.
KEPT_PART = 8
READ_KB = 100  # smallest size that is charged for a read


def require_queue_quota(
    client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost], settings: ServiceSettings
) -> None:
    """Refuse new runs whose predicted seconds `new_s` exceed a quota, together with the `live` runs.

    An unused quota allows any single request, because the cost of a single run has its own limit.

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
    """Counts and limits event streams of the server, of each client and of each address."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(limits.MAX_STREAMS)
        self._settings = settings
        self._open: Counter[str] = Counter()

    def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse one more event stream of a client if a limit is reached.

        Raises
        ------
        TooManyStreamsError
            If the quota of the client or of its address is used up.
        ServerStreamLimitError
            If the limit of the server is reached.
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
        """Return the limit on the server's streams for an address with `of_address` streams, and to whom it applies.

        Addresses with few streams may also use the reserved ones.
        """
        capacity, few = self.most, self._settings.client_streams
        if of_address < few:
            return capacity, ""
        return capacity - capacity // KEPT_PART, f" to addresses with more than {few}"


class ReadQuota:
    """Counts and limits the bytes of frames that are read for results and figures per minute."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._settings = settings

    def charge(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count a read of `size_bytes` against the quotas of the client and of its address.

        Raises
        ------
        TooMuchReadError
            If either quota would be exceeded. Then nothing is counted.
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
    """Return the kilobytes to charge, at most the limit, so that any record can be read once a minute."""
    return min(limit.amount, max(READ_KB, size_bytes // KILO))


class StorageQuota:
    """Limits the bytes of recordings and snapshots that clients store."""

    def __init__(self, settings: ServiceSettings, store: StoredBytes) -> None:
        self._settings, self._store = settings, store

    async def require_capacity(self, client: ClientIdentity) -> None:
        """Refuse a client that has used up its quota or that of its address.

        The size of the new upload is not known yet; each request has its own limit.

        Raises
        ------
        TooMuchStoredError
            If a quota is used up. The text states the stored bytes and the quota.
        """
        stored = await self._store.sum_stored(client.key, client.address)
        limits = _to_limits(client, self._settings.max_client_bytes, self._settings.max_address_bytes)
        for whose, taken, limit in zip(WHOSE, stored, limits, strict=True):
            if taken >= limit:
                got, allowed = f"{taken / 1e6:.1f} MB", f"{limit / 1e6:.1f} MB"
                detail = f"{got} of traces and views are stored for {whose}; {allowed} is allowed."
                raise TooMuchStoredError(detail)


def _to_quota_keys(client: ClientIdentity) -> tuple[str, str]:
    """Return the keys of the quotas to which a client's request is charged."""
    return f"client {client.key}", f"at {client.address}"


def _to_limits(client: ClientIdentity, client_limit: float, address_limit: float) -> tuple[float, float]:
    """Return the quota of a client, and that of its address.

    Clients of one address without a cookie share one client's quota, which is at least half of the address's.
    """
    is_anonymous = client.key == to_ip_key(client.address)
    return max(client_limit, address_limit / 2) if is_anonymous else client_limit, address_limit
