"""A record that was not computed here, but stored as a trace: it is served like a finished run."""

import asyncio
from pathlib import Path

import httpx

from app.store.database import Database
from app.store.runs import RunStore
from app.store.sources import TraceSource
from mhc_core.record import codec
from mhc_core.record.frames import Frame
from tests.conftest import StartServer

NAME = "0123456789abcdef0123"
SOURCE: TraceSource = {"kind": "trace", "model": "ours", "versions": {"torch": "2.9"}}
START = Frame("start", {"device": {"name": "cpu"}, "versions": {"torch": "2.9"}, "layers": 4})
SUMMARY = Frame("summary", {"headline": {"text": "so"}, "findings": []})
LINES = [codec.encode_frame(frame, NAME, index) for index, frame in enumerate((START, SUMMARY))]


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
        assert (run["status"], run["spec"], run["frames"], run["summary"]) == ("done", None, 3, SUMMARY.data)
        assert run["timings"]["run_s"] is None
        stream = http.get(f"/runs/{NAME}/events", headers={"Accept": "application/x-ndjson"})
        assert stream.content.startswith(b"".join(LINES))
        assert codec.decode_line(stream.content.splitlines()[-1])["status"] == "done"
        assert http.delete(f"/runs/{NAME}").json()["status"] == "done"
        refused = http.post(f"/runs/{NAME}/verify")
        assert (refused.status_code, refused.json()["type"]) == (409, "/docs#problem-no-spec")
        assert http.post("/snapshots", json={"runs": [NAME], "title": "a trace"}).status_code == 201
