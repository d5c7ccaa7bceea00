"""Half an hour of everything at once: what the server holds must not grow, and nothing may go wrong.

`python -m benchmarks.service.mixed [--minutes 30] [--people 6]`. Runs, traces and views are kept for two and a half
minutes here, so that what is stored is in balance after five; the first sixth of the time is left out.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.rows import Row, format_table
from benchmarks.service.doings import DOINGS, Hand, draw_frames
from benchmarks.service.serving import Held, begin, look, read_log, serve
from benchmarks.service.visitors import Failed, Tally, Visitor
from tests.conftest import Server

KEEP_S = "150"
CACHE_BYTES = "4000000"  # of frames held in memory: full when the warm-up ends
SHORT = ("--keep-s", KEEP_S, f"KEEP_TRACE_S={KEEP_S}", f"KEEP_SNAPSHOT_S={KEEP_S}", "RETENTION_INTERVAL_S=15")
FLAGS = (*SHORT, "--service", "--rooms-by", "anyone", f"LOG_CACHE_BYTES={CACHE_BYTES}")
WARM_UP, SAMPLES = 6, 240  # the first sixth is left out; so many looks in all
PAUSE_S = 1.0  # between two things that one person does, at most
GROWTH, SPREAD = 1.1, 1.25


@dataclass
class Course:
    """What happened, and what the server held at each sample."""

    tally: Tally = field(default_factory=Tally)
    done: Counter[str] = field(default_factory=Counter)
    held: list[Held] = field(default_factory=list)


async def load(server: Server, seconds: float, people: int, seed: int) -> Course:
    """Run the people, each of whom does one thing after another, and sample the server."""
    course, frames = Course(), draw_frames()
    until = time.monotonic() + seconds

    async def act(number: int) -> None:
        draw = random.Random(1000 * seed + number)
        async with Visitor(server.url, course.tally, f"127.0.0.{2 + number % 4}") as visitor:
            hand = Hand(visitor, draw, frames)
            while time.monotonic() < until:
                doing = draw.choice(DOINGS)
                try:
                    await doing(hand)
                    course.done[doing.__name__] += 1
                except Failed as error:
                    print(f"{time.strftime('%H:%M:%S')} {doing.__name__}: {error}", file=sys.stderr, flush=True)
                await asyncio.sleep(PAUSE_S * draw.random())

    async def sample_server() -> None:
        while time.monotonic() < until:
            course.held.append(look(server))
            await asyncio.sleep(seconds / SAMPLES)

    await asyncio.gather(sample_server(), *(act(number) for number in range(people)))
    return course


def build_rows(course: Course, seconds: float, log: Sequence[str]) -> list[Row]:
    """Compare the second half with the first, after the warm-up."""
    of = f"{seconds / 60:g} minutes, second half against first"
    steady = course.held[len(course.held) // WARM_UP :]
    rows = [
        _compare_halves("memory of the server, mean", of, [item.server for item in steady], GROWTH, statistics.mean),
        _compare_halves(
            "memory of its other processes, mean", of, [item.workers for item in steady], GROWTH, statistics.mean
        ),
        _compare_halves("descriptors of the server, most", of, [item.descriptors for item in steady], SPREAD, max),
        _compare_halves("size of the database, most", of, [item.database for item in steady], SPREAD, max),
    ]
    last, did = steady[-1], ", ".join(f"{name} {count}" for name, count in sorted(course.done.items()))
    asked = f"{sum(course.tally.answers.values())} answers"
    return [
        *rows,
        Row("memory of the server, at the end", of, last.server / 1e6, "MB"),
        Row("size of the database, at the end", of, last.database / 1e6, "MB"),
        Row("things done", did, sum(course.done.values()), ""),
        Row("refused with Retry-After, and obeyed", asked, sum(course.tally.refused.values()), ""),
        Row("errors", asked, len(course.tally.errors), "", 0, reason="; ".join(course.tally.errors[:3])),
        Row("errors in the log of the server", "lines with ERROR or Traceback", len(log), "", 0),
    ]


def _compare_halves(
    name: str, of: str, values: Sequence[float], limit: float, reduce: Callable[[Sequence[float]], float]
) -> Row:
    """Return a row with the value of the second half of the time divided by that of the first."""
    half = len(values) // 2
    return Row(name, of, reduce(values[half:]) / reduce(values[:half]), "x", limit)


def measure(minutes: float, people: int, seed: int) -> list[Row]:
    """Start a server, and let people use it."""
    with serve(*FLAGS) as server:
        course = asyncio.run(load(server, 60 * minutes, people, seed))
        return build_rows(course, 60 * minutes, read_log(server, "ERROR", "Traceback"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nice", type=int, default=0)
    known = parser.parse_args()
    begin(known.nice)
    print(format_table(measure(known.minutes, known.people, known.seed)))


if __name__ == "__main__":
    main()
