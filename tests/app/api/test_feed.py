"""What a viewer of a run that waits is sent, without a server: the feed over stand-ins for service and log."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mhc_scope.api.stream import Feed, Form
from mhc_scope.store.notifications import Hub
from tests.apart import run_loop

pytestmark = pytest.mark.full


def follow_until_closed(form: Form, cursor: int) -> bytes:
    """All that the feed sends of a run at the first place of the queue, on a server that stops."""

    async def read(run_id: str, after: int) -> list[bytes]:
        return []

    async def work() -> bytes:
        hub = Hub()
        hub.close()
        service = SimpleNamespace(hub=hub, position=lambda run_id: 1, log=SimpleNamespace(read=read))
        feed = Feed(cast(Any, service), 1.0, {"r": cursor}, form)
        with hub.subscribe(["r"], "viewer") as subscription:
            return b"".join([chunk async for chunk in feed.follow(subscription)])

    return run_loop(work())


def test_a_viewer_of_frames_in_memory_lets_others_have_their_turn() -> None:
    frames = [b'{"run":"r","index":0,"type":"forward"}\n'] * 50 + [b'{"run":"r","index":50,"type":"end"}\n']

    async def read(run_id: str, after: int) -> list[bytes]:
        return frames[after + 1 : after + 2]

    async def work() -> tuple[int, int]:
        hub, turns, chunks = Hub(), 0, 0
        service = SimpleNamespace(hub=hub, position=lambda run_id: None, log=SimpleNamespace(read=read))
        feed = Feed(cast(Any, service), 1.0, {"r": -1}, "ndjson")

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(count_turns())
        with hub.subscribe(["r"], "viewer") as subscription:
            async for _ in feed.follow(subscription):
                chunks += 1
        other.cancel()
        return chunks, turns

    chunks, turns = run_loop(work())
    assert chunks == len(frames)
    assert turns >= chunks


def test_a_server_that_stops_tells_event_sources_alone() -> None:
    assert b"event: closing\n" in follow_until_closed("sse", -1)
    assert follow_until_closed("ndjson", -1) == b""


def test_a_place_in_the_queue_is_told_before_the_first_frame_and_not_after() -> None:
    assert b"event: status\n" in follow_until_closed("sse", -1)
    assert b"event: status\n" not in follow_until_closed("sse", 0)
