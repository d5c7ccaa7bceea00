"""Checks the measured groups of a frame: metrics are known, have the right shape, and are finite or have a status."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mhc_core.metric import pick_features
from mhc_core.metrics import METRICS, SOME_LAYERS
from mhc_core.record.frames import (
    AnyFrame,
    AtlasFrame,
    BackwardFrame,
    ForwardFrame,
    JacobianFrame,
    LossFrame,
    MixingFrame,
    SimilarityFrame,
    StepFrame,
)
from mhc_core.spec import SpecError

ONE_LAYER = (ForwardFrame, BackwardFrame)
GROUPED = (*ONE_LAYER, MixingFrame, StepFrame, JacobianFrame)
# Metrics that compare a layer with the one before it, which layer 0 does not have.
NEIGHBOURS = ("step_cos_prev", "step_cos_prev_p05", "step_cos_prev_p95")
INPUTS = ("act_rms_streams", "grad_rms_streams")  # of the state before the layers, at a training step
LOSSES = ("loss", "loss_base", "output_kl")
CUTS = (("stream", "zero"), ("stream", "mean"), ("h_res", "identity"), ("branch", "zero"), ("branch", "mean"))
OF_CUTS = ("loss", "output_kl", "effect_last")
LOST = ("overflow", "nan", "unknown")
FLOATS = (np.dtype("f4"), np.dtype("f8"))
MAX_RITZ = 10_000


class Groups:
    """Checks the measured groups of frames of one record with L layers and n streams of C features.

    width: C; None for early records, which do not state it.
    """

    def __init__(self, layers: int, streams: int, width: int | None) -> None:
        self.layers, self.width = layers, width
        self._sizes = {"L": layers, "n": streams, "J": layers + 1}
        self._sizes |= {} if width is None else {"C": len(pick_features(width, streams))}
        self._dtypes: dict[str, np.dtype[Any]] = {}

    def fork(self) -> "Groups":
        """Return an independent copy of this checker."""
        copied = Groups(self.layers, self._sizes["n"], self.width)
        copied._dtypes = dict(self._dtypes)
        return copied

    def check(self, frame: AnyFrame, path: str) -> None:
        """Check that the values, log10 and status of a frame agree with the catalogue of metrics.

        Raises
        ------
        SpecError
            Names the metric: `frames[12].values.h_res`.
        """
        if isinstance(frame, GROUPED):
            for key, value in frame.values.items():
                self._check_metric(frame, key, f"{path}.values.{key}")
                self._check_value(frame, key, value, f"{path}.values.{key}")
            for key, value in frame.log10.items():
                self._check_log10(frame, key, value, f"{path}.log10.{key}")
            self._check_status(frame.values, frame.status, path)
            if isinstance(frame, StepFrame) and frame.input is not None:
                self._check_input(frame.input, f"{path}.input")
        elif isinstance(frame, LossFrame):
            _check_loss(frame, path)
        elif isinstance(frame, SimilarityFrame):
            self._check_similarity(frame, path)
        elif isinstance(frame, AtlasFrame):
            self._check_atlas(frame, path)

    def _check_input(self, values: Mapping[str, Any], path: str) -> None:
        """Check the values of the state before the layers: keys, shapes, and that none is infinite."""
        for key, value in values.items():
            if key not in INPUTS:
                raise SpecError(f"{path}.{key}", key, f"one of {', '.join(INPUTS)}")
            if not isinstance(value, np.ndarray) or value.shape != (self._sizes["n"],):
                raise SpecError(f"{path}.{key}", f"shape {list(np.shape(value))}", f"shape {[self._sizes['n']]}")
            _require_no_infinity(value, f"{path}.{key}")

    def _check_metric(self, frame: AnyFrame, key: str, path: str) -> None:
        """Check that a key is that of a metric, that frames of this type can have it, and that its sizes are known."""
        if key not in METRICS or METRICS[key].frame != frame.type:
            raise SpecError(path, key, f"a metric of {frame.type} frames, as the metrics catalogue has them")
        if "C" in METRICS[key].shape and self.width is None:
            raise SpecError(path, key, "a start frame with `width` before the values of single features")

    def _check_value(self, frame: AnyFrame, key: str, value: Any, path: str) -> None:
        """Raise SpecError for a value of the wrong shape, an infinite number, or a null without a status."""
        shape = self._find_shape(frame, key)
        if value is None and (not shape or isinstance(frame, StepFrame)):
            pass  # a status is required below
        elif shape is None:
            self._require_list(value, path)
        else:
            self._require_shape(key, value, shape, path)
        _require_no_infinity(value, path)
        unexplained = _find_nan(value) & ~_find_flagged(frame, key, value)
        if key in NEIGHBOURS:
            unexplained[:1] = False
        elif key in SOME_LAYERS:
            unexplained[:] = False
        if unexplained.any():
            raise SpecError(path, "null", "a number, or a status that says why there is none")

    def _check_log10(self, frame: Any, key: str, value: Any, path: str) -> None:
        """Check the log10 of a metric: that the metric spans decades, and the shape."""
        if key not in frame.values or METRICS[key].scale != "log":
            raise SpecError(path, key, "logarithms of metrics that span decades, next to their values")
        shape = self._find_shape(frame, key)
        if shape is None:
            self._require_list(value, path)
        elif value is not None or shape:
            self._require_shape(f"log10 {key}", value, shape, path)
        _require_no_infinity(value, path)

    def _find_shape(self, frame: AnyFrame, key: str) -> tuple[int, ...] | None:
        """Return the expected shape of a metric's value in this frame; None for a list of any length."""
        axes = METRICS[key].shape
        if isinstance(frame, JacobianFrame):
            return () if not axes else None
        if not isinstance(frame, MixingFrame):
            axes = axes[1:]  # type: ignore[assignment]
        return tuple(self._sizes[axis] for axis in axes)

    def _require_shape(self, key: str, value: Any, shape: tuple[int, ...], path: str) -> None:
        """Raise SpecError unless a value has this shape, and the same dtype in all frames."""
        got = np.shape(value) if isinstance(value, np.ndarray) else ()
        if value is None or got != shape:
            found = "null" if value is None else f"shape {list(got)}"
            raise SpecError(path, found, f"shape {list(shape)}" if shape else "a number")
        if isinstance(value, np.ndarray):
            known = self._dtypes.setdefault(key, value.dtype)
            if value.dtype not in FLOATS or value.dtype != known:
                raise SpecError(path, value.dtype.name, "f4 or f8, the same in all frames")

    def _require_list(self, value: Any, path: str) -> None:
        """Raise SpecError unless a value is a list of a limited number of numbers."""
        if np.ndim(value) != 1 or len(value) > MAX_RITZ:
            raise SpecError(path, f"shape {list(np.shape(value))}", f"a list of at most {MAX_RITZ} numbers")

    def _check_status(self, values: Mapping[str, Any], status: Mapping[str, Any], path: str) -> None:
        """Check that each status belongs to a value without a number, in layers that exist."""
        for key, flag in status.items():
            place = f"{path}.status.{key}"
            if key not in values:
                raise SpecError(place, key, "a status of a value that is there")
            if not isinstance(flag, dict):
                if flag in LOST and not _find_nan(values[key]).any():
                    raise SpecError(place, flag, "no status next to a number")
                continue
            column = np.ndim(values[key]) and len(values[key])
            if not all(0 <= layer < column for layer in flag):
                raise SpecError(place, sorted(flag)[-1], f"layers 0 to {self.layers - 1}")

    def _check_atlas(self, frame: AtlasFrame, path: str) -> None:
        """Check the cuts, keys and shapes of an atlas frame."""
        if not 0 < len(frame.cuts) <= len(CUTS) or any((cut.what, cut.do) not in CUTS for cut in frame.cuts):
            allowed = ", ".join(f"{do} of {what}" for what, do in CUTS)
            raise SpecError(f"{path}.cuts", [f"{cut.do} of {cut.what}" for cut in frame.cuts], f"some of {allowed}")
        if tuple(frame.values) != OF_CUTS:
            raise SpecError(f"{path}.values", sorted(frame.values), ", ".join(OF_CUTS))
        shape = (len(frame.cuts), self.layers, self._sizes["n"])
        for key, value in frame.values.items():
            self._require_shape(f"atlas {key}", value, shape, f"{path}.values.{key}")
            _require_no_infinity(value, f"{path}.values.{key}")

    def _check_similarity(self, frame: SimilarityFrame, path: str) -> None:
        """Check the shape and the status of a similarity frame."""
        self._require_shape("cka", frame.cka, (frame.layer + 1,), f"{path}.cka")
        _require_no_infinity(frame.cka, f"{path}.cka")
        if set(frame.status or {}) - {"cka"}:
            raise SpecError(f"{path}.status", sorted(frame.status or {}), "cka alone")


