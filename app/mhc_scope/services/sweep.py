"""Define a sweep: a grid of runs over one or two fields of a spec. Each sweep cell is a run like any other.

Plain data of a sweep are in two places. A row of `sweeps` has its progress. A snapshot has its state when the snapshot
was stored, with its runs that had not ended as `missing`: a later state needs another snapshot. Numbers and the figure
are computed from the kept runs on request, for any metric.
"""

import copy
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mhc_core.record.grid import Axis
from mhc_core.spec import RunSpec, SpecError, SpecErrors, parse_spec
from mhc_scope.services.errors import InvalidRequestError
from mhc_scope.services.identity import SERVER, ClientIdentity
from mhc_scope.store.sweeps import SweepRow

PENDING = "held"
LIVE = ("queued", "running")
MISSING = "missing"
StoredSweep = dict[str, Any]  # JSON


@dataclass
class SweepGrid:
    """A grid of runs, and their states.

    Attributes
    ----------
    id: a hash of the grid, so that equal grids have the same id.
    base: the spec whose fields are varied.
    x, y: columns and rows of the grid; one row without y.
    ids: run ids, row by row.
    places: run id -> values (x, y) of its first cell. If a field does not apply, several cells have the same run.
    states: run id -> held (not yet submitted), a run's status, or gone (deleted). Pending runs are submitted in this
        order.
    reasons: run id -> why it failed.
    """

    id: str
    client: ClientIdentity
    base: dict[str, Any]
    x: Axis
    y: Axis | None
    ids: list[list[str]]
    places: dict[str, tuple[Any, Any]]
    states: dict[str, str]
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def viewer(self) -> str:
        """Return the key of the viewer with which the sweep watches its runs."""
        return f"sweep-{self.id}"

    @property
    def is_open(self) -> bool:
        """Return whether runs of the sweep are pending, waiting or being computed."""
        return any(state == PENDING or state in LIVE for state in self.states.values())

    def count(self) -> dict[str, int]:
        """Count the runs of the sweep by state."""
        return dict(Counter(self.states.values()))

    def list_in(self, states: Iterable[str]) -> list[str]:
        """Return the ids of the sweep's runs in one of these states."""
        wanted = set(states)
        return [run_id for run_id, state in self.states.items() if state in wanted]

    def spec_of(self, run_id: str) -> RunSpec:
        """Return the spec of a run of the sweep."""
        return parse_spec(put_values(self.base, self.x, self.y, self.places[run_id]))

    def to_row(self) -> SweepRow:
        """Convert the sweep to its row in the store."""
        client, asked_by = self.client, asdict(self.client)
        grid = self._to_plain()
        return SweepRow(self.id, grid, self.states, self.reasons, asked_by, client.key, client.address, self.is_open)

    @classmethod
    def from_row(cls, row: SweepRow) -> "SweepGrid":
        """Build a sweep from its row in the store."""
        x, y = _parse_axes(row.grid)
        ids, client = row.grid["ids"], ClientIdentity(**row.asked_by)
        cells = [(column, line) for line in (y.values if y else (None,)) for column in x.values]
        places: dict[str, tuple[Any, Any]] = {}
        for run_id, values in zip(itertools.chain(*ids), cells, strict=True):
            places.setdefault(run_id, values)
        return cls(row.id, client, row.grid["spec"], x, y, ids, places, row.states, row.reasons)

    def to_stored(self, deleted: Collection[str]) -> StoredSweep:
        """Return the present state in the form that snapshots store. Done runs that were `deleted` are `gone`."""
        states = {run_id: MISSING if state in (PENDING, *LIVE) else state for run_id, state in self.states.items()}
        states = dict(sorted((states | dict.fromkeys(deleted, "gone")).items()))
        reasons = {run_id: reason for run_id, reason in sorted(self.reasons.items()) if states[run_id] != "done"}
        return {"id": self.id, **self._to_plain(), "states": states, "reasons": reasons}

    @classmethod
    def from_stored(cls, stored: StoredSweep) -> "SweepGrid":
        """Build the sweep that a snapshot has stored."""
        x, y = _parse_axes(stored)
        kept = {name: stored[name] for name in ("id", "ids", "states", "reasons")}
        return cls(**kept, client=SERVER, base=stored["spec"], x=x, y=y, places={})

    def _to_plain(self) -> dict[str, Any]:
        """Return what never changes of a sweep: spec, axes and run ids."""
        axes = {"x": vars(self.x), "y": None if self.y is None else vars(self.y)}
        return {"spec": self.base, **axes, "ids": self.ids}


def _parse_axes(plain: dict[str, Any]) -> tuple[Axis, Axis | None]:
    """Return the axes of a sweep from plain data."""
    x, y = (axis and Axis(axis["field"], tuple(axis["values"])) for axis in (plain["x"], plain["y"]))
    return x, y


def axis_names(y: Axis | None) -> Sequence[str]:
    """Return the fields of a sweep request that determine the number of cells, for error messages."""
    return ("x.values",) if y is None else ("x.values", "y.values")


def require_size(x: Axis, y: Axis | None, limit: int) -> None:
    """Refuse axes with more than `limit` cells, with the same field, or with a repeated value.

    Raises
    ------
    InvalidRequestError, SpecErrors
        If so. Each error names the field.
    """
    cells = len(x.values) * (1 if y is None else len(y.values))
    if cells > limit:
        error = [SpecError(name, f"{cells} cells", f"at most {limit} cells in all") for name in axis_names(y)]
        raise InvalidRequestError(str(error[0]), error)
    if y is not None and y.field == x.field:
        raise SpecErrors([SpecError("y.field", y.field, f"another field than x, which is {x.field}")])
    for name, axis in (("x", x), ("y", y)):
        texts = [json.dumps(value) for value in axis.values] if axis else []
        for place, text in enumerate(texts):
            if text in texts[:place]:
                raise SpecErrors([SpecError(f"{name}.values.{place}", axis and axis.values[place], "each value once")])


def build(base: dict[str, Any], x: Axis, y: Axis | None, client: ClientIdentity) -> SweepGrid:
    """Build the sweep of a base spec over one or two axes.

    Raises
    ------
    SpecErrors
        If a cell is not a valid spec.
    """
    ids: list[list[str]] = []
    places: dict[str, tuple[Any, Any]] = {}
    errors: dict[str, SpecError] = {}
    for row in (None,) if y is None else y.values:
        ids.append([])
        for column in x.values:
            try:
                run_id = parse_spec(put_values(base, x, y, (column, row))).id
            except SpecErrors as found:
                errors |= {str(error): error for error in found.errors}
                continue
            places.setdefault(run_id, (column, row))
            ids[-1].append(run_id)
    if errors:
        raise SpecErrors(list(errors.values()))
    name = json.dumps([ids, x.field, x.values, y and [y.field, y.values]])
    sweep_id = hashlib.sha256(name.encode()).hexdigest()[:20]
    states = dict.fromkeys(itertools.chain(*ids), PENDING)
    return SweepGrid(sweep_id, client, base, x, y, ids, places, states)


def put_values(base: dict[str, Any], x: Axis, y: Axis | None, values: tuple[Any, Any]) -> dict[str, Any]:
    """Return the base spec with the values of one sweep cell. They are validated when the spec is parsed."""
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
