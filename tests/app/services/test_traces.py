"""A record that was not computed here, but stored as a trace: it is served like a finished run."""

import asyncio
from pathlib import Path

import httpx

from app.store.database import Database
from app.store.runs import RunStore
from app.store.sources import TraceSource
from mhc_core.record import codec
from mhc_core.record.frames import EndFrame
from tests.conftest import StartServer
from tests.records import START, SUMMARY

SAID = {"headline": codec.to_plain(SUMMARY.headline), "findings": codec.to_plain(SUMMARY.findings)}
NAME = "0123456789abcdef0123"
SOURCE: TraceSource = {"kind": "trace", "model": "ours", "versions": {"torch": "2.9"}}
LINES = [codec.encode_frame(START, NAME, 0), codec.encode_frame(SUMMARY, NAME, 1)]


def store_trace(data: Path) -> None:
    """Put the trace into a data folder that no server uses."""

    async def inside() -> None:
        database = Database(f"sqlite:///{data / 'mhc-scope.db'}")
        await RunStore(database).add_record(NAME, SOURCE, LINES)
        await database.close()

    asyncio.run(inside())


def test_a_trace_is_served_like_a_finished_run(launch: StartServer, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    store_trace(tmp_path / "data")
    own = launch("--workers", "1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run = http.get(f"/runs/{NAME}").json()
        assert (run["status"], run["spec"], run["frames"], run["summary"]) == ("done", None, 3, SAID)
        assert run["timings"]["run_s"] is None
        stream = http.get(f"/runs/{NAME}/events", headers={"Accept": "application/x-ndjson"})
        assert stream.content.startswith(b"".join(LINES))
        assert codec.decode_line(stream.content.splitlines()[-1]) == EndFrame(status="done", reason=None)
        assert http.delete(f"/runs/{NAME}").json()["status"] == "done"
        refused = http.post(f"/runs/{NAME}/verify")
        assert (refused.status_code, refused.json()["type"]) == (409, "/docs#problem-no-spec")
        assert http.post("/snapshots", json={"runs": [NAME], "title": "a trace"}).status_code == 201
