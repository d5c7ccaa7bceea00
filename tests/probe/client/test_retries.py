"""A server that is busy or not there yet is asked again, when it says."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mhc_probe.client import AsyncClient, Client, LostError, RefusedError
from mhc_probe.client.exchange import ApiRequest, ApiResponse, NoResponse, Pause, RetrySchedule, read_retry_after, send
from mhc_probe.client.run_stream import RunStream
from tests.apart import run_loop
from tests.conftest import StartServer
from tests.ports import free_port

FreshSpec = Callable[..., dict[str, Any]]
ONE_RUN = ("--workers", "1", "--queue-s", "0.001")
RETRY_AFTER_S = 1  # what this server says
LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.full
def test_a_full_server_is_asked_again_when_it_says(launch: StartServer, fresh_spec: FreshSpec) -> None:
    server = launch(*ONE_RUN)
    slow = fresh_spec(depth=256)
    with Client(server.url, patience_s=0) as hasty, Client(server.url) as patient:
        run = patient.submit(slow)
        with pytest.raises(RefusedError) as caught:
            hasty.submit(fresh_spec())
        assert (caught.value.status, caught.value.kind) == (503, "queue-full")
        started = time.monotonic()
        second = patient.submit(fresh_spec())
        assert time.monotonic() - started >= RETRY_AFTER_S
        assert patient.get_run(run).status == "done"
        assert patient.result(second).depth == 4


@pytest.mark.full
def test_a_figure_waits_for_its_run(launch: StartServer, fresh_spec: FreshSpec) -> None:
    server = launch("--workers", "1")

    async def draw() -> Any:
        async with AsyncClient(server.url) as client:
            run = await client.submit(fresh_spec(depth=128))
            return await client.figure(run, "gain", theme="dark", difference=None)

    assert run_loop(draw())["data"]


@pytest.mark.full
def test_a_server_that_starts_later_is_waited_for(launch: StartServer, fresh_spec: FreshSpec) -> None:
    port = free_port()
    later = threading.Timer(1.0, lambda: launch("--workers", "1", port=port))
    later.start()
    with Client(f"http://127.0.0.1:{port}") as client:
        assert client.result(client.submit(fresh_spec())).depth == 4
    later.join()


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("", None), ("soon", None), (LONG_AGO, 0.0)])
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert read_retry_after({"retry-after": text}) == seconds


def test_patience_grows_and_ends() -> None:
    patience = RetrySchedule(4.0)
    pauses = [pause for _ in range(20) if (pause := patience.next_pause(None)) is not None]
    assert sum(pauses) <= 4.0
    assert pauses[0] <= 0.25 < pauses[2]
    assert patience.next_pause(4.5) is None
    patience.renew()
    assert patience.next_pause(3.5) == 3.5


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_what_will_not_pass_is_not_asked_twice(status: int) -> None:
    call = send(ApiRequest("GET", "/"), 60.0)
    next(call)
    with pytest.raises(RefusedError, match="no such thing"):
        call.send(ApiResponse(status, {"content-type": "text/plain"}, b"no such thing"))


@pytest.mark.parametrize(
    "answer",
    [
        NoResponse("gone"),
        ApiResponse(409, {"retry-after": "1"}, b""),
        ApiResponse(429, {}, b""),
        ApiResponse(503, {}, b""),
    ],
)
def test_what_may_pass_is(answer: ApiResponse | NoResponse) -> None:
    call = send(ApiRequest("GET", "/"), 60.0)
    request = next(call)
    pause = call.send(answer)
    assert isinstance(pause, Pause)
    assert pause.seconds > 0
    assert call.send(None) == request
    with pytest.raises(StopIteration) as end:
        call.send(ApiResponse(200, {}, b"{}"))
    assert end.value.value.read_json() == {}


BUSY = ApiResponse(503, {"retry-after": "7", "content-type": "text/plain"}, b"come again")


def test_a_call_waits_as_long_as_it_is_told() -> None:
    call = send(ApiRequest("GET", "/"), 20.0)
    next(call)
    for _ in range(2):
        assert call.send(BUSY) == Pause(7.0)
        call.send(None)
    with pytest.raises(RefusedError, match="come again"):
        call.send(BUSY)  # 21 s would be more than it has


def test_a_stream_waits_as_long_as_it_is_told() -> None:
    stream = RunStream("a", "viewer", 20.0)
    for _ in range(2):
        stream.begin(BUSY)
        assert stream.pause() == 7.0
    stream.begin(BUSY)
    with pytest.raises(RefusedError, match="come again"):
        stream.pause()
    stream = RunStream("a", "viewer", 2.0)
    stream.begin(ApiResponse(200, {"content-type": "text/event-stream"}, b""))
    assert stream.receive(b"retry: 1500\n\n") == []
    assert stream.pause() == 1.5
    stream.break_connection("reset by peer")
    with pytest.raises(LostError, match="reset by peer"):
        stream.pause()


def test_another_kind_of_server_is_not_taken_for_ours() -> None:
    stream = RunStream("a", "viewer", 20.0)
    with pytest.raises(RefusedError, match="a web page"):
        stream.begin(ApiResponse(200, {"content-type": "text/html"}, b"a web page"))
