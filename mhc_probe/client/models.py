"""Define the objects that calls of the client return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.record.display import to_bundle
from mhc_core.record.result import Result
from mhc_core.record.tables import Table, to_pandas, to_polars, write_parquet
from mhc_probe.client.errors import ClientError

# Type of a function from an id to the current status of a record, and its result if it is done.
Look = Callable[[str], tuple[str, Result | None]]
PLOTLY_MEDIA_TYPE = "application/vnd.plotly.v1+json"


@dataclass(frozen=True)
class Run:
    """A record on a server: a run, or a recording.

    Attributes
    ----------
    id: its id on the server.
    status: queued, running, done, failed or cancelled, at the time of the request.
    position: position in the queue, from 1; None if it is not queued.
    details: the whole response.
    look: function that a notebook uses to show the record; None for `AsyncClient`.
    """

    id: str
    status: str
    position: int | None
    details: dict[str, Any]
    look: Look | None = field(default=None, compare=False, repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return show_record(self.id, self.status, self.look)

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> "Run":
        """Build the run from the body of a response."""
        return cls(body["id"], body["status"], body["position"], body)


@dataclass(frozen=True)
class Trace:
    """A recording on a server. Its `id` is accepted wherever the id of a run is.

    Attributes
    ----------
    id: a hash of the content.
    url: address of its page.
    look: as in `Run`.
    """

    id: str
    url: str
    look: Look | None = field(default=None, compare=False, repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return show_record(self.id, "done", self.look)


@dataclass(frozen=True)
class Twin:
    """A synthetic stack with the depth, streams, blocks and initialisation of a recorded model, as far as known.

    Attributes
    ----------
    spec: spec of the stack, to pass to `submit`.
    unknown: sentences on what the recording does not contain, and what the twin uses instead.
    """

    spec: dict[str, Any]
    unknown: list[str]


@dataclass(frozen=True)
class Sweep:
    """A grid of runs.

    Attributes
    ----------
    id: its id on the server, valid until the server restarts.
    is_open: whether any of its runs is reserved, queued or running.
    counts: status -> number of runs.
    reasons: run id -> why it failed.
    ids: run ids, one row for each value of y.
    """

    id: str
    is_open: bool
    counts: dict[str, int]
    reasons: dict[str, str]
    ids: list[list[str]]

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> "Sweep":
        """Build the sweep from the body of a response."""
        return cls(body["id"], body["is_open"], body["counts"], body["reasons"], body["ids"])


@dataclass(frozen=True)
class Atlas:
    """The effect of every single cut of a run: arrays over cut, layer and stream, (K, L, n).

    Attributes
    ----------
    status: queued, running or done; the arrays are empty until it is done.
    done: fraction of the layers whose cuts are finished.
    cuts: K ways of cutting, with the fields `what` and `do` of an edit.
    seeds: number of seeds over which each value is the median.
    loss_base: the loss without a cut.
    loss, output_kl, effect_last: with the cut, the loss, the KL divergence of the output in nats, and the relative
        distance of the last state; nan if there is none.
    """

    run: str
    status: str
    done: float
    cuts: list[dict[str, str]]
    seeds: int | None
    loss_base: float
    loss: np.ndarray
    output_kl: np.ndarray
    effect_last: np.ndarray

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> "Atlas":
        """Build the atlas from the body of a response."""

        def to_array(key: str) -> np.ndarray:
            return np.array([] if body[key] is None else body[key], dtype=np.float64)

        return cls(
            run=body["run"],
            status=body["status"],
            done=body["done"],
            cuts=body["cuts"],
            seeds=body["seeds"],
            loss_base=float("nan") if body["loss_base"] is None else body["loss_base"],
            loss=to_array("loss"),
            output_kl=to_array("output_kl"),
            effect_last=to_array("effect_last"),
        )


@dataclass(frozen=True)
class SweepValues:
    """One number for each run of a sweep, (Y, X).

    Attributes
    ----------
    title: name of the number.
    metric: key of the metric.
    x, y: dotted field of the spec, and its values; y is None for a grid of one row.
    ids, status: id and status of each run, row by row; a status other than `done` says why there is no number.
    values, log10: the numbers and their logarithms; nan if there is none.
    """

    title: str
    metric: str
    x: tuple[str, list[Any]]
    y: tuple[str, list[Any]] | None
    ids: list[list[str]]
    status: list[list[str]]
    values: np.ndarray
    log10: np.ndarray

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> "SweepValues":
        """Build the values of a sweep from the body of a response."""
        axes = [None if body[name] is None else (body[name]["field"], body[name]["values"]) for name in ("x", "y")]
        assert axes[0] is not None, "a grid has columns"
        return cls(
            title=body["title"],
            metric=body["metric"]["key"],
            x=axes[0],
            y=axes[1],
            ids=body["ids"],
            status=body["status"],
            values=np.array(body["values"], dtype=np.float64),
            log10=np.array(body["log10"], dtype=np.float64),
        )

    def to_table(self) -> Table:
        """Return one row per run: its values on the axes, `value`, `log10`, `status` and `run`."""
        table: Table = {self.x[0]: self.x[1] * len(self.ids)}
        if self.y is not None:
            table[self.y[0]] = [value for value in self.y[1] for _ in self.x[1]]
        ids, status = ([cell for row in rows for cell in row] for rows in (self.ids, self.status))
        return table | {"value": self.values.ravel(), "log10": self.log10.ravel(), "status": status, "run": ids}

    def to_pandas(self) -> Any:
        """Return the values as a pandas DataFrame, with the columns of `to_table`."""
        return to_pandas(self.to_table())

    def to_polars(self) -> Any:
        """Return the values as a polars DataFrame, with the columns of `to_table`."""
        return to_polars(self.to_table())

    def to_parquet(self, path: str | Path) -> Path:
        """Write the values to a Parquet file, with the columns of `to_table`; return its path."""
        return write_parquet(self.to_table(), path)


@dataclass(frozen=True)
class Snapshot:
    """A stored view: finished runs that the server keeps permanently.

    Attributes
    ----------
    url: address of its page, relative to the server's.
    """

    id: str
    url: str
    runs: list[str]
    title: str
    note: str

    @classmethod
    def from_response(cls, body: Mapping[str, Any]) -> "Snapshot":
        """Build the snapshot from the body of a response."""
        return cls(body["id"], body["url"], body["runs"], body["title"], body["note"])


class Figure(dict[str, Any]):
    """A Plotly figure as plain data. `plotly.graph_objects.Figure(figure)` accepts it, and a notebook shows it."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {PLOTLY_MEDIA_TYPE: dict(self), "text/plain": f"Figure with {len(self['data'])} traces"}


