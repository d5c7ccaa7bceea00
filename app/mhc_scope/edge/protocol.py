"""Serve HTTP on one connection: uvicorn's protocol with time limits."""

import asyncio
import fcntl
import struct
import termios
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from mhc_scope.api.problems import MEDIA_TYPE, Problem, to_response
from mhc_scope.api.request_spans import PROBES
from mhc_scope.edge.gate import Gate
from mhc_scope.edge.limits import MIN_RATE
from mhc_scope.pages.security import BARE_HEADERS

RETRY_AFTER_S = 5


@dataclass
class Pace:
    """Count the bytes that moved since the window began.

    Attributes
    ----------
    window_s: length of a window.
    began: when the window began, on the clock of the event loop.
    count: value of the byte counter at that time.
    """

    window_s: float
    began: float
    count: int

    def is_too_slow(self, now: float, count: int) -> bool:
        """Return whether a whole window has passed with fewer bytes than `MIN_RATE` allows; after a whole window
        start the next one.
        """
        if now - self.began < self.window_s:
            return False
        moved = count - self.count
        self.began, self.count = now, count
        return moved < MIN_RATE * self.window_s


class ProbesOnly:
    """ASGI middleware of one connection: answers a problem to all but the operators' routes."""

    def __init__(self, app: Any, root_path: str, problem: Problem) -> None:
        self._app, self._problem = app, problem
        self._paths = {prefix + path for path in PROBES for prefix in ("", root_path)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass probes on; answer the problem to all other requests."""
        if scope["path"] in self._paths:
            return await self._app(scope, receive, send)
        response = to_response(self._problem, scope["path"])
        response.headers.update({"Connection": "close", **BARE_HEADERS})
        return await response(scope, receive, send)


class EdgeProtocol(H11Protocol):
    """Closes a connection whose client is too slow.

    A head must be complete in time, a body must progress, and what is sent must be read. A client that has begun a
    request gets a 408; one that does not read is disconnected, and its event stream can resume after the last frame.
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
        """Answer only health probes, and all other requests with the problem `why` and this status."""
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        self._limit = Problem("too-many-connections", status, why, headers=headers)
        self.app = ProbesOnly(self.app, self._gate.root_path, self._limit)

    @property
    def is_sending(self) -> bool:
        """Return whether parts of an answer wait for the client to read them."""
        return self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add this connection to the gate's count of open connections."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._gate.admit(self, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove this connection from the gate's count of open connections."""
        self._gate.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when data came and a head began; answer immediately if a prepared file is requested."""
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
        """Return whether all requests are answered, all answers are read, and no next request has begun."""
        is_between = self in self._gate.waiting and not self._has_begun
        return is_between and self._limit is None and not self.is_sending and not self.transport.is_closing()

    def _send(self, head: bytes, body: bytes) -> None:
        """Send a prepared file as the answer, and wait for the next request as uvicorn does."""
        common = b"".join(name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers)
        self._gate.waiting.end(self)
        self.transport.write(b"".join((b"HTTP/1.1 200 OK\r\n", common, head, b"\r\n", body)))
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Note that an answer is complete, and wait for the next request."""
        self._has_answered, self._has_begun, self._body = True, False, None
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._has_begun = bool(self.conn.trailing_data[0])
            self._gate.waiting.begin(self, self.loop.time())

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than is sent, which starts a limit of time."""
        super().pause_writing()
        self._unread = Pace(self._gate.limits.unread_s, self.loop.time(), -self._count_pending())

    def resume_writing(self) -> None:
        """Note that the client has read what was sent, which ends the limit of time."""
        super().resume_writing()
        self._unread = None

    def keep_time(self, now: float) -> None:
        """Close the connection where its client has taken too long."""
        limits = self._gate.limits
        if self._unread is not None:
            if self._unread.is_too_slow(now, -self._count_pending()):
                self.drop()
        elif (since := self._gate.waiting.since(self)) is not None:
            if now - since > limits.header_s and not self.is_sending:
                self._end_waiting()
        elif self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            self._body = self._body or Pace(limits.body_s, now, self._received)
            if self._body.is_too_slow(now, self._received):
                self.refuse(Problem("timeout", 408, f"the body made hardly any progress for {limits.body_s:g} s"))
        else:
            self._body = None

    def _end_waiting(self) -> None:
        """Close a connection whose next request has not come in time: with 408 if its head has begun."""
        if self._has_begun:
            limit_s = self._gate.limits.header_s
            self.refuse(Problem("timeout", 408, f"the head of the request was not complete after {limit_s:g} s"))
        elif not self._has_answered:
            self.close_waiting()  # Between two requests uvicorn enforces the limit.

    def _count_pending(self) -> int:
        """Return the number of bytes that the client has not read: those buffered here and in the kernel."""
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
        """Close the connection without an answer."""
        self._gate.waiting.end(self)  # it is over: the next search for a descriptor must not choose it
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to data that is not HTTP."""
        self.refuse(Problem("http", 400, msg))

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun, and close."""
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
