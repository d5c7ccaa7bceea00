"""Viewers that read a run's event stream in a thread, are cut off, and come back with what they have seen."""

import json
import socket
import threading
from collections.abc import Iterator

import httpx

from tests.conftest import Server

QUIET_S = 90.0  # heartbeats come far more often, however loaded the machine is
JOIN_S = 90.0


class Viewer:
    """`lines` are the frames that have come, as they came; `wrong` is what was wrong with the stream."""

    def __init__(self, run_id: str, name: str, generation: int) -> None:
        self.run_id, self.name, self.generation = run_id, name, generation
        self.server: Server | None = None  # the last one that it was open at
        self.lines: list[bytes] = []
        self.wrong: str | None = None
        self.has_ended = False
        self.is_told_to_stay_away = False
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._begun = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether the stream is being read."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come any more."""
        return self.has_ended or self.is_told_to_stay_away or self.wrong is not None

    def open(self, server: Server) -> None:
        """Read from behind what has been seen; returns once the answer has begun, or failed."""
        assert not self.is_open
        self._begun.clear()
        self.server = server
        self._thread = threading.Thread(target=self._read, args=(server,), daemon=True)
        self._thread.start()
        self._begun.wait(QUIET_S)

    def cut(self) -> None:
        """Break the connection."""
        if self._socket is not None and self.is_open:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended since
                self._socket = None
        self.join()

    def join(self, timeout_s: float = JOIN_S) -> None:
        """Wait until the stream has ended or broken."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self.wrong = self.wrong or f"the stream is open still after {timeout_s:g} s"

    def _read(self, server: Server) -> None:
        headers = {"Last-Event-ID": str(len(self.lines) - 1)} if self.lines else {}
        url = f"{server.api}/runs/{self.run_id}/events"
        try:
            with httpx.stream("GET", url, params={"viewer": self.name}, headers=headers, timeout=QUIET_S) as answer:
                self._socket = answer.extensions["network_stream"].get_extra_info("socket")
                self._begun.set()
                self._take(answer)
        except httpx.TransportError:
            return  # it was cut off, or its server was killed
        finally:
            self._socket = None
            self._begun.set()

    def _take(self, answer: httpx.Response) -> None:
        if answer.status_code == 204:
            self.is_told_to_stay_away = True
        elif answer.status_code != 200:
            answer.read()
            self.is_told_to_stay_away = answer.status_code == 404
            if answer.status_code not in (404, 503):
                self.wrong = f"{answer.status_code}: {answer.text}"
        else:
            for event in read_events(answer.iter_lines()):
                self.add(event)

    def add(self, event: dict[str, str]) -> None:
        """Take an event, and note what is wrong with it."""
        if "id" not in event:
            return
        frame = json.loads(event["data"])
        index = len(self.lines)
        if self.has_ended:
            self.wrong = f"frame {event['id']} behind the end"
        elif (int(event["id"]), frame["index"], frame["run"]) != (index, index, self.run_id):
            self.wrong = f"frame {event['id']}, {frame['index']} of {frame['run']}, where {index} is due"
        self.lines.append(event["data"].encode() + b"\n")
        self.has_ended = frame["type"] == "end"


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Events as they arrive; of one that is broken off, nothing."""
    event: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value
        elif not line:
            if "data" in event:
                yield event
            event = {}