def show_record(record_id: str, status: str, look: Look | None) -> dict[str, Any]:
    """Return a record's representation in a notebook: its figure and table if it is done, else its status."""
    if look is None:
        return _to_text(record_id, status)
    try:
        status, result = look(record_id)
    except ClientError as error:
        return _to_text(record_id, f"{status} at the last request; now {error}")
    return _to_text(record_id, status) if result is None else to_bundle(result)


def _to_text(record_id: str, status: str) -> dict[str, Any]:
    return {"text/plain": f"Run {record_id}: {status}"}


@dataclass(frozen=True)
class Lens:
    """What a run's own read-out predicts from every state, and how well linear probes read each stream.

    R = L + 1 rows: the embedding, and the state after each of L layers. n streams.

    Attributes
    ----------
    subsets: S subsets of the streams, each stream alone first, all together last.
    kl: (R), KL divergence of each row's prediction from the stack's own output, in nats. kl_subsets: (R, S), the same
        with the streams outside the subset set to 0. kl_branches: (L), the same for each branch's output alone.
    tokens: the most likely tokens at one position with their probabilities, for each row. context, target: the text up
        to that position, and the token that follows in the data.
    probes: target, such as position -> accuracy on held-out data, (R, n). chance: the accuracy of always choosing the
        most frequent class. probed: number of tokens on which accuracies are measured.
    """

    run: str
    subsets: list[list[int]]
    kl: np.ndarray
    kl_subsets: np.ndarray
    kl_branches: np.ndarray
    tokens: list[list[tuple[str, float]]]
    context: str
    target: str
    probes: dict[str, np.ndarray]
    chance: dict[str, float]
    probed: int

    @classmethod
    def from_response(cls, body: dict[str, Any]) -> "Lens":
        """Build the lens from the body of a response."""
        return cls(
            run=body["run"],
            subsets=body["subsets"],
            kl=np.array(body["kl"], dtype=np.float64),
            kl_subsets=np.array(body["kl_subsets"], dtype=np.float64),
            kl_branches=np.array(body["kl_branches"], dtype=np.float64),
            tokens=[[(one["token"], one["probability"]) for one in row] for row in body["tokens"]],
            context=body["context"],
            target=body["target"],
            probes={probe["target"]: np.array(probe["accuracy"], dtype=np.float64) for probe in body["probes"]},
            chance={probe["target"]: probe["chance"] for probe in body["probes"]},
            probed=body["probed"],
        )
