"""Hide what SQLite and PostgreSQL do differently: the clock, locks, and notifications between servers."""

import time
from typing import Literal

from sqlalchemy import Connection, func, select

CHANNEL = "mhc_scope"
QUEUE_LOCK = 0x6D4844  # an arbitrary number
# log: frames or the end of a run; queue: places have changed; cancel: stop a run on the server that computes it.
Kind = Literal["log", "queue", "cancel"]


def read_clock(connection: Connection) -> float:
    """Return seconds since 1970, by the clock that all servers share: the database's, where it has its own."""
    if connection.dialect.name != "postgresql":
        return time.time()
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def lock_queue(connection: Connection) -> None:
    """Wait until no other transaction changes the queue. Lock it before any row: this order prevents deadlocks.

    SQLite has one writer in any case.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(QUEUE_LOCK)))


def notify(connection: Connection, kind: Kind, run_id: str = "") -> None:
    """Notify other servers once the transaction is durable. On SQLite there are none."""
    if connection.dialect.name == "postgresql":
        message = f"{connection.info.get('server', '')} {kind} {run_id}"
        connection.execute(select(func.pg_notify(CHANNEL, message)))
