"""A run as columns: what its frames add up to."""

from typing import Any

import numpy as np

from mhc_core.metrics import METRICS
from mhc_core.record.frames import Frame


class Result:
    """Collects frames, in process or decoded from their lines, into one array per metric with index = layer.

    Attributes
    ----------
    layers: key -> (L) or (L, n), nan where unknown or not finite.
    layers_log10: the same for metrics that span decades; known also where the value itself has left its range.
    matrices: h_pre, h_post (L, n), h_res (L, n, n), cka (L, L), unfolded (L, L + 1), *_std where mixing is dynamic;
        frac has h_read (L, n, n) in place of h_pre.
    status: key -> layer -> "overflow", "underflow" or "nan"; only what is not finite. Of cka, why a layer has none:
        also "constant", where it is the same for all samples; runs of numerics 1 do not say.
    input: key -> value of the embedding's output, and its gradient.
    loss: nats for text; nan where not finite.
    loss_untrained: of a run that trains, the loss as initialised; `loss`, like all of the above, is then of the trained
        stack, and until its frames come, of the stack as initialised.
    steps: key -> (S) or (S, L) over the S steps of training, nan where unknown or not finite; {} without training.
    steps_log10: the same for metrics that span decades.
    steps_status: key -> step -> status, or of a column over the layers step -> layer -> status.
    kept: step_h_pre, step_h_post (K, L, n) and step_h_res (K, L, n, n) at the K steps whose matrices are kept, with
        step_act_rms_streams, step_grad_rms_streams (K, L, n) and, of more than one stream, step_stream_cos (K, L); in
        stacks of up to 256 layers also step_cka (K, L, L), nan where a layer has none, and step_unfolded (K, L, L + 1).
    kept_steps: these steps.
    jacobian: the Jacobian frame: values, log10, status, products, dimension, converged; {} where not asked for.
    bands: key -> "p05", "p50", "p95", "min" or "max" -> (L) over seeds; log10 for metrics that span decades.
    seeds: what else a bands frame says; {} for a run of one seed.
    start, summary: data of these frames; {} until they come.
    """

    def __init__(self) -> None:
        self.layers: dict[str, np.ndarray] = {}
        self.layers_log10: dict[str, np.ndarray] = {}
        self.matrices: dict[str, np.ndarray] = {}
        self.status: dict[str, dict[int, str]] = {}
        self.input: dict[str, Any] = {}
        self.loss = float("nan")
        self.loss_untrained = float("nan")
        self.steps: dict[str, np.ndarray] = {}
        self.steps_log10: dict[str, np.ndarray] = {}
        self.steps_status: dict[str, dict[int, Any]] = {}
        self.kept: dict[str, np.ndarray] = {}
        self.kept_steps: list[int] = []
        self.jacobian: dict[str, Any] = {}
        self.bands: dict[str, dict[str, np.ndarray]] = {}
        self.seeds: dict[str, Any] = {}
        self.start: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self._depth = 0

    def add(self, frame: Frame | dict[str, Any]) -> None:
        """Take one frame."""
        kind, data = (frame.type, frame.data) if isinstance(frame, Frame) else (frame["type"], frame)
        if kind == "start":
            self.start = data
            self._depth = data["layers"]
        elif kind in ("forward", "backward"):
            if kind == "forward" and data["layer"] < 0 and "step" in data:
                self._begin_anew()
            self._add_layer(data)
        elif kind == "step":
            self._add_step(data)
        elif kind == "similarity":
            self._add_similarity(data)
        elif kind == "mixing":
            self._add_columns(data)
        elif kind == "loss":
            self.loss = _to_number(data["values"]["loss"])
        elif kind == "jacobian":
            self._add_jacobian(data)
        elif kind == "bands":
            self._add_bands(data)
        elif kind == "summary":
            self.summary = data

    def _begin_anew(self) -> None:
        """The trained stack is measured: nothing of the measurement before may stay beside it."""
        for table in (self.layers, self.layers_log10, self.matrices, self.status, self.input):
            table.clear()
        self.loss, self.loss_untrained = float("nan"), self.loss

    def _add_step(self, data: dict[str, Any]) -> None:
        step, steps = data["step"], self.start["spec"]["train"]["steps"]
        kept = [key for key in data["values"] if METRICS[key].table == "kept"]
        if kept:
            self.kept_steps.append(step)
        for key, value in data["values"].items():
            if key in kept:
                item = self._unknown(key) if value is None else _to_array(value)[None]
                self.kept[key] = np.concatenate([self.kept[key], item]) if key in self.kept else item
            else:
                _put(self.steps, key, steps, step, value)
        for key, value in data["log10"].items():
            _put(self.steps_log10, key, steps, step, value)
        for key, flag in data["status"].items():
            flags = {int(layer): name for layer, name in flag.items()} if isinstance(flag, dict) else flag
            self.steps_status.setdefault(key, {})[step] = flags

    def _unknown(self, key: str) -> np.ndarray:
        """The matrices of one step where they are not finite, (1, L, n, n) or (1, L, n)."""
        sizes = {"K": 1, "L": self._depth, "n": self.start["streams"]}
        return np.full([sizes[axis] for axis in METRICS[key].shape], np.nan)

    def _add_layer(self, data: dict[str, Any]) -> None:
        layer = data["layer"]
        if layer < 0:
            self.input |= data["values"]
            return
        for key, value in data["values"].items():
            table = self.matrices if METRICS[key].table == "matrices" else self.layers
            _put(table, key, self._depth, layer, value)
        for key, value in data["log10"].items():
            _put(self.layers_log10, key, self._depth, layer, value)
        for key, flag in data["status"].items():
            self.status.setdefault(key, {})[layer] = flag

    def _add_similarity(self, data: dict[str, Any]) -> None:
        layer, row = data["layer"], _to_array(data["cka"])
        if "cka" not in self.matrices:
            self.matrices["cka"] = np.full((self._depth, self._depth), np.nan, dtype=row.dtype)
        self.matrices["cka"][layer, : layer + 1] = row
        self.matrices["cka"][: layer + 1, layer] = row
        for key, flag in data.get("status", {}).items():
            self.status.setdefault(key, {})[layer] = flag

    def _add_columns(self, data: dict[str, Any]) -> None:
        for key, value in data["values"].items():
            table = self.matrices if METRICS[key].table == "matrices" else self.layers
            table[key] = _to_array(value)
        self.layers_log10 |= {key: _to_array(value) for key, value in data["log10"].items()}
        for key, flags in data["status"].items():
            self.status[key] = {int(layer): flag for layer, flag in flags.items()}

    def _add_bands(self, data: dict[str, Any]) -> None:
        self.seeds = {key: data[key] for key in ("first", "seeds", "largest", "lost")}
        for key, band in data["bands"].items():
            self.bands[key] = {name: _to_array(column) for name, column in band.items()}

    def _add_jacobian(self, data: dict[str, Any]) -> None:
        groups = {name: {key: _to_array(value) for key, value in data[name].items()} for name in ("values", "log10")}
        self.jacobian = {**groups, **{name: data[name] for name in ("status", "products", "dimension", "converged")}}


def _put(table: dict[str, np.ndarray], key: str, length: int, row: int, value: Any) -> None:
    item = _to_array(value)
    if key not in table:
        table[key] = np.full((length, *item.shape), np.nan, dtype=item.dtype)
    table[key][row] = item


def _to_array(value: Any) -> np.ndarray:
    """A column or cell as floats; null is nan."""
    if isinstance(value, np.ndarray | np.floating):
        return np.asarray(value)
    return np.asarray(value, dtype=np.float64)


def _to_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
