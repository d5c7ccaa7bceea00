"""Check whether this server can accept runs, and report what is wrong if it cannot."""

import asyncio
import secrets
import time
from dataclasses import dataclass

from mhc_scope.services.runs import Runs
from mhc_scope.services.storage import explain_full
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.probe import write_probe
from mhc_scope.store.space import Space

# Time for which a successful probe is valid, for which a failed one is valid, and that a probe may take.
GOOD_S, BAD_S, WAIT_S = 10.0, 1.0, 2.0


@dataclass(frozen=True)
class ReadinessCheck:
    """One check. `why`: why it fails; None if it passes. `is_needed`: whether the server refuses runs if it fails."""

    name: str
    why: str | None
    is_needed: bool = False


@dataclass(frozen=True)
class Probe:
    """The result of a probe of the database, at a time of the monotonic clock. `why`: why it failed, or None."""

    at: float
    why: str | None
    stuck: int = 0
    space: Space | None = None


@dataclass(frozen=True)
class Readiness:
    """The results of all checks, and the disk space if it is known."""

    checks: list[ReadinessCheck]
    space: Space | None

    @property
    def is_ready(self) -> bool:
        """Return whether the server can accept runs."""
        return all(check.why is None for check in self.checks if check.is_needed)


class Inspector:
    """Checks readiness on request, and probes the database at most once in `GOOD_S` or `BAD_S`."""

    def __init__(self, settings: Settings, runs: Runs, database: Database) -> None:
        self._settings, self._runs, self._database = settings, runs, database
        self._row = ""  # value that the last probe has written
        self._probing: asyncio.Task[Probe] | None = None

    async def inspect(self) -> Readiness:
        """Return the readiness of this server: checks of database, disk, runs and workers."""
        probe = await self._get_probe()
        full = None if probe.space is None else explain_full(probe.space, self._settings)
        stuck = f"{probe.stuck} runs have the status running, and no server computes them" if probe.stuck else None
        workers = None if self._runs.engine.ready_workers else "no worker has warmed up"
        stopping = "the server is stopping" if self._runs.hub.closing else None
        checks = [
            ReadinessCheck("database", probe.why, is_needed=True),
            ReadinessCheck("room", full),
            ReadinessCheck("runs", stuck),
            ReadinessCheck("workers", workers, is_needed=True),
            ReadinessCheck("accepting", stopping, is_needed=True),
        ]
        return Readiness(checks, probe.space)

    async def _get_probe(self) -> Probe:
        """Return the last probe of the database while it is valid, else a new one. Only one runs at a time."""
        if self._probing is None or self._is_over(self._probing):
            self._probing = asyncio.create_task(self._probe_database())
        done, _ = await asyncio.wait({self._probing}, timeout=WAIT_S)
        if not done:
            return Probe(time.monotonic(), f"it has not answered for {WAIT_S:g} s")
        return self._probing.result()

    def _is_over(self, probing: "asyncio.Task[Probe]") -> bool:
        """Return whether the result of a database probe is missing, failed or too old."""
        if not probing.done():
            return False
        if probing.exception() is not None:  # which was raised in the request that started the probe
            return True
        probe = probing.result()
        return time.monotonic() - probe.at > (GOOD_S if probe.why is None else BAD_S)

    async def _probe_database(self) -> Probe:
        """Write to the database and read counts and sizes. The result states the reason if it is unavailable."""
        try:
            last, self._row = self._row, secrets.token_hex(8)
            await write_probe(self._database, self._row, last, time.time())
            stuck = await self._runs.count_stuck()
            space = await self._runs.storage.measure()
        except StoreUnavailable as error:
            return Probe(time.monotonic(), str(error))
        return Probe(time.monotonic(), None, stuck, space)
