"""Serve HTTP on one connection: uvicorn's protocol with time limits."""

import asyncio
import fcntl
import struct
import termios
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from mhc_scope import limits
from mhc_scope.api.problems import MEDIA_TYPE, Problem, to_response
from mhc_scope.api.request_spans import PROBES
from mhc_scope.edge.gate import Gate
from mhc_scope.edge.limits import MIN_RATE
from mhc_scope.pages.security import BARE_HEADERS

RETRY_AFTER_S = 5


@dataclass
class Pace:
    """Measures the speed of a transfer in consecutive time windows.

    Attributes
    ----------
    window_s: length of a window.
    began: start of the current window, on the clock of the event loop.
    count: value of the byte counter at that time.
    """

    window_s: float
    began: float
    count: int

    def is_too_slow(self, now: float, count: int) -> bool:
        """Return whether a window has ended with fewer bytes than `MIN_RATE` requires. At its end, start the next one.

        count: present value of the byte counter.
        """
        if now - self.began < self.window_s:
            return False
        moved = count - self.count
        self.began, self.count = now, count
        return moved < MIN_RATE * self.window_s


class ProbesOnly:
    """ASGI middleware of one connection that responds with a problem to all requests except probes."""

    def __init__(self, app: Any, root_path: str, problem: Problem) -> None:
        self._app, self._problem = app, problem
        self._paths = {prefix + path for path in PROBES for prefix in ("", root_path)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the app for a probe; respond with the problem to any other request."""
        if scope["path"] in self._paths:
            return await self._app(scope, receive, send)
        response = to_response(self._problem, scope["path"])
        response.headers.update({"Connection": "close", **BARE_HEADERS})
        return await response(scope, receive, send)


class EdgeProtocol(H11Protocol):
    """The protocol of one connection, which closes the connection if the client is too slow.

    The headers of a request must be complete in time, its body must progress, and the client must read the response. A
    client that has begun a request gets a 408. A client that does not read is disconnected; its event stream can resume
    after the last frame.
    """

    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self.address = ""
        self.block: str | None = None
        self._has_begun = self._has_answered = False
        self._limit: Problem | None = None
        self._received = 0
        self._body: Pace | None = None
        self._unread: Pace | None = None

    def answer_probes(self, why: str, status: int) -> None:
        """From now on, answer only probes, and refuse other requests with this reason and status."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        self._limit = Problem("too-many-connections", status, why, headers=headers)
        self.app = ProbesOnly(self.app, self._gate.root_path, self._limit)

    @property
    def is_sending(self) -> bool:
        """Return whether parts of a response wait until the client reads."""
        return self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register this connection with the gate."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._gate.admit(self, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove this connection from the gate."""
        self._gate.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process received data. Answer a simple request for a static file here, and note when a request begins."""
        self._received += len(data)
        if self._is_idle and self._gate.files is not None and (answer := self._gate.files.find(data)) is not None:
            self._send(*answer)
            return
        if self in self._gate.waiting and not self._has_begun:
            self._has_begun = True
            self._gate.waiting.begin(self, self.loop.time())
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._gate.waiting.end(self)

    @property
    def _is_idle(self) -> bool:
        """Return whether all responses are sent and read, and no further request has begun."""
        is_between = self in self._gate.waiting and not self._has_begun
        return is_between and self._limit is None and not self.is_sending and not self.transport.is_closing()

    def _send(self, head: bytes, body: bytes) -> None:
        """Send a static file as the response, and wait for the next request as uvicorn does."""
        common = b"".join(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers)
        self._gate.waiting.end(self)
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", common, head, b"\r\n", body)))
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Note that a response is complete, and wait for the next request."""
        self._has_answered, self._has_begun, self._body = True, False, None
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._has_begun = bool(self.conn.trailing_data[0])
            self._gate.waiting.begin(self, self.loop.time())

    def pause_writing(self) -> None:
        """Note that data waits for the client to read, and start its time limit."""
        super().pause_writing()
        self._unread = Pace(limits.UNREAD_S, self.loop.time(), -self._count_pending())

    def resume_writing(self) -> None:
        """Note that the client has read the waiting data, and end its time limit."""
        super().resume_writing()
        self._unread = None

    def keep_time(self, now: float) -> None:
        """Close the connection if its client has taken too long."""
        if self._unread is not None:
            if self._unread.is_too_slow(now, -self._count_pending()):
                self.drop()
        elif (since := self._gate.waiting.since(self)) is not None:
            if now - since > limits.HEADER_S and not self.is_sending:
                self._end_waiting()
        elif self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            self._body = self._body or Pace(limits.BODY_S, now, self._received)
            if self._body.is_too_slow(now, self._received):
                self.refuse(Problem("timeout", 408, f"the body made hardly any progress for {limits.BODY_S:g} s"))
        else:
            self._body = None

    def _end_waiting(self) -> None:
        """Close a connection whose next request is not complete in time, with 408 if the request has begun."""
        if self._has_begun:
            detail = f"the head of the request was not complete after {limits.HEADER_S:g} s"
            self.refuse(Problem("timeout", 408, detail))
        elif not self._has_answered:
            self.close_waiting()  # Between two requests uvicorn enforces the limit.

    def _count_pending(self) -> int:
        """Return the number of sent bytes that are buffered in this process and in the kernel."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        if descriptor < 0:
            return 0
        (queued,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, struct.pack("i", 0)))
        return self.transport.get_write_buffer_size() + int(queued)

    def close_waiting(self) -> None:
        """Close a waiting connection, and send the reason if it exceeds a limit."""
        if self._limit is None:
            self.drop()
        else:
            self.refuse(self._limit)

    def drop(self) -> None:
        """Close the connection without a response."""
        self._gate.waiting.end(self)  # so that the next search for a connection to close does not choose it
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Respond with 400 to data that is not HTTP."""
        self.refuse(Problem("http", 400, msg))

    def refuse(self, problem: Problem) -> None:
        """Respond with a problem, unless a response has begun, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.is_sending:
            path = self.scope["path"] if self.scope and self.conn.our_state is h11.SEND_RESPONSE else ""
            self.transport.write(_to_bytes(problem, bytes(to_response(problem, path).body)))
        self._gate.waiting.end(self)
        self.transport.close()


def _to_bytes(problem: Problem, body: bytes) -> bytes:
    """Return a problem as the bytes of an HTTP response."""
    own = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"{name}: {value}" for name, value in (own | problem.headers | BARE_HEADERS).items()]
    head = f"HTTP/1.1 {problem.status} {STATUS_PHRASES[problem.status].decode()}\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    return head.encode() + body
