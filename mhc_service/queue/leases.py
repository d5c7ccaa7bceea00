"""Durations of leases of runs. Only the server with the lease writes the run, until it no longer renews the lease."""

MAX_HEARTBEAT_S, HEARTBEATS = 1.0, 8  # longest time between heartbeats, and their smallest number in `lease_s`
SPARE_HEARTBEATS = 2  # other servers notice a lost lease within one heartbeat, and claim the run within another
RENEW_AT = 2 / 3  # a lease is renewed when less than this share of it remains


def to_heartbeat_s(lease_s: float) -> float:
    """Return the seconds between two heartbeats of a server, which renews its leases and checks those of others."""
    return min(MAX_HEARTBEAT_S, lease_s / HEARTBEATS)


def to_lease_duration_s(lease_s: float) -> float:
    """Return how long a lease may last, so that another server takes over a lost run within `lease_s`."""
    return lease_s - SPARE_HEARTBEATS * to_heartbeat_s(lease_s)
