"""A trace that grows on a server which is slow, forgetful or away: training goes on, and the trace is whole."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from mhc_core.record.codec import decode_line
from mhc_core.spec import SpecError
from mhc_probe import Monitor
from mhc_probe.monitor import delivery, destinations, server
from tests.probe.monitor.live_server import LiveTraces
from tests.probe.monitor.models import Tiny, build_optimizer, draw_batches, train


@pytest.fixture
def traces() -> Iterator[LiveTraces]:
    running = LiveTraces().start()
    yield running
    running.stop()


def watch(traces: LiveTraces, steps: int, after: Callable[[int], None] = lambda number: None) -> list[float]:
    """Train under a monitor that observes every pass; `after` is called behind each."""
    model, batches, losses = Tiny(), draw_batches(), []
    optimizer = build_optimizer(model)
    with Monitor(model, every=1, to=traces.url, layers=model.blocks):
        for number in range(steps):
            optimizer.zero_grad()
            loss = model(**next(batches)).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            after(number)
    return losses


def wait_for(is_reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_reached():
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_whole(traces: LiveTraces, steps: int) -> None:
    """All frames in their order, each once."""
    frames = [decode_line(line) for line in traces.lines]
    one_pass = ["forward", *["forward", "similarity"] * 4, "loss", *["backward"] * 5, "mixing"]
    assert [frame.type for frame in frames] == ["start", *one_pass, *["step"] * steps, *one_pass, "summary"]
    assert [frame.iteration for frame in frames if frame.type == "step"] == [*range(steps)]
    assert all(f'"index":{index},'.encode() in line for index, line in enumerate(traces.lines))
    assert traces.ended == {"status": "done", "reason": None}


def test_a_trace_grows_on_the_server(traces: LiveTraces) -> None:
    seen = []

    def look(number: int) -> None:
        wait_for(lambda: sum(b'"type":"step"' in line for line in traces.lines) == number + 1)
        seen.append(traces.ended)

    assert watch(traces, 4, look) == train(Tiny(), 4)
    assert seen == [None] * 4
    assert_whole(traces, 4)


@pytest.mark.sample(4)
@pytest.mark.parametrize("fault", [None, 503, 429, 500])
def test_faults_that_pass(traces: LiveTraces, fault: int | None, caplog: pytest.LogCaptureFixture) -> None:
    def break_down(number: int) -> None:
        if number in (0, 2):
            traces.faults += [fault] * 2

    watch(traces, 4, break_down)
    assert_whole(traces, 4)
    assert [record.getMessage().startswith(f"{traces.url} is unavailable") for record in caplog.records] == [True]


@pytest.mark.full
def test_answers_that_do_not_come_double_nothing(traces: LiveTraces) -> None:
    def forget(number: int) -> None:
        wait_for(lambda: bool(traces.lines))
        traces.forgets_answers = 1

    watch(traces, 4, forget)
    assert_whole(traces, 4)


@pytest.mark.full
def test_a_server_that_dies_and_comes_back(traces: LiveTraces, caplog: pytest.LogCaptureFixture) -> None:
    slowest = [0.0]
    before = [time.monotonic()]

    def kill(number: int) -> None:
        slowest[0] = max(slowest[0], time.monotonic() - before[0])
        if number == 1:
            wait_for(lambda: sum(b'"type":"step"' in line for line in traces.lines) == 2)
            traces.stop()
        if number == 8:
            assert sum(b'"type":"step"' in line for line in traces.lines) == 2
            traces.start()
        before[0] = time.monotonic()

    assert watch(traces, 12, kill) == train(Tiny(), 12)
    assert_whole(traces, 12)
    assert len(caplog.records) == 1


@pytest.mark.full
def test_a_server_that_lost_lines_gets_them_again(traces: LiveTraces) -> None:
    def lose(number: int) -> None:
        if number == 2:
            wait_for(lambda: sum(b'"type":"step"' in line for line in traces.lines) == 3)
            del traces.lines[-2:]

    watch(traces, 4, lose)
    assert_whole(traces, 4)


@pytest.mark.full
def test_a_server_that_is_never_there(
    traces: LiveTraces, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(destinations, "PATIENCE_S", 0.5)
    away = LiveTraces(port=9)  # discard: no one listens
    assert watch(away, 3) == train(Tiny(), 3)
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("http://127.0.0.1:9 is unavailable; training continues and the trace waits: ")
    assert last == "http://127.0.0.1:9: the last 4 observations of the trace were not delivered"


@pytest.mark.sample(4)
@pytest.mark.parametrize("fault", [401, 404, 413, 422])
def test_a_refusal_is_not_asked_again(traces: LiveTraces, fault: int, caplog: pytest.LogCaptureFixture) -> None:
    traces.faults = [fault]
    watch(traces, 3)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{traces.url} refuses the trace; training continues: it answers {fault}: fault {fault}"
    )
    assert traces.requests == ["/api/v1/traces/live"]


@pytest.mark.full
def test_what_waits_is_bounded_and_joins_on(traces: LiveTraces, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the server is away more is observed than may wait: some is left out, and the frames count on."""
    monkeypatch.setattr(delivery.DeliveryQueue.__init__, "__defaults__", (20_000,))
    traces.stop()

    def come_back(number: int) -> None:
        if number == 30:
            traces.start()
            wait_for(lambda: len(traces.lines) > 0)

    watch(traces, 40, come_back)
    frames = [decode_line(line) for line in traces.lines]
    steps = [frame for frame in frames if frame.type == "step"]
    assert 5 < len(steps) < 30
    assert [step.step for step in steps] == [*range(len(steps))]
    assert steps[-1].iteration == 39
    assert all(f'"index":{index},'.encode() in line for index, line in enumerate(traces.lines))


