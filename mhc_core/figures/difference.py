"""Figures of differences to the first run: B - A, or B / A if the axis is logarithmic.

`static/js/figures/difference.js` does the same; a test compares them. Data that only one of the two runs has are left
out, such as layers beyond the shorter stack, or streams without a counterpart. If one run has one stream, this stream
is compared with each stream of the other run, and its mixing counts as a multiple of the identity. Bands over seeds are
not drawn, because the percentiles of a difference are not the difference of percentiles.
"""

import copy
from collections.abc import Collection, Sequence

import numpy as np

from mhc_core.figures.filling import Figure, fill
from mhc_core.figures.sources import MAX_DECADES, Columns, DerivedColumns, to_unknown
from mhc_core.metrics import METRICS

LOGARITHMIC = ("log10.", "middle.log10.", "stream_log10.", "steps_log10.")
STREAMED = ("Ln", "Lnn")  # shapes of columns with entries per stream
FEATURED = "LnC"  # shape of columns whose features depend on the number of streams
EMPTY = "Nothing here can be compared with run A."


def fill_difference(template: Figure, results: Sequence[Columns | None], labels: Sequence[str], cursor: int) -> Figure:
    """Fill a template as `fill` does, with each run relative to the first. The first run is not drawn."""
    if stands_alone(template):
        return fill(template, list(results), list(labels), cursor)
    sign = "/" if is_ratio(template) else "−"
    compared: list[Columns | None] = [None]
    for run, result in enumerate(results[1:], start=1):
        keys = {trace["meta"]["key"] for trace in template["data"] if trace["meta"]["run"] == run}
        keys |= set(template["layout"]["meta"].get("lost_rows", ()))
        base = results[0]
        compared.append(None if result is None or base is None else subtract(result, base, keys, sign == "/"))
    methods = [None if result is None else result.method for result in results]
    compared_labels = [f"{label} {sign} A" for label in labels]
    return fill(to_difference(template), compared, compared_labels, cursor, methods)


def stands_alone(template: Figure) -> bool:
    """Return whether a template cannot show differences, because it draws runs next to laws, or products of matrices.

    The product of differences is not the difference of products. A difference of products that differ by decades would
    only show the larger one.
    """
    sources = [source for trace in template["data"] for source in trace["meta"]["fill"].values()]
    return any(source.startswith(("law.", "product.")) for source in sources)


def is_ratio(template: Figure) -> bool:
    """Return whether the template draws logarithms, so that a difference of runs is a ratio, in decades."""
    sources = [source for trace in template["data"] for source in trace["meta"]["fill"].values()]
    return any(source.startswith(LOGARITHMIC) for source in sources)


def to_unit(template: Figure, unit: str) -> str:
    """Return the unit of the difference to the first run in this figure."""
    if stands_alone(template):
        return unit
    return f"{'ratio' if is_ratio(template) else 'difference'} to A · {unit}"


def to_difference(template: Figure) -> Figure:
    """Convert a template to one for differences: with a line at 0, and a diverging colour scale around 0."""
    figure = copy.deepcopy(template)
    layout, meta = figure["layout"], figure["layout"]["meta"]
    for rule in meta.get("axes", {}).values():
        rule["include"] = [0.0]
        rule.pop("limits", None)
    if "axes" in meta:
        line = {"color": meta["muted"], "width": 1}
        zero = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0, "yref": "y"}
        layout["shapes"] = [{**zero, "layer": "below", "line": line}]
    if "diverging" in meta:
        for limit in ("cmin", "cmax"):
            layout["coloraxis"].pop(limit, None)
        layout["coloraxis"] |= {"colorscale": meta["diverging"], "cmid": 0.0}
        meta["symmetric"] = "coloraxis"
    meta["empty"] = EMPTY
    return figure


def subtract(result: Columns, base: Columns, keys: Collection[str], ratio: bool) -> DerivedColumns:
    """Return the differences of the columns `keys` of `result` and those of `base`.

    ratio: whether to return quotients, computed from log10, instead of differences of values.
    """
    unknown = to_unknown(result) | to_unknown(base)
    found = DerivedColumns(
        result.depth, result.width, result.cka_estimator, result.laws, result.method, unknown=unknown
    )
    found.iterations = result.iterations
    with np.errstate(invalid="ignore", over="ignore"):
        for key in sorted({*keys, "step_loss"}):
            log10 = _subtract_column(result.layers_log10, base.layers_log10, key) if ratio else None
            values = None if ratio else _subtract_column(result.layers, base.layers, key)
            if values is not None:
                found.layers[key] = values
            if log10 is not None:
                inside = np.abs(log10) <= MAX_DECADES
                found.layers[key] = np.where(inside, 10.0 ** np.where(inside, log10, 0.0), np.nan)
                found.layers_log10[key] = log10
            flags = {**base.status.get(key, {}), **result.status.get(key, {})}
            found.status[key] = {layer: flag for layer, flag in flags.items() if layer < result.depth}
            found.steps_status[key] = {**base.steps_status.get(key, {}), **result.steps_status.get(key, {})}
            for name in ("matrices", "steps", "steps_log10"):
                pair = _subtract_column(getattr(result, name), getattr(base, name), key)
                if pair is not None:
                    getattr(found, name)[key] = pair
    return found


def _subtract_column(table: dict[str, np.ndarray], others: dict[str, np.ndarray], key: str) -> np.ndarray | None:
    """Return the column of the first table minus that of the second, in the shape of the first; None if one is missing,
    or if streams or features do not correspond.
    """
    if key not in table or key not in others:
        return None
    ours, theirs = np.asarray(table[key], np.float64), np.asarray(others[key], np.float64)
    if ours.ndim != theirs.ndim:
        return None
    if METRICS[key].shape in STREAMED:
        size = max(ours.shape[-1], theirs.shape[-1])
        ours, theirs = _to_streams(ours, size), _to_streams(theirs, size)
        if ours.shape[1:] != theirs.shape[1:]:
            return None
    if METRICS[key].shape == FEATURED and ours.shape[2] != theirs.shape[2]:
        return None
    aligned = np.full(ours.shape, np.nan)
    common = tuple(slice(0, min(sizes)) for sizes in zip(ours.shape, theirs.shape, strict=True))
    aligned[common] = theirs[common]
    return ours - aligned


def _to_streams(column: np.ndarray, size: int) -> np.ndarray:
    """Repeat a column (L, 1) for `size` streams, and make multiples of the identity from matrices (L, 1, 1)."""
    if column.shape[-1] != 1:
        return column
    return column * (np.eye(size) if column.ndim == 3 else np.ones(size))
