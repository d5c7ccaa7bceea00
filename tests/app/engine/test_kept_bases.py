"""A worker keeps the pass of a run without edits for later jobs with edits."""

import io
import threading
from typing import Any

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


def refuse(*_: object) -> None:
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
