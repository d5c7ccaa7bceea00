"""A relay in front of a server, for connections that die without a word, as those of a sleeping laptop do."""

import contextlib
import socket
import threading


class Relay:
    """Passes bytes on between a port of its own and the server's."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.accepted: list[socket.socket] = []  # one a connection that came
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stalled: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._passing: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def stall(self) -> None:
        """Pass on nothing more of the connections that are open now, and close none of them."""
        self._stalled |= set(self._open)

    def cut(self) -> None:
        """Break every connection that is open now."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, and every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or accept() would wait on
        self._accepting.join()
        self._listener.close()
        self.cut()
        for thread in self._passing:
            thread.join()
        for end in self._open:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.accepted.append(near)
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    self._passing.append(threading.Thread(target=self._pass_on, args=(source, sink), daemon=True))
                    self._passing[-1].start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if source in self._stalled:
                    return  # swallowed, and the other end left waiting
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