@pytest.mark.full
def test_lines_go_in_parts_that_no_server_finds_too_large(traces: LiveTraces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_BODY", 3000)

    def break_down(number: int) -> None:
        traces.faults = [503] if number in (0, 2) else []

    watch(traces, 4, break_down)
    assert_whole(traces, 4)
    assert len(traces.requests) > 10
    assert max(traces.sizes) < 3000


@pytest.mark.full
def test_a_server_hears_of_a_training_that_is_quiet(traces: LiveTraces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "KEEP_ALIVE_S", 0.05)
    model = Tiny()
    with Monitor(model, every=100, to=traces.url, layers=model.blocks):
        train(model, 1)
        wait_for(lambda: len(traces.requests) >= 4)
        kept = len(traces.lines)
    assert traces.requests[1:4] == [f"/api/v1/traces/abc/frames?index={kept}"] * 3
    assert_whole(traces, 1)


def test_the_address_is_printed_before_the_first_update_and_once(
    traces: LiveTraces, capsys: pytest.CaptureFixture[str]
) -> None:
    model, batches, printed = Tiny(), draw_batches(), []
    optimizer = build_optimizer(model)
    with Monitor(model, every=1, to=[f"{traces.url}/api/v1/"], layers=model.blocks) as monitor:
        printed.append(capsys.readouterr().err)
        assert monitor.url is None
        for _ in range(3):
            model(**next(batches)).loss.backward()
            optimizer.step()
            printed.append(capsys.readouterr().err)
        monitor.start(iteration=3)  # as a trainer's callback does within the context
    assert monitor.url == f"{traces.url}/#abc"
    assert printed[0] == f"mHC Scope: {traces.url} will show this training live, from its first pass on\n"
    assert printed[1] == f"mHC Scope: the live page of this training is {traces.url}/#abc\n"
    assert printed[2:] == ["", ""]
    assert capsys.readouterr() == ("", "")


@pytest.mark.full
def test_training_waits_once_and_not_long_for_a_server_that_does_not_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "FIRST_PATIENCE_S", 0.3)
    monkeypatch.setattr(destinations, "PATIENCE_S", 0.1)
    model, batches, waits = Tiny(), draw_batches(), []
    optimizer = build_optimizer(model)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Monitor(model, every=1, to=url, layers=model.blocks):
            for _ in range(2):
                model(**next(batches)).loss.backward()
                start = time.monotonic()
                optimizer.step()
                waits.append(time.monotonic() - start)
    assert waits[0] >= 0.3
    assert waits[1] < 0.3
    assert capsys.readouterr().err == f"mHC Scope: {url} will show this training live, from its first pass on\n"


def test_an_address_without_a_host_is_refused() -> None:
    model = Tiny()
    with pytest.raises(SpecError, match="an address such as"):
        Monitor(model, to="http://", layers=model.blocks)
