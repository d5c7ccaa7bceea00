"""A TCP relay between a server and its database, which can stop passing bytes, reset connections, or refuse them."""

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable

LOOK_S, CHUNK = 0.05, 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends RST


class Relay:
    """From a port of its own to a target.

    Attributes
    ----------
    port: where to connect to.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._partners: dict[socket.socket, socket.socket] = {}
        self._is_stalled, self._is_refusing, self._is_closed = threading.Event(), threading.Event(), threading.Event()
        self._must_reset = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stall(self) -> None:
        """Pass nothing on from now on; connections stay open, and new ones are not answered."""
        self._is_stalled.set()

    def refuse(self) -> None:
        """Reset all connections, and new ones too."""
        self._is_refusing.set()
        self._must_reset.set()

    def reset(self) -> None:
        """Reset all connections once."""
        self._must_reset.set()

    def mend(self) -> None:
        """Pass everything on again, also what came meanwhile."""
        self._is_stalled.clear()
        self._is_refusing.clear()

    def close(self) -> None:
        """End."""
        self._is_closed.set()
        self._thread.join(5)

    def _work(self) -> None:
        while not self._is_closed.is_set():
            if self._must_reset.is_set():
                self._must_reset.clear()
                self._drop_all()
            if self._is_stalled.wait(0):
                self._is_closed.wait(LOOK_S)
                continue
            for key, _ in self._selector.select(LOOK_S):
                self._pass(key.fileobj)
        self._drop_all()
        self._selector.close()
        self._listener.close()

    def _pass(self, ready: object) -> None:
        assert isinstance(ready, socket.socket)
        if ready is self._listener:
            self._accept()
        elif ready in self._partners:  # else its partner was dropped in this round
            try:
                data = ready.recv(CHUNK)
                if data:
                    self._partners[ready].sendall(data)
                    return
            except OSError:
                pass
            self._drop(ready, socket.socket.close)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self._is_refusing.is_set():
            _reset(near)
            return
        try:
            far = socket.create_connection(self._target, timeout=5)
        except OSError:
            _reset(near)
            return
        for one, other in ((near, far), (far, near)):
            self._partners[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _drop_all(self) -> None:
        for one in list(self._partners):
            self._drop(one, _reset)

    def _drop(self, one: socket.socket, end: Callable[[socket.socket], None]) -> None:
        if one in self._partners:
            other = self._partners.pop(one)
            self._partners.pop(other, None)
            for each in (one, other):
                self._selector.unregister(each)
                end(each)


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    one.close()
