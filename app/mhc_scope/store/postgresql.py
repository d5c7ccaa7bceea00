"""What PostgreSQL's way of being used asks of us: how it is connected to, and how to leave one that does not answer."""

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
# A server that is cut off without a word is given up after about ten seconds, and so is a wait for another's lock.
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
    """The open connections of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed: tuple[type[Exception], ...] = (OSError, engine.dialect.loaded_dbapi.Error)
        event.listen(engine, "connect", lambda connection, record: self._open.add(connection))

    def cut(self) -> None:
        """End them all from this side: a thread that waits for an answer gets an error."""
        for connection in list(self._open):
            with (
                contextlib.suppress(*self._closed),  # its thread may close it meanwhile
                socket.socket(fileno=os.dup(connection.fileno())) as end,
            ):
                end.shutdown(socket.SHUT_RDWR)


def require_driver() -> None:
    """The package that is used to connect must be installed; the settings allow no other."""
    if importlib.util.find_spec("psycopg") is None:
        raise UnusableDatabase("PostgreSQL needs psycopg: pip install mhc-scope[postgres]")


def to_options(url: URL, threads: int) -> dict[str, Any]:
    """How it is connected to; what the URL says itself goes before."""
    connect = {name: value for name, value in CONNECT.items() if name not in url.query}
    return {"connect_args": connect, "pool_pre_ping": True, "pool_size": threads, "max_overflow": 0}
