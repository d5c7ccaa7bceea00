"""Converts measurements to the form of frames: values, log10 of metrics that span decades, and the status of values
that are not finite.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np
import torch

from mhc_core.metrics import METRICS
from mhc_core.record.values import ColumnGroup, LayerGroup, LayerStatus, Status

K = TypeVar("K")


def fetch(measured: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Copy all measurements to the host as float64 arrays by key, in one transfer."""
    (values,) = fetch_all([measured])
    return values


@torch.no_grad()
def fetch_all(blocks: Sequence[Mapping[str, torch.Tensor]]) -> list[dict[str, np.ndarray]]:
    """Return the measurements of several blocks, copied to the host as float64 in one transfer."""
    tensors = [value for block in blocks for value in block.values()]
    if not tensors:
        return [{} for _ in blocks]
    flat = torch.cat([value.reshape(-1).double() for value in tensors]).cpu().numpy()
    parts = iter(_cut(flat, dict(enumerate(tensors))).values())
    return [{key: next(parts) for key in block} for block in blocks]


def with_log10(magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return magnitudes and their logarithms, -inf for 0."""
    with np.errstate(divide="ignore"):
        return magnitude, np.log10(magnitude)


def to_columns(columns: Mapping[str, tuple[np.ndarray, np.ndarray]], cast: type[np.floating]) -> ColumnGroup:
    """Convert columns over all layers, key -> (value, log10), to values, log10 and status by layer, as in frames.

    Values that are not finite become nan. A value beyond the range of `cast` has a status, and its log10 is kept.
    """
    group: ColumnGroup = {"values": {}, "log10": {}, "status": {}}
    for key, (measured, log) in columns.items():
        with np.errstate(over="ignore", under="ignore"):
            value = measured.astype(cast)
        if METRICS[key].scale == "log":
            group["log10"][key] = np.where(np.isfinite(log), log, np.nan).astype(cast)
        suspects = np.flatnonzero(~np.isfinite(value) | (value == 0))
        flags = {int(layer): flag for layer in suspects if (flag := to_status(value[layer], log[layer]))}
        if flags:
            group["status"][key] = flags
        lost = np.zeros(len(value), dtype=bool)
        lost[list(flags)] = True
        group["values"][key] = np.where(lost, np.nan, value)
    return group


def to_groups(columns: Mapping[str, np.ndarray], cast: type[np.floating]) -> list[LayerGroup]:
    """Convert a block's measurements (K, ...) to K groups of values, log10 and status, one for each layer's frame.

    Values that are not finite become nan. Values above the range of `cast`, or below it in a metric that spans decades,
    also become nan; they have a status, and their log10 is kept. A column may be shorter than others: later layers then
    do not have it.
    """
    # All columns are in one array, those that span decades first, because calls on small arrays are mostly overhead.
    spanning = {key: column for key, column in columns.items() if METRICS[key].scale == "log"}
    ordered = {**spanning, **columns}
    flat = np.concatenate([column.reshape(-1) for column in ordered.values()])
    logs = slice(sum(column.size for column in spanning.values()))
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        sent, log10 = flat.astype(cast), np.log10(flat[logs])
    lost = ~np.isfinite(sent)
    lost[logs] |= (sent[logs] == 0) & (flat[logs] != 0)
    values = _cut(np.where(lost, np.nan, sent), ordered)
    log10s = _cut(np.where(np.isfinite(log10), log10, np.nan).astype(cast), spanning)

    size = max(map(len, columns.values()))
    groups: list[LayerGroup] = [{"values": {}, "log10": {}, "status": {}} for _ in range(size)]
    for key in columns:
        for group, value in zip(groups, values[key], strict=False):
            group["values"][key] = value
        for group, value in zip(groups, log10s.get(key, ()), strict=False):
            group["log10"][key] = value
    if lost.any():
        _add_status(groups, columns, _cut(sent, ordered), _cut(lost, ordered))
    return groups


def _cut(flat: np.ndarray, columns: Mapping[K, np.ndarray | torch.Tensor]) -> dict[K, np.ndarray]:
    """Split a flat array into consecutive views with the keys and shapes of these columns."""
    sizes = [math.prod(column.shape) for column in columns.values()]
    return {
        key: flat[end - size : end].reshape(column.shape)
        for (key, column), size, end in zip(columns.items(), sizes, accumulate(sizes), strict=True)
    }


def _add_status(
    groups: list[LayerGroup], keys: Iterable[str], sent: Mapping[str, np.ndarray], lost: Mapping[str, np.ndarray]
) -> None:
    """Add the status of each layer in which entries are lost. `sent` has the values after rounding to the type."""
    for key in keys:
        for layer in np.flatnonzero(lost[key].reshape(len(lost[key]), -1).any(1)):
            groups[layer]["status"][key] = _name_loss(sent[key][layer][lost[key][layer]])


def _name_loss(lost: np.ndarray) -> Status:
    """Return why a frame has no value for entries. `lost`: these entries in the frame's type: nan, infinite or 0."""
    if np.isnan(lost).any():
        return "nan"
    return "overflow" if np.isinf(lost).any() else "underflow"


def to_stack(column: np.ndarray, cast: type[np.floating]) -> tuple[np.ndarray, LayerStatus]:
    """Return a column (L, ...) for a frame, nan where it is not finite, and the status of such layers."""
    finite = np.isfinite(column)
    lost = np.flatnonzero(~finite.reshape(len(column), -1).all(1))
    flags: LayerStatus = {int(layer): "nan" if np.isnan(column[layer]).any() else "overflow" for layer in lost}
    return np.where(finite, column, np.nan).astype(cast), flags


def to_signed(matrix_LS: np.ndarray, cast: type[np.floating]) -> tuple[np.ndarray, LayerStatus]:
    """Return a signed matrix for a frame, with nan for entries beyond the range of `cast`, and the status of such rows.

    An entry below that range becomes 0. This counts as rounding, unless all entries of the row become 0.
    """
    with np.errstate(over="ignore", under="ignore"):
        sent = matrix_LS.astype(cast)
    sent[np.isinf(sent)] = np.nan
    unknown, lost = np.isnan(matrix_LS).any(1), np.isnan(sent).any(1)
    flags: LayerStatus = {int(layer): "nan" if unknown[layer] else "overflow" for layer in np.flatnonzero(lost)}
    vanished = matrix_LS.any(1) & ~sent.any(1)
    return sent, flags | {int(layer): "underflow" for layer in np.flatnonzero(vanished)}


def to_status(value: float, log10: float | None = None) -> Status | None:
    """Return `overflow`, `underflow` or `nan` for a value, or None for an ordinary one, including a true zero."""
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "overflow"
    if value == 0 and log10 is not None and np.isfinite(log10):
        return "underflow"
    return None
