"""A small server of live traces: the three requests, over real HTTP, and what can go wrong with them."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "secret"


@dataclass
class LiveTraces:
    """What the server keeps, and what it does wrong next.

    Attributes
    ----------
    faults: answers in place of those that are due, one a request: a status, or None for a connection that is closed.
    forgets_answers: requests that are carried out, but whose answer does not come.
    """

    lines: list[bytes] = field(default_factory=list)
    ended: dict[str, object] | None = None
    faults: list[int | None] = field(default_factory=list)
    forgets_answers: int = 0
    requests: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "LiveTraces":
        """Listen, on the same port as before where there was one."""
        handler = type("Handler", (_Handler,), {"traces": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    traces: LiveTraces

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.traces.requests.append(self.path)
        self.traces.sizes.append(len(body))
        if self.traces.faults:
            fault = self.traces.faults.pop(0)
            if fault is not None:
                self._answer(fault, {"detail": f"fault {fault}"})
            return
        status, answer = self._carry_out(body)
        if self.traces.forgets_answers:
            self.traces.forgets_answers -= 1
            return
        self._answer(status, answer)

    def _carry_out(self, body: bytes) -> tuple[int, dict[str, object]]:
        address, new, kept = urlsplit(self.path), body.splitlines(keepends=True), self.traces.lines
        if address.path == "/api/v1/traces/live":
            kept[:] = new
            return 201, {"id": "abc", "token": TOKEN, "url": f"{self.traces.url}/#abc"}
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"detail": "no token"}
        if address.path == "/api/v1/traces/abc/end":
            self.traces.ended = json.loads(body)
            return 200, {}
        assert address.path == "/api/v1/traces/abc/frames"
        index = int(parse_qs(address.query)["index"][0])
        if index > len(kept):
            return 409, {"detail": "a gap", "due": len(kept)}
        kept[index:] = new if index + len(new) > len(kept) else kept[index:]
        return 200, {}

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal."""
