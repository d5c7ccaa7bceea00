"""The parts of the trials find what they are there to find."""

import contextlib
import dataclasses
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.conftest import Server
from tests.endurance.site import servers
from tests.endurance.site.ledger import Ledger
from tests.endurance.site.relay import Relay
from tests.endurance.site.servers import find_marked, mark, wait_until_gone
from tests.endurance.site.viewers import Event, Followed, follow, read_events, take

pytestmark = pytest.mark.full


@pytest.fixture
def followed(server: Server, fresh_spec: Callable[..., dict[str, object]]) -> Followed:
    run_id = httpx.post(f"{server.api}/runs", json=fresh_spec(), timeout=60).json()["id"]
    return follow([server.url], run_id, 120)


def test_a_run_that_is_there_is_not_lost(server: Server, followed: Followed) -> None:
    ledger = Ledger()
    ledger.note_followed(followed)
    assert (followed.status, followed.cuts, ledger.wrong) == ("done", 0, [])
    assert ledger.find_lost([server.url]) == []


def test_a_frame_that_is_other_than_was_sent_is_found(server: Server, followed: Followed) -> None:
    ledger = Ledger()
    ledger.note_followed(dataclasses.replace(followed, lines=[followed.lines[0] + " ", *followed.lines[1:]]))
    ledger.note_followed(dataclasses.replace(followed, lines=followed.lines[1:]))
    ledger.note_followed(dataclasses.replace(followed, run_id="0" * 20))
    other, fewer, unknown = ledger.find_lost([server.url])
    assert "other frames" in other
    assert "other frames" in fewer
    assert "is None, and was told to be done" in unknown or "is 404" in unknown


def test_frames_that_are_missing_or_come_twice_are_found() -> None:
    for ids in (["0", "2"], ["0", "1", "1"]):
        found = Followed("r")
        for one in ids:
            take(Event(one, "forward", "{}"), found)
        assert len(found.torn) == 1


def test_a_run_without_an_end_and_an_unclear_answer_are_wrong() -> None:
    ledger = Ledger()
    ledger.note_followed(Followed("r"))
    request = httpx.Request("POST", "http://127.0.0.1/runs")
    ledger.note_answer(httpx.Response(500, text="oh", request=request))
    problem = {"type": "/docs#problem-store-unavailable", "detail": "locked"}
    kind = {"content-type": "application/problem+json"}
    ledger.note_answer(httpx.Response(503, json=problem, headers=kind, request=request))
    assert len(ledger.wrong) == 2
    assert ledger.refused == {"500 unclear": 1, "503 store-unavailable": 1}


def test_events_are_read_as_they_were_sent() -> None:
    lines = ["retry: 500", "", ": heartbeat", "", "id: 4", "event: loss", 'data: {"a": 1}', "", "id: 5", "event: end"]
    assert list(read_events(iter(lines))) == [Event("4", "loss", '{"a": 1}')]


def test_a_process_that_is_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "GONE_S", 0.5)
    monkeypatch.setenv(servers.MARK, "")
    marked = mark()
    left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while left.pid not in find_marked(marked) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(wait_until_gone(marked)) == [left.pid]
    finally:
        left.communicate()
    assert wait_until_gone(marked) == {}


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says what it hears, at this port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])


def _echo(listener: socket.socket) -> None:
    while True:
        try:
            one, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo_one, args=(one,), daemon=True).start()


def _echo_one(one: socket.socket) -> None:
    with one, contextlib.suppress(ConnectionResetError):
        while data := one.recv(100):
            one.sendall(data)


def test_a_relay_passes_holds_back_and_resets(echo: int) -> None:
    relay = Relay(echo)
    try:
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as one:
            one.sendall(b"a")
            assert one.recv(1) == b"a"
            relay.stall()
            time.sleep(0.2)
            one.sendall(b"b")
            one.settimeout(0.5)
            with pytest.raises(TimeoutError):
                one.recv(1)
            relay.mend()
            one.settimeout(20)
            assert one.recv(1) == b"b"
            relay.refuse()
            with pytest.raises(ConnectionResetError):
                one.recv(1)
    finally:
        relay.close()
