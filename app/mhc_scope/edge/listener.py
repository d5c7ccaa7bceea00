"""Accept connections, a few at a time, and with pauses if file descriptors have run out."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

# Number of connections that the kernel queues, and that are accepted in one turn of the event loop, between which
# others can be closed.
BACKLOG, BATCH = 2048, 16
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RETRY_S = 0.2
# Bytes of a response that the kernel buffers. By default it would buffer megabytes for a client that does not read.
UNSENT_BYTES = 2**17
# Time in which at most one log line is written.
QUIET_S = 60.0


class ListeningSocket:
    """A listening socket, with the interface of asyncio's server that uvicorn uses.

    asyncio's own server would repeat a failing accept without a pause, and log a traceback each time.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, build: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop, self._sock, self._build = loop, sock, build
        self._tasks: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._logged_at = -QUIET_S
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._accept_batch)

    @property
    def endpoint(self) -> tuple[str, int]:
        """Return the host and port on which the socket listens."""
        host, port = self._sock.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stop accepting connections and close the socket."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    async def wait_closed(self) -> None:
        """Return immediately, because `close` has closed the socket already."""

    def _accept_batch(self) -> None:
        """Accept up to BATCH waiting connections. Pause if no descriptor or memory is left."""
        if self._tasks:
            return  # earlier connections have not been admitted yet, which may close others
        for _ in range(BATCH):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in SCARCE:
                    raise
                self._pause(error)
                return
            connection.setblocking(False)
            # asyncio sets this for sockets that it creates. Without it, the second half of a response is 40 ms late.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            task = self._loop.create_task(self._start_connection(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _start_connection(self, connection: socket.socket) -> None:
        """Create the protocol and the transport of an accepted socket."""
        try:
            await self._loop.connect_accepted_socket(self._build, connection)
        except OSError as error:
            logger.info("a connection broke as it was accepted: %s", error)
            connection.close()

    def _pause(self, error: OSError) -> None:
        """Stop polling the socket for a while, because the kernel would report the waiting connection continuously."""
        self._loop.remove_reader(self._sock.fileno())
        self._retry = self._loop.call_later(RETRY_S, self._loop.add_reader, self._sock.fileno(), self._accept_batch)
        if self._loop.time() - self._logged_at >= QUIET_S:
            self._logged_at = self._loop.time()
            logger.warning("cannot accept connections: %s; trying again every %s s", error.strerror, RETRY_S)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for a host name or address. A name such as localhost may have two addresses.

    Raises
    ------
    OSError
        If the port is taken, or the host is not an address of this machine.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = {(family, address[:2]) for family, _, _, _, address in found}
    return [socket.create_server(address, family=family, backlog=BACKLOG) for family, address in sorted(addresses)]
