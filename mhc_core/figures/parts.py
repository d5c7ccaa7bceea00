"""Composite gains of chosen layers only: forward from the first of them, backward from the last.

`static/js/derived/interval.js` does the same.
"""

from collections.abc import Sequence

import numpy as np

from mhc_core.figures.sources import Columns, DerivedColumns, derive
from mhc_core.metrics.mixing import measure_composites

COMPOSITES = ("composite_gain_fwd", "composite_gain_bwd")


def restrict_to_layers(results: Sequence[Columns | None], first: int, last: int) -> list[Columns | None] | None:
    """Return the columns of each run with composite gains over only the layers `first` to `last`, counted from 0.

    None if a run lacks the data, for example a run of several seeds: its gains are medians, but its matrices are those
    of the first seed.
    """
    if not all(result is None or _has_matrices(result) for result in results):
        return None
    return [None if result is None else _derive_interval(result, first, last) for result in results]


def _has_matrices(result: Columns) -> bool:
    """Return whether a run has all H_res and no bands, so that composite gains of fewer layers can be computed."""
    stack = result.matrices.get("h_res")
    return stack is not None and len(stack) == result.depth and not any(key in result.bands for key in COMPOSITES)


def _derive_interval(result: Columns, first: int, last: int) -> DerivedColumns:
    """Return the columns of a result with composite gains over only these layers; nan in other layers."""
    found = derive(result, layers=dict(result.layers), layers_log10=dict(result.layers_log10))
    stack = result.matrices["h_res"][first : last + 1].astype(np.float64)
    composites = measure_composites(stack) if len(stack) else {}
    for key in COMPOSITES:
        values, logs = np.full(result.depth, np.nan), np.full(result.depth, np.nan)
        if key in composites:
            values[first : last + 1], logs[first : last + 1] = composites[key]
        found.layers[key], found.layers_log10[key] = values, logs
    return found
