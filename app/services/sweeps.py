"""Sweeps: a grid of runs over one or two fields of a spec, fed to the engine a few cells at a time.

A cell is a run like any other. The server holds those that have not begun: a sweep never has more runs under way than
there are workers, they count against its client's share of runs, and between them a run of anyone's gets its turn. What
is held is in memory alone: after a restart the same POST goes on where it was, for what is done is known.
"""

import asyncio
import copy
import hashlib
import itertools
import json
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.contract import RUN
from app.services.admission import check_cost, require_admissible
from app.services.errors import (
    InvalidRequestError,
    NoRoomError,
    NotOwnerError,
    QueueFullError,
    RefusedError,
    TooExpensiveError,
    TooManyRunsError,
)
from app.services.identity import SERVER, Client
from app.services.runs import Runs
from app.settings import Settings
from mhc_core.cost.estimates import Estimate
from mhc_core.findings.numerals import format_value
from mhc_core.record.grid import Axis
from mhc_core.spec import RunSpec, SpecError, SpecErrors, parse_spec

log = logging.getLogger("mhc.sweeps")

OPEN_PER_CLIENT, OPEN_PER_ADDRESS, MAX_KNOWN = 4, 48, 64
MAX_ASKERS = 1000
HELD = "held"
LOOK_S = 0.5  # how often a sweep without a run under way looks for room
LIVE = ("queued", "running")


@dataclass
class Sweep:
    """A grid of runs.

    Attributes
    ----------
    id: the same for the same grid.
    base: the spec that the fields are put into.
    x, y: columns and rows of the grid; one row without y.
    ids: run ids, row by row.
    places: run id -> the values of its first cell, the cheapest run first. A field that does not apply gives several
        cells one run.
    states: run id -> held, a run's status, or gone: dropped since.
    reasons: why a run failed.
    askers: keys of the clients that asked for it and have not left it.
    """

    id: str
    client: Client
    base: dict[str, Any]
    x: Axis
    y: Axis | None
    ids: list[list[str]]
    places: dict[str, tuple[Any, Any]]
    states: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)
    askers: set[str] = field(default_factory=set)
    task: "asyncio.Task[None] | None" = None

    @property
    def viewer(self) -> str:
        """Its name among those who watch runs."""
        return f"sweep-{self.id}"

    @property
    def is_open(self) -> bool:
        """Whether cells are held, waiting or computed."""
        return any(state == HELD or state in LIVE for state in self.states.values())

    def count(self) -> dict[str, int]:
        """How many runs are in which state."""
        return dict(Counter(self.states.values()))

    def list_in(self, states: Iterable[str]) -> list[str]:
        """Run ids in one of these states."""
        wanted = set(states)
        return [run_id for run_id, state in self.states.items() if state in wanted]

    def spec_of(self, run_id: str) -> RunSpec:
        """The spec of a cell."""
        return parse_spec(_put_values(self.base, self.x, self.y, self.places[run_id]))


