"""A course of 300 who open the page and drag sliders, in waves of 60: how long they wait, and whether all wait alike.

`python -m benchmarks.service.students [--students 300] [--wave 60] [--seconds 60] [--own 0.5]`. Without browsers, with
the calls that the page makes: itself, its files once, what it boots with, and while a slider moves a comparison of
three runs every 0.8 s, for which the one before is left and cancelled. The answer to the last one, where the hand has
let go, is waited for. `own` is the share of students whose runs are like no other's; runs of the others are the same
for the same place of the slider. What two cores cannot compute for all is to be shared fairly. Students of the first
kind have the same hand, so that they ask for the same work at the same times, and shall get as many answers. What is
computed for a place that a slider only passes is a matter of chance. One more client has three such pages open at once:
it comes last wherever others wait, and lives on what they leave while their hands rest. Students of the second kind,
each with a hand of its own, live on what others have asked for as well.
"""

import argparse
import asyncio
import contextlib
import random
import re
import sqlite3
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks.rows import Row, format_table
from benchmarks.service.serving import begin, read_log, serve, to_p95
from benchmarks.service.visitors import API, Event, Failed, Tally, Visitor
from mhc_scope.presets import OPENING
from mhc_service.identity import to_cookie_key
from tests.conftest import Server

SPECS: list[dict[str, Any]] = [spec.model_dump(mode="json") for spec in OPENING.specs]
BOOT = ("schema", "presets", "panels?runs=3&theme=light")
FILES = re.compile(r'(?:href|src)="(/(?:static|vendor)/[^"]+)"')
DEPTHS = range(16, 97, 4)  # places of the slider
LIFE_S = 0.8  # MIN_LIFE_MS in static/js/state/runner.js
UNASKED_S = 6  # and UNASKED_S there: what is predicted to take longer is started when Run is pressed
MOVES, REST_S = (1, 5), (1.0, 3.0)  # of one drag, and behind it
GREEDY_PAGES = 3
MOST_HAVE = 24  # ids of runs that a page has kept and says so
UNFAIR, JAIN = 0.8, 0.95
EVENLY = "answers a minute with the same hand; least of the waves"
SECONDS = "seconds of workers; {} of the waves"