def _check_loss(frame: LossFrame, path: str) -> None:
    """Check the keys of a loss frame, and that each value has a number or a status."""
    if "loss" not in frame.values or frame.values.keys() - LOSSES or frame.status.keys() - frame.values.keys():
        raise SpecError(f"{path}.values", sorted(frame.values), f"loss, and for an edited run {', '.join(LOSSES[1:])}")
    for key, value in frame.values.items():
        if value is None and key not in frame.status:
            raise SpecError(f"{path}.values.{key}", "null", "a number, or a status that says why there is none")


def _find_nan(value: Any) -> np.ndarray:
    """Return a mask of the entries of a value that are nan, with at least one axis."""
    return np.atleast_1d(np.isnan(np.asarray(value, dtype=np.float64)))


def _find_flagged(frame: Any, key: str, value: Any) -> np.ndarray:
    """Return a mask of the entries that have a status, by their first axis, which broadcasts to the values."""
    flag = frame.status.get(key)
    lost = _find_nan(value)
    if not isinstance(flag, dict):
        return np.full(lost.shape, flag is not None)
    flagged = np.zeros(lost.shape, dtype=bool)
    flagged[[layer for layer in flag if 0 <= layer < len(lost)]] = True
    return flagged


def _require_no_infinity(value: Any, path: str) -> None:
    """Raise SpecError if a value is infinite."""
    if np.isinf(np.asarray(value, dtype=np.float64)).any():
        raise SpecError(path, "infinity", "finite numbers, and null where a status says why")