class Sweeps:
    """All sweeps that this process knows, and what feeds them."""

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self._settings, self._runs = settings, runs
        self._known: OrderedDict[str, Sweep] = OrderedDict()
        self._starting = asyncio.Lock()

    def get(self, sweep_id: str) -> Sweep | None:
        """The sweep, if it is known."""
        return self._known.get(sweep_id)

    async def start(self, base: dict[str, Any], x: Axis, y: Axis | None, client: Client) -> Sweep:
        """Admit a grid as a whole and begin with it; a known one goes on, with what failed or was cancelled as well.

        Raises
        ------
        SpecErrors
            Where a cell is no valid spec.
        RefusedError
            Where there are too many cells, one or all of them would cost too much, or too many sweeps are under way.
        """
        _require_size(x, y, self._settings.grid_cells)
        sweep = await asyncio.to_thread(_build, base, x, y, client)
        async with self._starting:
            known = self._known.get(sweep.id)
            if known is not None and known.is_open:
                if len(known.askers) < MAX_ASKERS:
                    known.askers.add(client.key)
                return known
            self._require_room(client)
            await self._admit(sweep)
            self._known[sweep.id] = sweep
            self._known.move_to_end(sweep.id)
            self._forget_oldest()
            await self._fill(sweep)
            if sweep.is_open:
                sweep.task = asyncio.create_task(self._feed(sweep))
            return sweep

    async def predict(self, base: dict[str, Any], x: Axis, y: Axis | None) -> tuple[int, float]:
        """How many runs a grid is, and the predicted seconds of all; what `start` would refuse of it is refused."""
        _require_size(x, y, self._settings.grid_cells)
        sweep = await asyncio.to_thread(_build, base, x, y, SERVER)
        return len(sweep.states), await self._admit(sweep)

    async def leave(self, sweep: Sweep, client: Client) -> None:
        """Cancel a sweep for one of those who asked for it; it goes on for the others.

        Raises
        ------
        NotOwnerError
            Where this client did not ask for it.
        """
        own = {key for key in sweep.askers if client.owns(key)}
        if not own and client.rights != "admin":
            raise NotOwnerError("another client asked for this sweep")
        if own >= sweep.askers or client.rights == "admin":
            await self.cancel(sweep)
        elif sweep.is_open:
            sweep.askers -= own

    async def cancel(self, sweep: Sweep) -> None:
        """Hold nothing any more, and stop the runs under way that no one else watches."""
        if sweep.task is not None:
            sweep.task.cancel()
            await asyncio.gather(sweep.task, return_exceptions=True)
            sweep.task = None
        for run_id in sweep.list_in(LIVE):
            run = await self._runs.store.get(run_id)
            if run is not None:
                sweep.states[run_id] = (await self._runs.cancel(run, sweep.viewer)).run.status
        for run_id in sweep.list_in((HELD, *LIVE)):
            sweep.states[run_id] = "cancelled"

    async def stop(self) -> None:
        """Feed no more."""
        tasks = [sweep.task for sweep in self._known.values() if sweep.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Below: helpers.

    async def _admit(self, sweep: Sweep) -> float:
        """Refuse a grid with a cell that this server would not run, or that costs too much in all; its seconds else."""
        predictions = self._runs.predictions

        def predict() -> list[tuple[str, RunSpec, Estimate]]:
            specs = ((run_id, sweep.spec_of(run_id)) for run_id in sweep.states)
            return [(run_id, spec, predictions.predict(RUN, spec, len(sweep.states))) for run_id, spec in specs]

        costs = await asyncio.to_thread(predict)
        costs.sort(key=lambda item: item[2].seconds)
        for _, spec, cost in reversed(costs):
            if check_cost(spec, cost, self._settings):
                require_admissible(spec, cost, self._settings)
        seconds, limit = sum(cost.seconds for *_, cost in costs), self._settings.max_grid_seconds
        if seconds > limit:
            wanted = f"at most {limit:g} s of predicted time for all cells together"
            got = f"{format_value(seconds, digits=3)} s predicted"
            errors = [SpecError(name, got, wanted) for name in _axis_names(sweep.y)]
            raise TooExpensiveError(str(errors[0]), errors)
        sweep.states = {run_id: HELD for run_id, *_ in costs}
        return seconds

    def _require_room(self, client: Client) -> None:
        open_sweeps = [sweep for sweep in self._known.values() if sweep.is_open]
        shares = (("client", "key", OPEN_PER_CLIENT), ("address", "address", OPEN_PER_ADDRESS))
        for whose, name, limit in shares:
            if sum(getattr(sweep.client, name) == getattr(client, name) for sweep in open_sweeps) >= limit:
                raise TooManyRunsError(f"this {whose} has {limit} sweeps under way; {limit} are allowed")
        if len(open_sweeps) >= MAX_KNOWN:
            raise QueueFullError(f"{MAX_KNOWN} sweeps are under way, and no more fit")

    def _forget_oldest(self) -> None:
        closed = [sweep_id for sweep_id, sweep in self._known.items() if not sweep.is_open]
        for sweep_id in closed[: max(0, len(self._known) - MAX_KNOWN)]:
            del self._known[sweep_id]

    async def _feed(self, sweep: Sweep) -> None:
        try:
            while sweep.is_open:
                await self._wait_for_end(sweep)
                await self._fill(sweep)
        except Exception:
            log.exception("sweep %s could not go on", sweep.id)
            for run_id in sweep.list_in((HELD, *LIVE)):
                sweep.states[run_id], sweep.reasons[run_id] = "failed", "the server could not go on with the sweep"

    async def _fill(self, sweep: Sweep) -> None:
        """Submit held cells until as many are under way as there are workers, or there is no room for more."""
        for run_id in sweep.list_in((HELD,)):
            if len(sweep.list_in(LIVE)) >= self._settings.worker_count:
                return
            try:
                (submitted,) = await self._runs.submit([sweep.spec_of(run_id)], sweep.client)
            except NoRoomError:
                return
            except RefusedError as error:
                sweep.states[run_id], sweep.reasons[run_id] = "failed", str(error)
                continue
            sweep.states[run_id] = submitted.status

    async def _wait_for_end(self, sweep: Sweep) -> None:
        """Until a run under way has ended, or there may be room again."""
        live = sweep.list_in(LIVE)
        if not live:
            await asyncio.sleep(LOOK_S)
            return
        with self._runs.hub.subscribe(live, sweep.viewer) as subscription:
            while True:
                for run_id in live:
                    await self._look(sweep, run_id)
                if len(sweep.list_in(LIVE)) < len(live):
                    return
                await subscription.wait(LOOK_S)

    async def _look(self, sweep: Sweep, run_id: str) -> None:
        position = self._runs.position(run_id)
        if position is not None:
            sweep.states[run_id] = "queued" if position else "running"
            return
        run = await self._runs.store.get(run_id)
        if run is None:
            sweep.states[run_id], sweep.reasons[run_id] = "failed", "it was dropped before its end was seen"
            return
        sweep.states[run_id] = run.status
        if run.reason:
            sweep.reasons[run_id] = run.reason


def _axis_names(y: Axis | None) -> Sequence[str]:
    return ("x.values",) if y is None else ("x.values", "y.values")


def _require_size(x: Axis, y: Axis | None, limit: int) -> None:
    cells = len(x.values) * (1 if y is None else len(y.values))
    if cells > limit:
        error = [SpecError(name, f"{cells} cells", f"at most {limit} cells in all") for name in _axis_names(y)]
        raise InvalidRequestError(str(error[0]), error)
    if y is not None and y.field == x.field:
        raise SpecErrors([SpecError("y.field", y.field, f"another field than x, which is {x.field}")])
    for name, axis in (("x", x), ("y", y)):
        texts = [json.dumps(value) for value in axis.values] if axis else []
        for place, text in enumerate(texts):
            if text in texts[:place]:
                raise SpecErrors([SpecError(f"{name}.values.{place}", axis and axis.values[place], "each value once")])


def _build(base: dict[str, Any], x: Axis, y: Axis | None, client: Client) -> Sweep:
    """The grid of a base spec; every cell must be valid."""
    ids: list[list[str]] = []
    places: dict[str, tuple[Any, Any]] = {}
    errors: dict[str, SpecError] = {}
    for row in (None,) if y is None else y.values:
        ids.append([])
        for column in x.values:
            try:
                run_id = parse_spec(_put_values(base, x, y, (column, row))).id
            except SpecErrors as found:
                errors |= {str(error): error for error in found.errors}
                continue
            places.setdefault(run_id, (column, row))
            ids[-1].append(run_id)
    if errors:
        raise SpecErrors(list(errors.values()))
    name = json.dumps([ids, x.field, x.values, y and [y.field, y.values]])
    sweep_id = hashlib.sha256(name.encode()).hexdigest()[:20]
    states = dict.fromkeys(itertools.chain(*ids), HELD)
    return Sweep(sweep_id, client, base, x, y, ids, places, states, askers={client.key})


def _put_values(base: dict[str, Any], x: Axis, y: Axis | None, values: tuple[Any, Any]) -> dict[str, Any]:
    """The base with the values of one cell; what the paths meet is left to the spec's own validation."""
    spec = copy.deepcopy(base)
    for axis, value in zip((x, y), values, strict=True):
        if axis is None:
            continue
        *parts, leaf = axis.field.split(".")
        target = spec
        for part in parts:
            inner = target.get(part)
            target[part] = target = inner if isinstance(inner, dict) else {}
        target[leaf] = value
    return spec
