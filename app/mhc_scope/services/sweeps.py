"""Manage sweeps: one server admits and runs a sweep, and any server can show and cancel it.

After a restart, or if a server is lost, another server continues its sweeps.
"""

import asyncio
import logging
import math
import time
from typing import Any

from mhc_core.cost.estimates import Estimate
from mhc_core.findings.numerals import format_value
from mhc_core.record.grid import Axis
from mhc_core.spec import RunSpec, SpecError
from mhc_scope import limits
from mhc_scope.engine.contract import RUN
from mhc_scope.services.admission import check_cost, require_admissible
from mhc_scope.services.errors import NotOwnerError, QueueFullError, TooExpensiveError, TooManyRunsError
from mhc_scope.services.identity import SERVER, ClientIdentity
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import PENDING, SweepGrid, axis_names, build, require_size
from mhc_scope.services.sweep_runner import SweepRunner
from mhc_scope.settings import Settings
from mhc_scope.store.errors import StoreUnavailable
from mhc_scope.store.sweeps import SweepLimits, SweepRow, SweepStore, TooManyOpen

log = logging.getLogger("mhc.sweeps")

LIMITS = SweepLimits(client=4, address=48, all=64)
MAX_REQUESTERS = 1000
POLL_S = 0.1  # pause while waiting for another server to end a sweep


class Sweeps:
    """All sweeps, including those that other servers run."""

    def __init__(self, settings: Settings, runs: Runs, store: SweepStore) -> None:
        self._settings, self._runs, self._store = settings, runs, store
        self._runner = SweepRunner(settings, runs, store)
        self._starting = asyncio.Lock()
        self._adopting: asyncio.Task[None] | None = None

    async def resume(self) -> None:
        """Continue sweeps that no server runs, now and, if there are several servers, at intervals."""
        await self._adopt_lost()
        if math.isfinite(self._store.lease_s):
            self._adopting = asyncio.create_task(self._adopt_forever())

    async def find(self, sweep_id: str) -> SweepGrid | None:
        """Return the sweep with an id; None if there is none."""
        running = self._runner.get(sweep_id)
        if running is not None:
            return running
        row = await self._store.find(sweep_id)
        return None if row is None else SweepGrid.from_row(row)

    async def start(self, base: dict[str, Any], x: Axis, y: Axis | None, client: ClientIdentity) -> SweepGrid:
        """Admit a whole grid and start it. A known grid continues, including its failed or cancelled runs.

        Raises
        ------
        SpecErrors
            If a cell is not a valid spec.
        RefusalError
            If it has too many cells, a run or all together would cost too much, or too many sweeps are running.
        """
        require_size(x, y, limits.GRID_CELLS)
        sweep = await asyncio.to_thread(build, base, x, y, client)
        async with self._starting:
            row = await self._store.join(sweep.id, client.key, MAX_REQUESTERS)
            if row is None:
                await self._admit(sweep)
                row = await self._open_sweep(sweep)
            if row is not None:
                return self._runner.get(row.id) or SweepGrid.from_row(row)
            await self._runner.begin(sweep)
            return sweep

    async def predict(self, base: dict[str, Any], x: Axis, y: Axis | None) -> tuple[int, float]:
        """Return the number of runs of a grid and their predicted seconds. Refuse what `start` would refuse."""
        require_size(x, y, limits.GRID_CELLS)
        sweep = await asyncio.to_thread(build, base, x, y, SERVER)
        return len(sweep.states), await self._admit(sweep)

    async def leave(self, sweep: SweepGrid, client: ClientIdentity) -> SweepGrid:
        """Cancel a sweep for one of the clients that requested it. It continues if others did. Return its new state.

        Raises
        ------
        NotOwnerError
            If this client did not request the sweep.
        """
        requesters = await self._store.list_requesters(sweep.id)
        own = {key for key in requesters if client.owns(key)}
        if not own and client.rights != "admin":
            raise NotOwnerError("This sweep belongs to another client.")
        if own >= requesters or client.rights == "admin":
            return await self._cancel(sweep)
        if sweep.is_open:
            await self._store.leave(sweep.id, own)
        return sweep

    async def stop(self) -> None:
        """Stop submitting runs, so that other servers can continue the sweeps."""
        if self._adopting is not None:
            self._adopting.cancel()
        await self._runner.stop()

    # ---- helpers

    async def _open_sweep(self, sweep: SweepGrid) -> SweepRow | None:
        """Store a sweep; return the stored one if it is already open, else None. Raise RefusalError above limits."""
        try:
            return await self._store.open(sweep.to_row(), LIMITS, MAX_REQUESTERS)
        except TooManyOpen as error:
            limit = getattr(LIMITS, error.whose)
            if error.whose == "all":
                raise QueueFullError(f"{limit} sweeps are running, the limit of this server.") from None
            detail = f"This {error.whose} has {limit} sweeps running; {limit} are allowed."
            raise TooManyRunsError(detail) from None

    async def _cancel(self, sweep: SweepGrid) -> SweepGrid:
        """Cancel a sweep: here, or on the server that runs it or takes it over."""
        async with self._starting:
            pass  # wait until the runner has a sweep that is just being started
        await self._runner.cancel(sweep.id)
        ended = await self._store.find(sweep.id)
        if ended is None or not ended.is_open:
            return sweep if ended is None else SweepGrid.from_row(ended)
        await self._store.request_cancel(sweep.id)
        until = time.monotonic() + self._store.stop_s
        while ended is not None and ended.is_open and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            ended = await self._store.find(sweep.id)
        return sweep if ended is None else SweepGrid.from_row(ended)

    async def _adopt_lost(self) -> None:
        """Continue open sweeps that no server runs."""
        for row in await self._store.take_over():
            log.info("continuing sweep %s", row.id)
            await self._runner.begin(SweepGrid.from_row(row))

    async def _adopt_forever(self) -> None:
        """Continue the sweeps of lost servers, at intervals, forever."""
        while True:
            await asyncio.sleep(self._store.lease_s / 2)
            try:
                await self._adopt_lost()
            except StoreUnavailable as error:
                log.warning("lost sweeps could not be found: %s", error)
            except Exception:
                log.exception("lost sweeps could not be continued")

    async def _admit(self, sweep: SweepGrid) -> float:
        """Refuse a sweep if a run or all together cost too much. Order the runs by cost; return predicted seconds."""
        predictions = self._runs.predictions

        def predict_cells() -> list[tuple[str, RunSpec, Estimate]]:
            """Return id, spec and predicted cost of every run."""
            specs = ((run_id, sweep.spec_of(run_id)) for run_id in sweep.states)
            return [(run_id, spec, predictions.predict(RUN, spec, len(sweep.states))) for run_id, spec in specs]

        costs = await asyncio.to_thread(predict_cells)
        costs.sort(key=lambda item: item[2].seconds)
        for _, spec, cost in reversed(costs):
            if check_cost(spec, cost, self._settings):
                require_admissible(spec, cost, self._settings)
        seconds, limit = sum(cost.seconds for *_, cost in costs), limits.MAX_GRID_SECONDS
        if seconds > limit:
            wanted = f"at most {limit:g} s of predicted time for all cells together"
            got = f"{format_value(seconds, digits=3)} s predicted"
            text = (
                f"This sweep needs about {format_value(seconds, digits=3)} s; this server allows {limit:g} s for one."
            )
            errors = [SpecError(name, got, wanted, text) for name in axis_names(sweep.y)]
            raise TooExpensiveError(str(errors[0]), errors)
        sweep.states = {run_id: PENDING for run_id, *_ in costs}
        return seconds
