"""A job runs to its end, and its lines are those of the core, whole and in order."""

import asyncio

import pytest

from mhc_core.checks.recomputation import recompute
from mhc_core.measure.run import run
from mhc_core.record import codec
from mhc_core.spec import parse_spec
from mhc_scope.engine import local
from mhc_scope.engine.contract import RUN, VERIFICATION, Job
from tests.contract.engine.bench import SMALL, Bench

DEEP = SMALL | {"depth": 64}


async def test_a_job_starts_sends_lines_and_ends(bench: Bench) -> None:
    job_id = await bench.compute()
    reports = bench.recorder.of[job_id]
    assert reports.started
    assert reports.end is not None
    assert (reports.end.status, reports.end.reason) == ("done", None)
    assert reports.end.index == len(reports.lines) > SMALL["depth"]


async def test_lines_are_numbered_without_a_gap(bench: Bench) -> None:
    job_id = await bench.compute(DEEP)
    frames = bench.recorder.of[job_id].frames
    assert [frame["index"] for frame in frames] == list(range(len(frames)))
    assert {frame["run"] for frame in frames} == {job_id}
    assert (frames[0]["type"], frames[-1]["type"]) == ("start", "summary")


async def test_the_first_lines_come_before_the_last_are_computed(bench: Bench) -> None:
    (job_id, *others) = await bench.occupy()
    assert bench.recorder.of[job_id].end is None
    await bench.cancel(job_id, *others)


async def test_lines_are_those_of_the_core(bench: Bench) -> None:
    spec = SMALL | {"seed": 7}
    await bench.wait_until_free()
    bench.engine.submit(Job("core", RUN, spec))
    await bench.recorder.wait_for_end("core")
    expected = [codec.encode_frame(frame, "core", index) for index, frame in enumerate(run(parse_spec(spec)))]
    assert bench.recorder.of["core"].lines == expected


async def test_lines_are_the_same_after_the_base_was_prepared(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine whose workers cannot prepare it, this is one more run with edits."""
    monkeypatch.setattr(local, "PREPARE_AFTER_S", 0.0)
    edited = parse_spec(SMALL | {"seed": 8, "edits": [{"layers": (1, 1), "what": "branch", "do": "zero"}]})
    await bench.wait_until_free()
    bench.engine.prepare([edited])
    await asyncio.sleep(0.1)
    bench.engine.submit(Job("edited", RUN, edited.canonical()))
    await bench.recorder.wait_for_end("edited")
    expected = [codec.encode_frame(frame, "edited", index) for index, frame in enumerate(run(edited))]
    assert bench.recorder.of["edited"].lines == expected


async def test_a_verification_is_the_recomputation_of_the_core(bench: Bench) -> None:
    spec = SMALL | {"seed": 7}
    await bench.wait_until_free()
    bench.engine.submit(Job("check", VERIFICATION, spec))
    end = await bench.recorder.wait_for_end("check")
    assert (end.index, end.status) == (1, "done")
    assert bench.recorder.of["check"].lines == [codec.encode_frame(recompute(parse_spec(spec)), "check", 0)]


async def test_kinds_side_by_side_keep_apart(bench: Bench) -> None:
    ids: dict[str, list[str]] = {RUN: [], VERIFICATION: []}
    for kind in (RUN, VERIFICATION) * 3:
        ids[kind].append(await bench.submit(kind=kind))
    for kind, types in ((RUN, {"start", "summary"}), (VERIFICATION, {"recomputation"})):
        for job_id in ids[kind]:
            assert (await bench.recorder.wait_for_end(job_id)).status == "done"
            frames = bench.recorder.of[job_id].frames
            assert {frame["run"] for frame in frames} == {job_id}
            assert {frames[0]["type"], frames[-1]["type"]} == types


async def test_two_workers_compute_side_by_side(bench: Bench) -> None:
    ids = await bench.occupy()
    assert len(ids) == 2
    counts = [len(bench.recorder.of[job_id].lines) for job_id in ids]
    for job_id, count in zip(ids, counts, strict=True):
        await bench.recorder.wait_for_lines(job_id, count + 1)
    await bench.cancel(*ids)


async def test_many_jobs_are_each_done_once(bench: Bench) -> None:
    ids = [await bench.submit() for _ in range(24)]
    ends = await asyncio.gather(*map(bench.recorder.wait_for_end, ids))
    assert [end.status for end in ends] == ["done"] * len(ids)
    assert len({end.index for end in ends}) == 1


async def test_an_id_whose_job_has_ended_can_be_submitted_again(bench: Bench) -> None:
    job_id = await bench.compute()
    first = bench.recorder.of.pop(job_id)
    await bench.submit(job_id=job_id)
    end = await bench.recorder.wait_for_end(job_id)
    assert (end.index, end.status) == (len(first.lines), "done")
    assert bench.recorder.of[job_id].frames[0]["index"] == 0


async def test_an_id_under_way_is_refused(bench: Bench) -> None:
    job_id = await bench.submit()
    with pytest.raises(AssertionError, match=job_id):
        bench.submit_now(job_id=job_id)
    assert (await bench.recorder.wait_for_end(job_id)).status == "done"
