"""16 heavy runs and 500 views of one client, beside a light user elsewhere: how long the light one waits.

`python -m benchmarks.service.light_user [--heavy 16] [--views 500] [--seconds 60]`. The caps of the server are small
here, so that they are reached. Light runs are of the size that the page opens with.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.rows import Row, format_table
from benchmarks.service.serving import begin, measure_database, serve, to_p95
from benchmarks.service.visitors import API, Failed, Tally, Visitor
from tests.conftest import Server

HEAVY_S = 7.0  # predicted; 16 of them are within one client's share
HEAVY = {"depth": 128, "connection": {"kind": "mhc"}}
STEPS = 10
CLIENT_BYTES, STORE_BYTES = 5_000_000, 60_000_000
FLAGS = (
    "--service",
    "--max-client-bytes",
    str(CLIENT_BYTES),
    "--max-store-bytes",
    str(STORE_BYTES),
    "MIN_FREE_BYTES=1000000",
)
OF_HEAVY, OF_LIGHT, OF_OTHER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
STATE = "x" * 15_000  # nearly the largest state that a view may have
PAUSE_S = 0.5
TARGET_S = 2.0


@dataclass
class Seen:
    """What each of the three clients observed; waits of the light one in seconds, alone and during the heavy load."""

    heavy: Tally = field(default_factory=Tally)
    light: Tally = field(default_factory=Tally)
    other: Tally = field(default_factory=Tally)
    alone_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    database: list[int] = field(default_factory=list)
    views: int = 0
    refused_views: int = 0
    heavy_done: int = 0


async def measure_light(visitor: Visitor, seed: int) -> float:
    """Return the seconds from the request for a new run to its last frame."""
    begun = time.perf_counter()
    await visitor.compute({"seed": seed})
    return time.perf_counter() - begun


def build_heavy(http: httpx.Client, heavy_s: float) -> dict[str, Any]:
    """Return a spec with this predicted time on this server."""
    spec = {**HEAVY, "train": {"steps": STEPS}}
    predicted = http.post(f"{API}/estimate", json=spec).json()["seconds"]
    return {**spec, "train": {"steps": max(1, round(STEPS * heavy_s / predicted))}}


async def load(server: Server, known: argparse.Namespace) -> Seen:
    """Run the light client alone, then during the load of the heavy one, for `seconds`."""
    seen = Seen()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        heavy = build_heavy(http, known.heavy_s)
    url = server.url
    async with (
        Visitor(url, seen.heavy, OF_HEAVY) as greedy,
        Visitor(url, seen.light, OF_LIGHT) as light,
        Visitor(url, seen.other, OF_OTHER) as other,
    ):
        seen.alone_s = [await measure_light(light, seed) for seed in range(8)][1:]
        small = [await greedy.compute({"seed": seed, "depth": 8, "width": 16}) for seed in range(4)]
        runs = [await greedy.submit({**heavy, "seed": seed}) for seed in range(known.heavy)]
        working = [asyncio.create_task(take_all(greedy, small, known.views, seen)), look(other, server, seen)]
        tasks = [asyncio.ensure_future(task) for task in working]
        until, seed = time.monotonic() + known.seconds, 1000
        while time.monotonic() < until:
            seen.beside_s.append(await measure_light(light, seed))
            seed += 1
            await asyncio.sleep(PAUSE_S)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        seen.heavy_done = await count_done(greedy, runs)
    return seen


async def count_done(visitor: Visitor, runs: Sequence[str]) -> int:
    """Count the runs that are done."""
    statuses = [(await visitor.ask("GET", f"{API}/runs/{run_id}")).json()["status"] for run_id in runs]
    return statuses.count("done")


async def take_all(visitor: Visitor, runs: list[str], count: int, seen: Seen) -> None:
    """Store views of the largest size until `count` requests are sent; continue after refusals."""
    for number in range(count):
        view = {"runs": runs, "title": f"View {number}", "state": STATE}
        answer = await visitor.http.post(f"{API}/snapshots", json=view)
        seen.heavy.answers[answer.status_code] += 1
        if answer.status_code == 429:
            seen.refused_views += 1
        elif answer.is_success:
            seen.views += 1
        else:
            visitor.tally.note_error(f"view: {answer.status_code} {answer.text[:200]}")


async def look(visitor: Visitor, server: Server, seen: Seen) -> None:
    """Read as a third client, and store its own views, until the task is cancelled."""
    run_id, number = await visitor.compute({"seed": 1, "depth": 8, "width": 16}), 0
    while True:
        number += 1
        try:
            await visitor.ask("GET", f"{API}/presets")
            await visitor.ask("GET", f"{API}/runs/{run_id}/result.json")
            await visitor.ask("POST", f"{API}/snapshots", json={"runs": [run_id], "title": str(number)})
        except Failed:
            pass  # it is in the tally
        seen.database.append(measure_database(server.data))
        await asyncio.sleep(PAUSE_S)


def build_rows(seen: Seen, known: argparse.Namespace) -> list[Row]:
    """Return rows on the light client's waits, and on what was stored."""
    beside = f"{known.heavy} runs of {known.heavy_s:g} s, {known.views} views of another client"
    answers = sum((seen.light.answers + seen.other.answers).values())
    told_busy = seen.light.refused[503] + seen.other.refused[503]
    errors = seen.heavy.errors + seen.light.errors + seen.other.errors
    p95 = to_p95(seen.beside_s)
    return [
        Row("light run alone, median", "idle server", statistics.median(seen.alone_s), "s"),
        Row("light run, median", beside, statistics.median(seen.beside_s), "s"),
        Row("light run, p95", f"{beside}; {len(seen.beside_s)} runs", p95, "s", TARGET_S),
        Row("light run, longest", beside, max(seen.beside_s), "s"),
        Row("heavy runs done meanwhile", f"in {known.seconds:g} s", seen.heavy_done, ""),
        Row("503 to other clients", f"{answers} answers", told_busy, "", 0),
        Row("views stored of the greedy client", f"it may keep {CLIENT_BYTES / 1e6:g} MB", seen.views, ""),
        Row("views refused of it", "429", seen.refused_views, ""),
        Row("database, largest", "its cap", max(seen.database) / 1e6, "MB", STORE_BYTES / 1e6),
        Row("errors", f"{answers} answers", len(errors), "", 0, reason="; ".join(errors[:3])),
    ]


def measure(known: argparse.Namespace) -> list[Row]:
    """Start a server, and measure."""
    with serve(*FLAGS) as server:
        return build_rows(asyncio.run(load(server, known)), known)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the numbers of runs and views and the seconds; the defaults are those of the published table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--heavy", type=int, default=16)
    parser.add_argument("--heavy-s", type=float, default=HEAVY_S)
    parser.add_argument("--views", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nice", type=int, default=0)
    return parser.parse_args(arguments)


def main() -> None:
    """Print the table."""
    known = parse()
    begin(known.nice)
    print(format_table(measure(known)))


if __name__ == "__main__":
    main()
