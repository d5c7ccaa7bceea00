"""Receive notifications of other servers through PostgreSQL.

Notifications that are lost with a broken connection are replaced by polling, in `peers.py`.
"""

import logging
import threading
from collections.abc import Callable

import psycopg
from sqlalchemy.engine import make_url

from mhc_service.queue.postgresql import ALIVE, CHANNEL

log = logging.getLogger("mhc.store")

POLL_S, RETRY_S, STOP_S = 0.2, 1.0, 3.0


class NotificationListener:
    """A thread with its own connection, which calls `receive` with sender, kind and run of each notification."""

    def __init__(self, url: str, receive: Callable[[str, str, str], None]) -> None:
        self._address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._receive = receive
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen_forever, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread that receives notifications of other servers."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread that receives notifications, within `POLL_S` if the connection works."""
        self._is_stopped.set()
        self._thread.join(STOP_S)

    def _listen_forever(self) -> None:
        """Receive notifications until stopped; connect again after errors."""
        while not self._is_stopped.is_set():
            try:
                self._receive_notifications()
            except psycopg.Error as error:
                log.warning("no notifications of other servers, polling instead: %s", str(error).strip())
                self._is_stopped.wait(RETRY_S)

    def _receive_notifications(self) -> None:
        """Connect, and pass on notifications until stopped. Raise psycopg.Error if the connection breaks."""
        with psycopg.connect(self._address, autocommit=True, **ALIVE) as connection:
            connection.execute(f"LISTEN {CHANNEL}".encode())
            while not self._is_stopped.is_set():
                for message in connection.notifies(timeout=POLL_S):
                    sender, kind, run_id = message.payload.split(" ", 2)
                    self._receive(sender, kind, run_id)
