"""A sink that keeps every report, checks their order, and fails or waits where a case asks for it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from mhc_scope.engine.contract import EndStatus, SinkError


@dataclass(frozen=True)
class End:
    """How a job ended."""

    index: int
    status: EndStatus
    reason: str | None


@dataclass
class Reports:
    """All reports of one job, from its submission on."""

    started: bool = False
    lines: list[bytes] = field(default_factory=list)
    end: End | None = None

    @property
    def frames(self) -> list[dict[str, Any]]:
        """The lines as plain data."""
        return [orjson.loads(line) for line in self.lines]


class Recorder:
    """Every case's sink."""

    def __init__(self) -> None:
        self.of: defaultdict[str, Reports] = defaultdict(Reports)
        self.order: list[str] = []  # job ids as they started
        self.freed = 0
        self.broken: list[str] = []  # what an engine must not do
        self.failures: dict[tuple[str, str], Exception] = {}  # (call, job id) -> what the sink raises
        self.gates: dict[tuple[str, str], asyncio.Event] = {}  # (call, job id) -> what the sink waits for
        self._changed = asyncio.Condition()

    async def on_start(self, job_id: str) -> None:
        """Note the start."""
        await self._meddle("start", job_id)
        self._expect(not self.of[job_id].started, f"{job_id} started twice")
        self.of[job_id].started = True
        self.order.append(job_id)
        await self._tell()

    async def on_lines(self, job_id: str, first: int, lines: Sequence[bytes]) -> None:
        """Keep the lines."""
        await self._meddle("lines", job_id)
        known = self.of[job_id]
        self._expect(known.started and known.end is None, f"{job_id}: lines before its start or after its end")
        self._expect(first == len(known.lines), f"{job_id}: frame {first} behind {len(known.lines)} frames")
        self._expect(len(lines) > 0 and all(line.endswith(b"\n") for line in lines), f"{job_id}: a torn line")
        known.lines += lines
        await self._tell()

    async def on_end(
        self, job_id: str, index: int, status: EndStatus, reason: str | None, lines: Sequence[bytes] = ()
    ) -> None:
        """Keep the last lines, and note the end: it is a failure if the lines cannot be kept."""
        known = self.of[job_id]
        if lines:
            self._expect(index == len(known.lines), f"{job_id}: lines from {index} behind {len(known.lines)} frames")
            try:
                await self.on_lines(job_id, index, lines)
                index += len(lines)
            except SinkError as error:
                status, reason = "failed", str(error)
        await self._meddle("end", job_id)
        self._expect(known.end is None, f"{job_id} ended twice")
        if ("lines", job_id) not in self.failures:
            self._expect(index == len(known.lines), f"{job_id}: ends after {index} of {len(known.lines)} frames")
        known.end = End(index, status, reason)
        await self._tell()

    def on_free(self) -> None:
        """Count the workers that said that they wait."""
        self.freed += 1

    async def wait_for(self, is_there: Callable[[], bool]) -> None:
        """Until something that reports change is so."""
        async with self._changed:
            await self._changed.wait_for(is_there)

    async def wait_for_lines(self, job_id: str, count: int = 1) -> None:
        """Until so many lines have come."""
        await self.wait_for(lambda: len(self.of[job_id].lines) >= count)

    async def wait_for_end(self, job_id: str) -> End:
        """The job's end."""
        await self.wait_for(lambda: self.of[job_id].end is not None)
        end = self.of[job_id].end
        assert end is not None
        return end

    async def _meddle(self, call: str, job_id: str) -> None:
        if (gate := self.gates.get((call, job_id))) is not None:
            await gate.wait()
        if (failure := self.failures.get((call, job_id))) is not None:
            raise failure

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _expect(self, is_so: bool, otherwise: str) -> None:
        # Not raised here: the engine would take it for a failure of the sink.
        if not is_so:
            self.broken.append(otherwise)
