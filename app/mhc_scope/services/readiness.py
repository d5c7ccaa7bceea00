"""Whether this server can take runs, and what is wrong where it cannot."""

import asyncio
import secrets
import time
from dataclasses import dataclass

from mhc_scope.services.runs import Runs
from mhc_scope.services.storage import explain_full
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.probe import count_stuck, write_probe
from mhc_scope.store.space import Space

# A probe that went well holds for so long, one that did not for less; and so long is it waited for.
GOOD_S, BAD_S, WAIT_S = 10.0, 1.0, 2.0
# A lease that is over is taken over by a server within this, or the run is stuck.
STUCK_S = 15.0


@dataclass(frozen=True)
class ReadinessCheck:
    """One thing that is looked at; `why` it is not well. The server takes no runs where one that is `needed` is not."""

    name: str
    why: str | None
    is_needed: bool = False


@dataclass(frozen=True)
class Probe:
    """What the database said, and when."""

    at: float
    why: str | None
    stuck: int = 0
    space: Space | None = None


@dataclass(frozen=True)
class Readiness:
    """All checks, and the room there is, where it is known."""

    checks: list[ReadinessCheck]
    space: Space | None

    @property
    def is_ready(self) -> bool:
        """Whether runs can be taken."""
        return all(check.why is None for check in self.checks if check.is_needed)


class Inspector:
    """Looks when it is asked, and at the database not too often."""

    def __init__(self, settings: Settings, runs: Runs, database: Database) -> None:
        self._settings, self._runs, self._database = settings, runs, database
        self._server = secrets.token_hex(8)
        self._probing: asyncio.Task[Probe] | None = None

    async def look(self) -> Readiness:
        """How this server is."""
        probe = await self._get_probe()
        room = None if probe.space is None else explain_full(probe.space, self._settings)
        stuck = f"{probe.stuck} runs are said to be computed, and no server does it" if probe.stuck else None
        workers = None if self._runs.engine.ready_workers else "no worker has warmed up"
        stopping = "the server is stopping" if self._runs.hub.closing else None
        checks = [
            ReadinessCheck("database", probe.why, is_needed=True),
            ReadinessCheck("room", room),
            ReadinessCheck("runs", stuck),
            ReadinessCheck("workers", workers, is_needed=True),
            ReadinessCheck("accepting", stopping, is_needed=True),
        ]
        return Readiness(checks, probe.space)

    async def _get_probe(self) -> Probe:
        """The last probe while it holds, else a new one; one at a time, however many ask."""
        if self._probing is None or self._is_over(self._probing):
            self._probing = asyncio.create_task(self._probe())
        done, _ = await asyncio.wait({self._probing}, timeout=WAIT_S)
        if not done:
            return Probe(time.monotonic(), f"it has not answered for {WAIT_S:g} s")
        return self._probing.result()

    def _is_over(self, probing: "asyncio.Task[Probe]") -> bool:
        if not probing.done():
            return False
        probe = probing.result()
        return time.monotonic() - probe.at > (GOOD_S if probe.why is None else BAD_S)

    async def _probe(self) -> Probe:
        try:
            await write_probe(self._database, self._server, time.time())
            stuck = await count_stuck(self._database, STUCK_S, self._settings.run_deadline_s + STUCK_S)
            space = await self._runs.storage.measure()
        except StoreUnavailable as error:
            return Probe(time.monotonic(), str(error))
        return Probe(time.monotonic(), None, stuck, space)
