"""Lease a run: one server may write it, until it stops renewing the lease and another server takes over."""

MAX_HEARTBEAT_S, HEARTBEATS = 1.0, 8  # at least so many heartbeats in `lease_s`
SPARE_HEARTBEATS = 2  # the others check once a heartbeat, and one of them claims the run within another
RENEW_AT = 2 / 3  # of a lease remains when it is renewed


def to_heartbeat_s(lease_s: float) -> float:
    """Return the seconds between two heartbeats of a server, which renews its leases and checks those of others."""
    return min(MAX_HEARTBEAT_S, lease_s / HEARTBEATS)


def to_lease_duration_s(lease_s: float) -> float:
    """Return how long a lease lasts, so that another server takes over the run within `lease_s`."""
    return lease_s - SPARE_HEARTBEATS * to_heartbeat_s(lease_s)
