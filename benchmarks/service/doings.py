"""What people do with a server, one thing a function: each begins with nothing and leaves what the server may drop."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from benchmarks.service.visitors import API, Visitor
from mhc_core.record.codec import encode_frame
from mhc_core.record.frames import AnyFrame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from tests.records import anonymise

KINDS = ("residual", "hc", "mhc")
OCTETS = {"Content-Type": "application/octet-stream"}
LOOK_S = 0.2


@dataclass
class Hand:
    """A visitor with its random generator, and frames for its traces."""

    visitor: Visitor
    draw: random.Random
    frames: list[AnyFrame]

    def to_spec(self, **fields: Any) -> dict[str, Any]:
        """Return a small spec that no run has."""
        spec = {"seed": self.draw.randrange(2**31), "depth": self.draw.choice((4, 8, 16, 32))}
        connection = {"kind": self.draw.choice(KINDS)}
        return {**spec, "width": 16, "input": {"tokens": 16}, "connection": connection, **fields}

    def to_trace(self) -> list[AnyFrame]:
        """Return a trace with unique content."""
        model = Model(name=f"Ours{self.draw.randrange(2**31)}", parameters=12)
        source = TraceSource(model=model, versions={"torch": "2.9"})
        return [replace(frame, source=source) if isinstance(frame, StartFrame) else frame for frame in self.frames]


async def run(hand: Hand) -> None:
    """Start a run, and follow it to its end."""
    await hand.visitor.compute(hand.to_spec())


async def compare(hand: Hand) -> None:
    """Start three runs on one stream. One comparison in three is left in the middle, and its runs are cancelled."""
    spec = hand.to_spec(depth=64)
    specs = [{**spec, "connection": {"kind": kind}} for kind in KINDS]
    patience = hand.draw.choice((2, 10_000, 10_000))
    ids: list[str] = []
    ends = seen = 0
    stream = hand.visitor.compare(specs)
    async for event in stream:
        if event.kind == "submitted":
            ids = [item["id"] for item in orjson.loads(event.data)]
        ends += event.kind == "end"
        seen += 1
        if seen >= patience:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    if patience > 2 and ends != len(KINDS):
        hand.visitor.fail(f"a comparison of {len(KINDS)} runs had {ends} ends")
    if patience == 2:
        for run_id in ids:
            await hand.visitor.ask("DELETE", f"{API}/runs/{run_id}?viewer={hand.visitor.name}")


async def resume(hand: Hand) -> None:
    """Cut a stream in the middle, twice, and continue it after the last frame."""
    run_id, after, end = await hand.visitor.submit(hand.to_spec(depth=48)), -1, None
    for until in (10, 30, float("inf")):
        after, end = await hand.visitor.follow(run_id, after, until)
        await asyncio.sleep(hand.draw.random() / 2)
    if end != "done":
        hand.visitor.fail(f"run {run_id} ended as {end} behind two cuts")


async def share(hand: Hand) -> None:
    """Store a view, open it and delete it. One view in five is left to expire."""
    run_id = await hand.visitor.compute(hand.to_spec())
    view = {"runs": [run_id], "title": f"View {hand.draw.randrange(2**31)}", "state": "v=1&depth=8"}
    stored = (await hand.visitor.ask("POST", f"{API}/snapshots", json=view)).json()
    await hand.visitor.ask("GET", stored["url"])
    await hand.visitor.ask("GET", f"{API}/snapshots")
    if hand.draw.random() < 0.8:
        await hand.visitor.ask("DELETE", f"{API}/snapshots/{stored['id']}")


async def read(hand: Hand) -> None:
    """Read results in all formats, a figure, and the product of all layers."""
    run_id = await hand.visitor.compute(hand.to_spec(connection={"kind": "mhc"}))
    for path in ("result.json", "result.csv", "result.npz", "figures/gain", "composite"):
        await hand.visitor.ask("GET", f"{API}/runs/{run_id}/{path}")


async def export(hand: Hand) -> None:
    """Export a room of a course with a view, and delete it."""
    opened = (await hand.visitor.ask("POST", f"{API}/rooms", json={"title": "Load", "sheet": "# A"})).json()
    room, teacher = opened["room"]["id"], {"Authorization": f"Bearer {opened['key']}"}
    run_id = await hand.visitor.compute(hand.to_spec())
    view = {"runs": [run_id], "title": "Mine"}
    await hand.visitor.ask("POST", f"{API}/snapshots", json=view, headers={"X-Room": room})
    await hand.visitor.ask("GET", f"{API}/rooms/{room}/export", headers=teacher)
    await hand.visitor.ask("DELETE", f"{API}/rooms/{room}", headers=teacher)


async def sweep(hand: Hand) -> None:
    """Start a grid of four runs, and read its numbers and its figure. One in three is cancelled instead."""
    x, y = {"field": "depth", "values": [2, 6]}, {"field": "connection.streams", "values": [2, 3]}
    grid = {"spec": hand.to_spec(connection={"kind": "hc"}), "x": x, "y": y}
    links = (await hand.visitor.ask("POST", f"{API}/runs/sweep", json=grid)).json()["links"]
    if hand.draw.random() < 1 / 3:
        await hand.visitor.ask("DELETE", links["self"])
        return
    while (await hand.visitor.ask("GET", links["self"])).json()["is_open"]:
        await asyncio.sleep(LOOK_S)
    asked = {"metric": "act_rms", "reduce": "last"}
    for name in ("values", "figure"):
        await hand.visitor.ask("GET", links[name], params=asked)


async def bring(hand: Hand) -> None:
    """Upload a trace as one file, and open it."""
    result = Result()
    for frame in hand.to_trace():
        result.add(frame)
    content = await asyncio.to_thread(result.to_bytes)
    stored = await hand.visitor.ask("POST", f"{API}/traces", content=content, headers=OCTETS)
    await hand.visitor.follow(stored.json()["id"])


async def feed(hand: Hand) -> None:
    """Upload a growing trace in pieces, while another visitor follows it."""
    lines = [encode_frame(frame, "", index) for index, frame in enumerate(hand.to_trace()) if frame.type != "end"]
    opened = (await hand.visitor.ask("POST", f"{API}/traces/live", content=lines[0], headers=OCTETS)).json()
    at, owner = f"{API}/traces/{opened['id']}", {"Authorization": f"Bearer {opened['token']}"}
    watching = asyncio.create_task(hand.visitor.follow(opened["id"]))
    for first in range(1, len(lines), 16):
        piece = b"".join(lines[first : first + 16])
        await hand.visitor.ask("POST", f"{at}/frames?index={first}", content=piece, headers=OCTETS | owner)
    await hand.visitor.ask("POST", f"{at}/end", json={"status": "failed", "reason": "stopped"}, headers=owner)
    _, end = await watching
    if end != "failed":
        hand.visitor.fail(f"trace {opened['id']} ended as {end}")


def draw_frames() -> list[AnyFrame]:
    """Return frames of a small stack without the fields that contain its spec."""
    from tests.core.conftest import build_spec, run_frames

    return anonymise(run_frames(build_spec(depth=12, width=16)))


Doing = Callable[[Hand], Awaitable[None]]
DOINGS: tuple[Doing, ...] = (run, compare, resume, share, read, export, sweep, bring, feed)
