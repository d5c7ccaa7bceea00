"""A worker keeps the pass of a run without edits for later jobs with edits."""

import io
import queue
import threading
import time
from typing import Any

import orjson
import pytest

from mhc_core.measure import passes
from mhc_core.spec import parse_spec
from mhc_scope.engine import worker_process as worker
from mhc_scope.engine.pipe import AnswerWriter

SMALL: dict[str, Any] = {
    "connection": {"kind": "hc"},
    "depth": 2,
    "width": 8,
    "block": {"kind": "mlp"},
    "input": {"kind": "gaussian", "batch": 1, "tokens": 8},
}
CUT = {"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the run without edits is computed again")


def test_a_job_with_edits_reads_what_an_earlier_job_has_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        {"run": "one", "kind": "run", "spec": parse_spec(SMALL | more).canonical()} for more in ({}, {"edits": [CUT]})
    ]
    monkeypatch.setattr(passes, "record_base", refuse)
    kept = worker.open_bases()
    answers = AnswerWriter(io.BytesIO())

    def execute(job: dict[str, Any], bases: Any) -> tuple[str, str | None]:
        return worker.execute(job, threading.Event(), answers, 1, 2**33, None, bases)

    assert execute(jobs[1], kept) == ("failed", "AssertionError: the run without edits is computed again")
    assert [execute(job, kept) for job in jobs] == [("done", None)] * 2
    assert execute(jobs[1], worker.open_bases())[0] == "failed"


def test_a_base_is_prepared_unless_another_job_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = parse_spec(SMALL)
    bases = worker.open_bases()
    worker.prepare_base(spec.canonical(), lambda body: True, 1, bases)
    assert bases.find(spec) is None
    worker.prepare_base(spec.canonical(), lambda body: False, 1, bases)
    assert bases.find(spec) is not None
    monkeypatch.setattr(passes, "record_base", refuse)
    worker.prepare_base(parse_spec(SMALL | {"seed": 1}).canonical(), lambda body: False, 1, bases)
    assert "computed again" in capsys.readouterr().err, "the log says why there is none"


def test_only_a_job_that_does_not_need_the_base_stops_it() -> None:
    plain, edited, other = (
        parse_spec(SMALL | more).canonical() for more in ({}, {"edits": [CUT]}, {"seed": 1, "edits": [CUT]})
    )
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reader = worker._CommandReader(iter(lines.get, b""))  # type: ignore[arg-type]
    for kind, spec, stops in (("run", edited, False), ("run", other, True), ("lens", edited, True)):
        lines.put(orjson.dumps({"base": plain}))
        assert reader.next_command() == {"base": plain}
        assert not reader.must_stop(plain)
        lines.put(orjson.dumps({"run": "a", "kind": kind, "spec": spec}))
        until = time.monotonic() + 30
        while reader._commands.empty() and time.monotonic() < until:
            time.sleep(0.01)
        assert reader.must_stop(plain) == stops
        assert reader.next_command()["spec"] == spec
        assert not reader.must_stop(plain), "it has begun"