@dataclass
class Student:
    """The results of one student: waits for answers after the release of a slider, and the time of the whole visit."""

    client: str
    is_own: bool
    is_greedy: bool = False
    waits_s: list[float] = field(default_factory=list)
    used_s: float = 0.0  # time of workers
    begun: float = 0.0
    ended: float = 0.0
    opened_s: float = 0.0
    calls: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return the answers for each minute."""
        return 60 * len(self.waits_s) / max(1e-9, self.ended - self.begun)


class Page:
    """The page of one student."""

    def __init__(self, visitor: Visitor, draw: random.Random, seed: int = 0) -> None:
        self._visitor, self._draw, self._seed = visitor, draw, seed
        self._depth = self._draw.choice(DEPTHS)
        self._have: dict[str, None] = {}
        self._live: list[str] = []
        self._shown = SPECS
        self._following: asyncio.Task[bool] | None = None
        self._submitted = asyncio.Event()
        self.student = Student(str(to_cookie_key(visitor.http.cookies["mhc_client"])), is_own=bool(seed))

    async def open(self) -> None:
        """Load the page with its files, its boot data and its first view."""
        begun = time.perf_counter()
        page = (await self._request("GET", "/")).text
        files = dict.fromkeys(FILES.findall(page))
        self.student.calls += len(files)
        await self._visitor.load(files)
        await asyncio.gather(*(self._request("GET", f"{API}/{path}") for path in BOOT))
        await self._follow(SPECS)
        self.student.opened_s = time.perf_counter() - begun

    async def drag(self) -> None:
        """Move the slider for a while, release it, and wait for the answer."""
        for _ in range(self._draw.randint(*MOVES)):
            moved = time.monotonic()
            await self._show(self._choose_depth())
            await asyncio.sleep(max(0.0, moved + LIFE_S - time.monotonic()))
        begun, specs = time.perf_counter(), self._choose_depth()
        if not await (await self._show(specs)):
            self._visitor.fail("a stream ended before its runs")
        self.student.waits_s.append(time.perf_counter() - begun)
        self.student.runs = specs

    async def use(self, seconds: float) -> None:
        """Open the page and drag until the time is over. Errors are counted in the tally."""
        with contextlib.suppress(Failed):
            await self.open()
            self.student.begun = time.monotonic()
            until = self.student.begun + seconds
            while time.monotonic() < until:
                await self.drag()
                self.student.ended = time.monotonic()
                await asyncio.sleep(self._draw.uniform(*REST_S))
            await self.check()

    async def check(self) -> None:
        """Check that the runs of the last answer are still stored."""
        known = await self._request("POST", f"{API}/runs/compare", json=self.student.runs)
        if any(run["status"] != "done" for run in known.json()):
            self._visitor.fail(f"a final answer was lost: {known.text[:200]}")

    def _choose_depth(self) -> list[dict[str, Any]]:
        """Move the depth by one or two stops. Return the specs that the page then shows."""
        place = DEPTHS.index(self._depth) + self._draw.choice((-2, -1, 1, 2))
        self._depth = DEPTHS[max(0, min(len(DEPTHS) - 1, place))]
        return [{**spec, "depth": self._depth, "seed": self._seed} for spec in SPECS]

    async def _show(self, specs: list[dict[str, Any]]) -> "asyncio.Task[bool]":
        """Cancel the previous runs and follow these. Return once the server has accepted them, or the stream ends."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)  # what went wrong is in the tally
        is_other = specs != self._shown
        self._shown = specs
        live, self._live = self._live if is_other else [], []  # what is wanted again is not cancelled
        cancels = [self._request("DELETE", f"{API}/runs/{run_id}?viewer={self._visitor.name}") for run_id in live]
        self._submitted.clear()
        self._following = asyncio.create_task(self._follow(specs))
        submitted = asyncio.create_task(self._submitted.wait())
        await asyncio.gather(*cancels)
        await asyncio.wait({self._following, submitted}, return_when=asyncio.FIRST_COMPLETED)
        submitted.cancel()
        return self._following

    async def _follow(self, specs: list[dict[str, Any]]) -> bool:
        """Start runs and follow them. Return whether all ended. Press Run where the prediction is too long."""
        for limit in (f"&limit_s={UNASKED_S}", ""):
            have = list(self._have)[-MOST_HAVE:]
            self.student.calls += 1
            stream = self._visitor.compare(specs, f"{limit}&have={','.join(have)}")
            try:
                async for event in stream:
                    if event.kind == "submitted" and self._note_submitted(event, have):
                        break  # not started
                    if event.kind == "end":
                        self._note_end(event)
                else:
                    return not self._live
            finally:
                await stream.aclose()  # type: ignore[attr-defined]
        return False

    def _note_submitted(self, event: Event, have: Sequence[str]) -> bool:
        """Store which runs are followed from now on. Return whether none was started."""
        found = orjson.loads(event.data)
        if any(run["status"] == "unstarted" for run in found):
            return True
        self._live = [run["id"] for run in found if run["id"] not in have]
        self._submitted.set()
        return False

    def _note_end(self, event: Event) -> None:
        end = orjson.loads(event.data)
        if end["run"] in self._live:
            self._live.remove(end["run"])
        if end["status"] == "done":
            self._have[end["run"]] = None
        else:
            self._visitor.fail(f"run {end['run']} ended as {end['status']}: {end['reason']}")

    async def _request(self, method: str, path: str, **options: Any) -> Any:
        """Send a request of the page, and count it."""
        self.student.calls += 1
        return await self._visitor.ask(method, path, **options)


async def attend(server: Server, tally: Tally, number: int, known: argparse.Namespace) -> Student:
    """Run one student's visit."""
    draw, hand = random.Random(number), random.Random(f"wave {number // known.wave}")
    is_own = draw.random() < known.own
    address = f"127.0.0.{2 + number % 8}"  # a class without a proxy would have one, and 256 connections
    async with Visitor(server.url, tally, address) as visitor:
        page = Page(visitor, *((hand, 1000 + number) if is_own else (draw, 0)))
        await page.use(known.seconds)
    return page.student


async def be_greedy(server: Server, tally: Tally, wave: int, known: argparse.Namespace) -> Student:
    """Run several pages of one client together."""
    async with Visitor(server.url, tally, "127.0.0.10") as visitor:
        seeds = range(10**6 + GREEDY_PAGES * wave, 10**6 + GREEDY_PAGES * (wave + 1))
        pages = [Page(visitor, random.Random(f"wave {wave}"), seed) for seed in seeds]
        await asyncio.gather(*(page.use(known.seconds) for page in pages))
    pages[0].student.is_greedy = True
    return pages[0].student


