"""A comparison watches its runs from when it is asked for: no one ends them before its stream has begun."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from fastapi import Request

from mhc_scope.api.runs import compare_runs
from mhc_scope.services.errors import ServerStreamLimitError, TooExpensiveError
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.streams import StreamLimit, StreamPlace
from mhc_scope.settings import Settings
from tests.app.cluster.puppet import make_spec, play, start_local

pytestmark = pytest.mark.full


def build_request(body: bytes) -> Request:
    """A POST that asks for a stream."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    app = SimpleNamespace(state=SimpleNamespace(settings=Settings()))
    headers = [(b"accept", b"text/event-stream")]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "app": app}, receive)


def test_who_asked_first_does_not_end_a_run_for_one_whose_stream_is_about_to_begin(tmp_path: Path) -> None:
    async def act() -> None:
        server, spec = await start_local(tmp_path), make_spec(1)
        run_id = await server.submit(spec, "ann")
        await server.engine.step(run_id)
        ben, streams = ClientIdentity("ben", "192.0.2.1"), StreamLimit(8)
        request = build_request(orjson.dumps([spec.canonical()]))
        about_to_begin = await compare_runs(request, server.runs, ben, StreamPlace(streams, ben), "page of ben")
        assert await server.cancel(run_id, "page of ann") == "running"
        assert about_to_begin.status_code == 200
        await server.stop()

    play(act())


def test_a_comparison_that_finds_no_place_for_its_stream_leaves_no_run(tmp_path: Path) -> None:
    async def act() -> None:
        server, specs = await start_local(tmp_path), [make_spec(1), make_spec(2)]
        ben, streams = ClientIdentity("ben", "192.0.2.1"), StreamLimit(1)
        requests = [build_request(orjson.dumps([spec.canonical()])) for spec in specs]  # both find room at first
        posts = [compare_runs(one, server.runs, ben, StreamPlace(streams, ben), "page of ben") for one in requests]
        answer, refusal = await asyncio.gather(*posts, return_exceptions=True)
        assert (answer.status_code, type(refusal)) == (202, ServerStreamLimitError)  # type: ignore[union-attr]
        assert [(await server.get(spec.id)).status for spec in specs] == ["running", "cancelled"]
        await server.stop()

    play(act())


def test_a_comparison_that_is_refused_watches_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        server, spec = await start_local(tmp_path, max_run_seconds=1e-9), make_spec(1)
        ben, streams = ClientIdentity("ben", "192.0.2.1"), StreamLimit(8)
        request = build_request(orjson.dumps([spec.canonical()]))
        with pytest.raises(TooExpensiveError):
            await compare_runs(request, server.runs, ben, StreamPlace(streams, ben), "page of ben")
        assert server.runs.hub.list_watched_runs() == []
        assert streams.open == 0
        await server.stop()

    play(act())
