"""What the engine reports is stored, also where the last frames of a job cannot be."""

import asyncio
from pathlib import Path

import pytest

from mhc_core.record.source import SpecSource
from mhc_core.spec import parse_spec
from mhc_scope.engine.contract import RUN
from mhc_scope.services.predictions import Predictions
from mhc_scope.services.reports import ClaimedRun, Reports
from mhc_scope.store.claims import RunClaim
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import NewJob
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.store import build_local
from tests.app.services.test_predictions import Busy, make

LINES = [b'{"run":"r","index":%d,"type":"forward"}\n' % index for index in range(3)]
OTHER = [b'{"run":"r","index":%d,"type":"other"}\n' % index for index in range(3)]


@pytest.mark.parametrize(("last", "status", "stored"), [(LINES[1:], "done", 4), (OTHER[1:], "failed", 3)])
def test_last_frames_come_with_the_end_unless_they_differ_from_those_stored(
    tmp_path: Path, last: list[bytes], status: str, stored: int
) -> None:
    async def report() -> None:
        database = SqliteDatabase(f"sqlite:///{tmp_path}/mhc.db")
        store, hub = build_local(database, Hub()), Hub()
        log = FrameLog(store.runs, hub, 10**6)
        predictions: Predictions = make(Busy())
        ended: list[str] = []
        reports = Reports(store.queue, log, hub, predictions, lambda: None, lambda run, client: ended.append(run))
        spec = parse_spec({})
        turn = await store.queue.take_turn({"r": NewJob(RUN, SpecSource(spec=spec.canonical()), {"seconds": 1.0})}, 1)
        claim = RunClaim("r", turn.claimed[0].fence)
        reports.claimed["r"] = ClaimedRun(claim, "", 1, RUN, 0.0, 1.0)
        predictions.expect("r", RUN, spec)
        await reports.on_start("r")
        await log.append("r", 0, LINES[:2], claim)  # of an earlier try
        await reports.on_end("r", 1, "done", None, last)
        run = await store.runs.get("r")
        assert run is not None
        assert (run.status, run.frames, ended) == (status, stored, ["r"])
        assert await store.runs.read("r", -1, 2) == LINES[:2]
        await database.close()

    asyncio.run(report())
