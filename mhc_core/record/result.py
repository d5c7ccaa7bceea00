"""The result: the columns of a record, collected from its frames."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.metrics import METRICS
from mhc_core.record import container, display, tables
from mhc_core.record.frames import (
    AnyFrame,
    AtlasFrame,
    BackwardFrame,
    BandsFrame,
    ForwardFrame,
    JacobianFrame,
    LossFrame,
    MixingFrame,
    SimilarityFrame,
    StartFrame,
    StepFrame,
    SummaryFrame,
)
from mhc_core.record.source import Source
from mhc_core.record.start import CkaEstimator, Law
from mhc_core.record.values import Values


class Result:
    """Collects the frames of a record into one array per metric. The first index is the layer.

    Attributes
    ----------
    layers: key -> (L) or (L, n), nan if unknown or not finite.
    layers_log10: log10 of metrics that span decades, also known if the value itself is beyond its range.
    matrices: h_pre, h_post (L, n), h_res (L, n, n), cka (L, L), unfolded (L, L + 1), and *_std if mixing is dynamic;
        frac has h_read (L, n, n) instead of h_pre. For connections with a gate for each feature, also gates and
        gates_std (L, n, C), where C are the kept features of a stream.
    status: key -> layer -> "overflow", "underflow", "nan", in a trace also "unknown"; only for values that are not
        finite. For cka, why a layer has none: also "constant" if it is the same for all samples; runs of numerics 1 do
        not say.
    input: key -> value of the embedding's output, and of its gradient.
    loss: in nats for text; nan if not finite.
    loss_base, output_kl: for an edited run, the loss without edits, and the KL divergence of its output from that
        without edits; otherwise nan.
    loss_untrained: for a run that trains, the loss as initialised. `loss`, like all of the above, is then that of the
        trained stack; until its frames have come, that of the stack as initialised.
    steps: key -> (S) or (S, L) over the S training steps (for a trace, those received so far), nan if unknown or not
        finite; {} without training.
    steps_log10: log10 of those metrics that span decades.
    steps_status: key -> step -> status; for columns over layers, step -> layer -> status.
    kept: step_h_pre, step_h_post (K, L, n) and step_h_res (K, L, n, n) at the K steps whose matrices are kept, with
        step_act_rms_streams, step_grad_rms_streams (K, L, n) and, for several streams, step_stream_cos (K, L); in
        stacks of up to 256 layers also step_cka (K, L, L), nan if a layer has none, and step_unfolded (K, L, L + 1).
    kept_steps: the numbers of these steps.
    iterations: for a trace, step -> the trainer's own number of updates before it.
    jacobian: the Jacobian frame; None if not requested.
    atlas: the effect of every single cut, in a trace that has measured it; else None.
    bands: key -> "p05", "p50", "p95", "min" or "max" -> (L) over seeds; log10 for metrics that span decades.
    seeds: the bands frame, for its other fields; None for a run of one seed.
    depth: L, from the start frame; the argument `depth` if there is no start frame.
    frames: the added frames, with which the record can be saved; empty if `keeps_frames` is False.
    """

    def __init__(self, depth: int = 0, *, keeps_frames: bool = True) -> None:
        self.depth = depth
        self.frames: list[AnyFrame] = []
        self._keeps_frames = keeps_frames
        self.layers: dict[str, np.ndarray] = {}
        self.layers_log10: dict[str, np.ndarray] = {}
        self.matrices: dict[str, np.ndarray] = {}
        self.status: dict[str, dict[int, str]] = {}
        self.input: Values = {}
        self.loss = self.loss_base = self.output_kl = float("nan")
        self.loss_untrained = float("nan")
        self.steps: dict[str, np.ndarray] = {}
        self.steps_log10: dict[str, np.ndarray] = {}
        self.steps_status: dict[str, dict[int, Any]] = {}
        self.kept: dict[str, np.ndarray] = {}
        self.kept_steps: list[int] = []
        self.iterations: dict[int, int] = {}
        self.jacobian: JacobianFrame | None = None
        self.atlas: AtlasFrame | None = None
        self.bands: dict[str, dict[str, np.ndarray]] = {}
        self.seeds: BandsFrame | None = None
        self._received_steps = 0
        self._start: StartFrame | None = None
        self._summary: SummaryFrame | None = None

    @property
    def start(self) -> StartFrame:
        """Return the start frame of the record, which must have come."""
        assert self._start is not None, "no start frame has come yet"
        return self._start

    @property
    def has_start(self) -> bool:
        """Return whether the start frame of the record has come."""
        return self._start is not None

    @property
    def has_summary(self) -> bool:
        """Return whether the summary frame of the record has come."""
        return self._summary is not None

    @property
    def summary(self) -> SummaryFrame:
        """Return the summary frame of the record, which must have come."""
        assert self._summary is not None, "no summary frame has come yet"
        return self._summary

    @property
    def source(self) -> Source:
        """Return where the record comes from: a spec or a trace of someone's model."""
        return self.start.get_source()

    @property
    def label(self) -> str:
        """Return the display name of the run: that of its spec, or of the recorded model."""
        return self.source.label

    @property
    def method(self) -> str:
        """Return the kind of connection, or that it is a trace."""
        return self.source.method

    @property
    def streams(self) -> int:
        """Return the number of parallel residual streams, n."""
        return self.start.streams

    @property
    def width(self) -> int | None:
        """Return the number of features of a stream, C (of all parts, if streams are parts); None if it is unknown."""
        return self.start.width

    @property
    def blocks(self) -> list[str]:
        """Return the name of each layer's branch, such as "attention", (L)."""
        return self.start.blocks

    @property
    def cka_estimator(self) -> CkaEstimator | None:
        """Return how CKA was estimated; None if the record does not state it."""
        return self.start.cka

    @property
    def laws(self) -> list[Law]:
        """Return the curves that theory predicts for the run, to compare with its columns."""
        return self.start.theory or []

    @property
    def train_steps(self) -> int:
        """Return the number of training steps, S: the requested number, or for a trace the number received so far."""
        return self.source.train_steps or self._received_steps

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Result":
        """Load a record from a file that `save` wrote.

        Raises
        ------
        SpecError
            If the file is not a record file, or a field has an invalid value; names the field.
        """
        result = cls()
        with open(path, "rb") as file:
            for frame in container.read_frames(file):
                result.add(frame)
        return result

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the record to a file, `*.mhct`, which `load` can read and a server accepts.

        Raises
        ------
        ValueError
            If the result has no frames to write.
        """
        content = self.to_bytes()
        with open(path, "wb") as file:
            file.write(content)

    def publish(self, url: str) -> str:
        """Post a trace to the server at `url`, and return the link to the page that shows it.

        Raises
        ------
        PublishError
            If the server refuses it. It refuses records of specs; post the spec to `/runs` instead.
        OSError
            If the server cannot be reached.
        """
        return container.publish(url, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the content of the record's file, as `save` writes it.

        Raises
        ------
        ValueError
            If the result has no frames.
        """
        if not self.frames:
            raise ValueError(
                "this result has no frames to save: none were added, or it was made with keeps_frames=False"
            )
        file = io.BytesIO()
        container.write_frames(file, self.frames)
        return file.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return display.to_bundle(self)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return every array by its name in NPZ files, such as `layers.act_rms`."""
        return tables.to_arrays(self)

    def to_pandas(self, what: str = "layers") -> Any:
        """Return a table as a pandas DataFrame: `layers`, `steps`, or the key of one metric, with one row per entry."""
        return tables.to_pandas(tables.to_table(self, what))

    def to_polars(self, what: str = "layers") -> Any:
        """Return a table as a polars DataFrame: `layers`, `steps`, or the key of one metric, with one row per entry."""
        return tables.to_polars(tables.to_table(self, what))

    def to_parquet(self, path: str | Path, what: str = "layers") -> Path:
        """Write a table as a Parquet file: `layers`, `steps`, or the key of one metric; return the path."""
        return tables.write_parquet(tables.to_table(self, what), path)

    def add(self, frame: AnyFrame) -> None:
        """Add the data of a frame to the columns. Frames without such data are ignored."""
        if self._keeps_frames:
            self.frames.append(frame)
        match frame:
            case StartFrame():
                self._start, self.depth = frame, frame.layers
            case ForwardFrame():
                self._add_forward(frame)
            case BackwardFrame():
                self._add_layer(frame)
            case StepFrame():
                self._add_step(frame)
            case SimilarityFrame():
                self._add_similarity(frame)
            case MixingFrame():
                self._add_columns(frame)
            case LossFrame():
                self.loss, self.loss_base, self.output_kl = (
                    _to_number(frame.values.get(key)) for key in ("loss", "loss_base", "output_kl")
                )
            case JacobianFrame():
                self.jacobian = frame
            case AtlasFrame():
                self.atlas = frame
            case BandsFrame():
                self._add_bands(frame)
            case SummaryFrame():
                self._summary = frame

    def _add_forward(self, frame: ForwardFrame) -> None:
        """Add a forward frame. The first one of the trained stack clears the measurements before training."""
        if frame.layer < 0 and frame.step is not None:
            self._begin_anew()
        self._add_layer(frame)

    def _begin_anew(self) -> None:
        """Clear the columns measured before training, because frames of the trained stack follow."""
        for table in (self.layers, self.layers_log10, self.matrices, self.status, self.input):
            table.clear()
        self.loss, self.loss_untrained = float("nan"), self.loss

    def _add_step(self, frame: StepFrame) -> None:
        """Add the values, logarithms and statuses of a training step to the columns over steps."""
        self._received_steps = max(self._received_steps, frame.step + 1)
        step, steps = frame.step, self.train_steps
        if frame.iteration is not None:
            self.iterations[step] = frame.iteration
        kept = [key for key in frame.values if METRICS[key].table == "kept"]
        if kept:
            self.kept_steps.append(step)
        for key, value in frame.values.items():
            if key in kept:
                item = self._unknown(key) if value is None else _to_array(value)[None]
                self.kept[key] = np.concatenate([self.kept[key], item]) if key in self.kept else item
            else:
                _set_row(self.steps, key, steps, step, value)
        for key, value in frame.log10.items():
            _set_row(self.steps_log10, key, steps, step, value)
        for key, flag in frame.status.items():
            self.steps_status.setdefault(key, {})[step] = flag
        for table in (self.steps, self.steps_log10):
            table |= {key: _lengthen(column, steps) for key, column in table.items() if len(column) < steps}

    def _unknown(self, key: str) -> np.ndarray:
        """Return matrices of nan for one step whose values are not finite, (1, L, n, n) or (1, L, n)."""
        sizes = {"K": 1, "L": self.depth, "n": self.streams}
        return np.full([sizes[axis] for axis in METRICS[key].shape], np.nan)

    def _add_layer(self, frame: ForwardFrame | BackwardFrame) -> None:
        """Add the values of one layer to the columns and matrices."""
        layer = frame.layer
        if layer < 0:
            self.input |= frame.values
            return
        for key, value in frame.values.items():
            # A key that is not in the catalogue belongs to a package that is not installed here: a metric of layers.
            is_matrix = key in METRICS and METRICS[key].table == "matrices"
            _set_row(self.matrices if is_matrix else self.layers, key, self.depth, layer, value)
        for key, value in frame.log10.items():
            _set_row(self.layers_log10, key, self.depth, layer, value)
        for key, flag in frame.status.items():
            self.status.setdefault(key, {})[layer] = flag

    def _add_similarity(self, frame: SimilarityFrame) -> None:
        """Add the CKA of one layer with all layers before it, as a row and a column of the matrix."""
        layer, row = frame.layer, _to_array(frame.cka)
        if "cka" not in self.matrices:
            self.matrices["cka"] = np.full((self.depth, self.depth), np.nan, dtype=row.dtype)
        self.matrices["cka"][layer, : layer + 1] = row
        self.matrices["cka"][: layer + 1, layer] = row
        for key, flag in (frame.status or {}).items():
            self.status.setdefault(key, {})[layer] = flag

    def _add_columns(self, frame: MixingFrame) -> None:
        """Add the columns of a mixing frame, which cover all layers."""
        for key, value in frame.values.items():
            table = self.matrices if METRICS[key].table == "matrices" else self.layers
            table[key] = _to_array(value)
        self.layers_log10 |= {key: _to_array(value) for key, value in frame.log10.items()}
        for key, flags in frame.status.items():
            self.status[key] = dict(flags)

    def _add_bands(self, frame: BandsFrame) -> None:
        """Add the percentiles over seeds of a bands frame, and keep the frame."""
        self.seeds = frame
        for key, band in frame.bands.items():
            self.bands[key] = {name: _to_array(column) for name, column in band.items()}


def _set_row(table: dict[str, np.ndarray], key: str, length: int, row: int, value: Any) -> None:
    """Set a row of a column. Create the column if it is missing, and lengthen it if it is too short."""
    item = _to_array(value)
    if key not in table:
        table[key] = np.full((length, *item.shape), np.nan, dtype=item.dtype)
    elif len(table[key]) < length:
        table[key] = _lengthen(table[key], length)
    table[key][row] = item


def _lengthen(column: np.ndarray, length: int) -> np.ndarray:
    """Return a column padded with nan to a new length."""
    added = np.full((length - len(column), *column.shape[1:]), np.nan, dtype=column.dtype)
    return np.concatenate([column, added])


def _to_array(value: Any) -> np.ndarray:
    """Convert a value of a frame to an array of floats; null becomes nan."""
    if isinstance(value, np.ndarray | np.floating):
        return np.asarray(value)
    return np.asarray(value, dtype=np.float64)


def _to_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
