"""Connect to PostgreSQL, and disconnect from a server that does not answer."""

import contextlib
import importlib.util
import os
import socket
import weakref
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from mhc_scope.store.errors import UnusableDatabase

NAME = "postgresql"
# A server that is cut off without notice is given up after about ten seconds, as is a wait for another's lock.
ALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
CONNECT = ALIVE | {
    "tcp_user_timeout": 10_000,
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}


class Connections:
    """Track the open connections of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed: tuple[type[Exception], ...] = (OSError, engine.dialect.loaded_dbapi.Error)
        event.listen(engine, "connect", lambda connection, record: self._open.add(connection))

    def cut(self) -> None:
        """Close them all from this side: a thread that waits for an answer gets an error."""
        for connection in list(self._open):
            with (
                contextlib.suppress(*self._closed),  # its thread may be closing it
                socket.socket(fileno=os.dup(connection.fileno())) as end,
            ):
                end.shutdown(socket.SHUT_RDWR)


def require_driver() -> None:
    """Require the driver package, the only one that the settings allow."""
    if importlib.util.find_spec("psycopg") is None:
        raise UnusableDatabase("PostgreSQL needs psycopg: pip install mhc-scope[postgres]")


def to_options(url: URL, threads: int) -> dict[str, Any]:
    """Return the options of a connection; those in the URL take precedence."""
    connect = {name: value for name, value in CONNECT.items() if name not in url.query}
    return {"connect_args": connect, "pool_pre_ping": True, "pool_size": threads, "max_overflow": 0}
