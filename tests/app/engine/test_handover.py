"""A run with edits goes to the worker that has computed the same run without them, if that one is idle."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mhc_core.spec import parse_spec
from mhc_scope.engine import local
from mhc_scope.engine.contract import RUN, VERIFICATION, Job
from mhc_scope.engine.handover import KNOWN_BASES, Handover
from mhc_scope.engine.local import LocalEngine
from mhc_scope.settings import Settings
from tests.contract.engine.recorder import Recorder

CUT = [{"layers": [1, 1], "what": "stream", "index": 0, "do": "zero"}]


class Idle:
    """A worker that only waits."""

    async def wait(self) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True)
class Entry:
    job: Job


def build_entry(kind: str = RUN, **fields: Any) -> Entry:
    spec = parse_spec({"connection": {"kind": "hc"}, "depth": 4, **fields})
    return Entry(Job(spec.id, kind, spec.canonical()))


async def give(handover: Handover[Entry], worker: Any, entry: Entry) -> None:
    """Let a worker compute a job alone."""
    arrival = handover.wait(worker)
    handover.put(entry)
    assert arrival.result() is entry


def test_a_run_with_edits_goes_to_the_worker_that_has_its_base() -> None:
    async def check() -> None:
        handover, first, second = Handover[Entry](), Idle(), Idle()
        await give(handover, first, build_entry(seed=1))
        await give(handover, second, build_entry(seed=2))
        arrivals: list[Any] = [handover.wait(worker) for worker in (first, second)]  # type: ignore[arg-type]
        edited = [build_entry(seed=seed, edits=CUT) for seed in (2, 1)]
        assert all(handover.knows(entry.job) for entry in edited)
        for entry in edited:
            handover.put(entry)
        assert not any(handover.knows(entry.job) for entry in edited), "their workers are busy"
        assert [arrival.result() for arrival in arrivals] == edited[::-1]

    asyncio.run(check())


def test_an_idle_worker_takes_a_run_whose_own_is_busy() -> None:
    async def check() -> None:
        handover, other = Handover[Entry](), Idle()
        await give(handover, Idle(), build_entry())
        arrival = handover.wait(other)  # type: ignore[arg-type]
        edited = build_entry(edits=CUT)
        handover.put(edited)
        assert arrival.result() is edited

    asyncio.run(check())


def test_other_jobs_and_forgotten_bases_go_to_the_worker_that_has_waited_longest() -> None:
    async def check(*before: Entry) -> None:
        handover, longest, last = Handover[Entry](), Idle(), Idle()
        for entry in before:
            await give(handover, last, entry)
        arrival = handover.wait(longest)  # type: ignore[arg-type]
        handover.wait(last)  # type: ignore[arg-type]
        edited = build_entry(edits=CUT)
        handover.put(edited)
        assert arrival.result() is edited

    asyncio.run(check(build_entry(VERIFICATION)))
    asyncio.run(check(build_entry(), *(build_entry(seed=seed) for seed in range(1, KNOWN_BASES + 1))))


def test_a_job_waits_for_a_worker_and_a_worker_that_leaves_gets_none() -> None:
    async def check() -> None:
        handover, gone, entry = Handover[Entry](), Idle(), build_entry()
        left = handover.wait(gone)  # type: ignore[arg-type]
        handover.leave(gone)  # type: ignore[arg-type]
        handover.put(entry)
        assert not left.done()
        assert handover.wait(Idle()).result() is entry  # type: ignore[arg-type]

    asyncio.run(check())


def test_the_spare_worker_takes_a_run_whose_base_it_alone_has() -> None:
    async def check() -> None:
        engine = LocalEngine(Settings(workers=2))
        spare, workers = Idle(), [Idle(), Idle()]
        engine._spare = spare  # type: ignore[assignment]
        await give(engine._spare_handover, spare, build_entry(seed=1))  # type: ignore[arg-type]
        arrivals: list[Any] = [engine._handover.wait(worker) for worker in workers]  # type: ignore[arg-type]
        of_spare = engine._spare_handover.wait(spare)  # type: ignore[arg-type]
        edited = [build_entry(seed=seed, edits=CUT).job for seed in (1, 2, 3)]
        for job, is_spare in zip(edited, (False, False, True), strict=True):
            engine.submit(replace(job, is_spare=is_spare))
        assert of_spare.result().job.id == edited[0].id
        assert [arrival.result().job.id for arrival in arrivals] == [job.id for job in edited[1:]], (
            "they do not wait for it"
        )

    asyncio.run(check())


class Preparing(Idle):
    """A worker that records its commands."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def send(self, command: dict[str, Any]) -> None:
        self.commands.append(command)


def test_idle_workers_prepare_a_base_each_unless_one_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PREPARE_AFTER_S", 0.0)

    async def check() -> None:
        engine = LocalEngine(Settings(workers=2))
        known, fresh, spare = (Preparing() for _ in range(3))
        specs = [parse_spec(build_entry(seed=seed, edits=CUT).job.spec) for seed in range(5)]
        large, over_depth = (build_entry(**fields) for fields in ({"width": 4096}, {"connection": {"kind": "attnres"}}))
        await give(engine._handover, known, build_entry(seed=0))  # type: ignore[arg-type]
        for worker in (known, fresh):
            engine._handover.wait(worker)  # type: ignore[arg-type]
        engine._spare_handover.wait(spare)  # type: ignore[arg-type]
        assert [engine.has_base(spec) for spec in specs] == [True, False, False, False, False]
        engine.prepare(specs[-1:])  # a later call counts instead
        engine.prepare([parse_spec(large.job.spec), parse_spec(over_depth.job.spec), *specs])
        await asyncio.sleep(0.01)
        found = [[command["base"] for command in worker.commands] for worker in (known, fresh, spare)]
        assert found == [[build_entry(seed=seed).job.spec] for seed in (1, 2, 3)]
        assert [engine.has_base(spec) for spec in specs] == [True, True, True, True, False]
        edited = build_entry(seed=2, edits=CUT)
        engine.submit(edited.job)
        assert list(engine._handover.idle) == [known]

    asyncio.run(check())


def test_a_spare_worker_is_replaced_once_it_has_computed_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits without end before, and then for a while only: also after a base, which takes memory as a run does."""

    async def check() -> None:
        engine, spare = LocalEngine(Settings(workers=2)), Preparing()
        engine._sink = Recorder()
        waiting = asyncio.create_task(engine._take_job(spare, engine._spare_handover, 0.01))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        assert not waiting.done()
        engine._prepare_bases([parse_spec(build_entry().job.spec)])
        assert await asyncio.wait_for(waiting, 30) is None
        assert spare.commands

    asyncio.run(check())