async def hold_course(server: Server, tally: Tally, known: argparse.Namespace) -> list[list[Student]]:
    """Run all waves, one after another."""
    waves = []
    for wave, first in enumerate(range(0, known.students, known.wave)):
        numbers = range(first, min(first + known.wave, known.students))
        attending = [attend(server, tally, number, known) for number in numbers]
        waves.append(await asyncio.gather(*attending, be_greedy(server, tally, wave, known)))
    return waves


def note_used(waves: Sequence[Sequence[Student]], server: Server) -> int:
    """Store for every student the workers' seconds that the queue counts. Return the number of computed runs."""
    with contextlib.closing(sqlite3.connect(server.data / "mhc-scope.db", timeout=60)) as database:
        used = dict(database.execute("SELECT client, seconds FROM usage"))
        ((computed,),) = database.execute("SELECT count(*) FROM runs WHERE status = 'done'")
    for wave in waves:
        for student in wave:
            student.used_s = used.get(student.client, 0.0)
    return int(computed)


def build_rows(
    waves: Sequence[Sequence[Student]], tally: Tally, log: Sequence[str], computed: int, took_s: float
) -> list[Row]:
    """Return rows on the students' waits, and on how equal these are."""
    students = [student for wave in waves for student in wave if not student.is_greedy]
    waits = [wait for student in students for wait in student.waits_s]
    opened = [student.opened_s for student in students]
    of = f"{len(students)} students in waves of {len(waves[0]) - 1}; {len(waits)} final answers"
    alike = [[one for one in wave if one.is_own and not one.is_greedy] for wave in waves]
    alike = [wave for wave in alike if wave]
    got = [[one.rate for one in wave] for wave in alike]
    used = [[one.used_s for one in wave] for wave in alike if sum(one.used_s for one in wave)]
    least = min((min(wave) / statistics.mean(wave) for wave in got), default=None)
    greedy = [one.used_s for wave in waves for one in wave if one.is_greedy]
    greed = statistics.mean(greedy) / statistics.mean(one.used_s for wave in alike for one in wave) if used else None
    rates = {is_own: [one.rate for one in students if one.is_own == is_own] or [0.0] for is_own in (True, False)}
    calls = sum(student.calls for student in students)
    return [
        Row("page opened, median", of, statistics.median(opened), "s"),
        Row("page opened, p95", of, to_p95(opened), "s"),
        Row("final answer, median", of, statistics.median(waits), "s"),
        Row("final answer, p95", of, to_p95(waits), "s"),
        Row("final answers a minute, own runs", "median student", statistics.median(rates[True]), ""),
        Row("final answers a minute, shared runs", "median student", statistics.median(rates[False]), ""),
        Row("fairness of answers, own runs", EVENLY, min(map(to_jain, got), default=None), "", JAIN, True),
        Row("who got fewest, of the mean, own runs", EVENLY, least, "x", UNFAIR, True),
        Row("fairness of computing, own runs", SECONDS.format("least"), min(map(to_jain, used), default=None), ""),
        Row("who had three pages open, of the mean, own runs", SECONDS.format("mean"), greed, "x"),
        Row("runs computed a second", f"{computed} runs", computed / took_s, ""),
        Row("calls", of, calls, ""),
        Row("told to wait, and obeyed", "429", tally.refused[429], ""),
        Row("told to wait, and obeyed", "503", tally.refused[503], ""),
        Row("errors", f"{calls} calls", len(tally.errors), "", 0, reason="; ".join(tally.errors[:3])),
        Row("errors in the log of the server", "lines with ERROR or Traceback", len(log), "", 0),
    ]


def to_jain(values: Sequence[float]) -> float:
    """Return Jain's index: 1 if all have the same, 1 / n if one has all."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the numbers of students and seconds; the defaults are those of the published table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--wave", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60, help="that each drags")
    parser.add_argument("--own", type=float, default=0.5, help="share of students whose runs are like no other's")
    parser.add_argument("--nice", type=int, default=0)
    return parser.parse_args(arguments)


def measure(known: argparse.Namespace) -> list[Row]:
    """Start a server, and run a course on it."""
    tally = Tally()
    with serve() as server:
        begun = time.monotonic()
        waves = asyncio.run(hold_course(server, tally, known))
        took_s = time.monotonic() - begun
        return build_rows(waves, tally, read_log(server, "ERROR", "Traceback"), note_used(waves, server), took_s)


def main() -> None:
    """Print the table."""
    known = parse()
    begin(known.nice)
    print(format_table(measure(known)))


if __name__ == "__main__":
    main()
