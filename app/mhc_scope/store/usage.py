"""Count the computing seconds that clients have used recently."""

from sqlalchemy import Connection, delete, insert, select, update

from mhc_scope.store.fairness import HALF_LIFE_S, OWN, decay
from mhc_scope.store.tables import usage

FORGET_S = 20 * HALF_LIFE_S  # then a millionth remains


def charge(connection: Connection, client: str, seconds: float, now: float) -> None:
    """Add computing seconds to the usage of a client. Lock the queue first: two servers may charge the same client."""
    if client == OWN or seconds <= 0:
        return
    row = connection.execute(select(usage).where(usage.c.client == client)).one_or_none()
    if row is None:
        connection.execute(insert(usage).values(client=client, seconds=seconds, at=now))
        return
    total = decay(row.seconds, now - row.at) + seconds
    connection.execute(update(usage).where(usage.c.client == client).values(seconds=total, at=now))


def read_used(connection: Connection, now: float) -> dict[str, float]:
    """Return the computing seconds that each client has used recently."""
    return {row.client: decay(row.seconds, now - row.at) for row in connection.execute(select(usage))}


def forget_old(connection: Connection, now: float) -> None:
    """Delete the usage of clients that have used no computing time for long."""
    connection.execute(delete(usage).where(usage.c.at < now - FORGET_S))
