"""A second implementation of edits, in plain numpy and float64. It shares no code with `mhc_core.edits` except the
draws of noise.

Shapes: L layers, n streams, N samples, C width (of a stream).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mhc_core.metric import ReferenceMixing
from mhc_core.rng import normal
from mhc_core.spec import EditSpec, RunSpec
from mhc_core.stack import Stack

Array = np.ndarray
LINEAR = ("zero", "scale", "uniform", "swap")


@dataclass(frozen=True)
class EditedStreams:
    """The streams of each layer, (n, N, C): `entered`, to which the mixing is applied, and `seen`, from which dynamic
    mixing is computed.

    `entered` lacks the linear edits that are multiplied into the coefficients, see `find_matrix`.
    """

    entered: list[Array]
    seen: list[Array]


def edit_streams(stack: Stack, streams: Sequence[Array]) -> EditedStreams:
    """Return the streams of each layer after its edits. `streams` are those after the layer before."""
    base = stack.edits.base
    kept = [to_numpy(stack.connection.streams(state)) for state in base.states] if base else []
    entered, seen = [], []
    for layer, x_nNC in enumerate(streams):
        edits = list_edits(stack.spec, layer, "stream", "state")
        count = max((number + 1 for number, (_, edit) in enumerate(edits) if edit.do not in LINEAR), default=0)
        for number, (place, edit) in enumerate(edits):
            if number == count:
                entered.append(x_nNC)
            rows = range(len(x_nNC)) if edit.index is None else [edit.index]
            x_nNC = _edit_rows(stack.spec, place, edit, layer, x_nNC, kept[layer], rows)
        if count == len(edits):
            entered.append(x_nNC)
        seen.append(x_nNC)
    return EditedStreams(entered, seen)


def list_edits(spec: RunSpec, layer: int, *whats: str) -> list[tuple[int, EditSpec]]:
    """List the edits of a layer that act on one of `whats`, with their positions in the spec."""
    return [
        (place, edit)
        for place, edit in enumerate(spec.edits)
        if edit.what in whats and edit.layers[0] <= layer <= edit.layers[1]
    ]


def edit_coefficients(stack: Stack, layer: int, made: ReferenceMixing) -> ReferenceMixing:
    """Return the coefficients of a layer after its edits, including edits of streams that are a matrix."""
    spec, base = stack.spec, stack.edits.base
    for place, edit in list_edits(spec, layer, "h_pre", "h_post", "h_res"):
        kept = None if base is None else to_numpy(getattr(base.mixings[layer], edit.what))
        made = replace(made, **{edit.what: _edit_part(spec, place, edit, layer, getattr(made, edit.what), kept, made)})
    matrix = find_matrix(spec, layer)
    features = made.features
    if features is not None:
        features = np.stack([gates.T @ matrix for gates in features]).swapaxes(1, 2)
    return replace(made, h_pre=made.h_pre @ matrix, h_res=made.h_res @ matrix, features=features)


def edit_attention(stack: Stack, layer: int, attention_KNH: Array) -> Array:
    """Return the weights of the K sources that a layer reads, after its edits. Each head is edited separately."""
    base, edits = stack.edits.base, list_edits(stack.spec, layer, "source")
    for place, edit in edits if len(attention_KNH) else []:
        noise = _draw_noise(stack.spec, place, 0, layer, len(attention_KNH)) if edit.do == "noise" else np.zeros(1)
        changed = attention_KNH.copy()
        for head in range(attention_KNH.shape[2]):
            average = attention_KNH[:, :, head].sum(1) / attention_KNH.shape[1]
            for sample in range(attention_KNH.shape[1]):
                changed[:, sample, head] = _edit_item(edit, attention_KNH[:, sample, head], average, noise)
        if edit.do == "freeze":
            assert base is not None
            part = ... if edit.index is None else edit.index
            changed[part] = to_numpy(base.mixings[layer - 1].attention)[part]
        attention_KNH = changed
    return attention_KNH


def find_matrix(spec: RunSpec, layer: int) -> Array:
    """Return the matrix E (n, n) of a layer's linear edits of streams, which is multiplied into its coefficients.

    Only edits after the last nonlinear one are included.
    """
    units = np.eye(spec.streams)
    for _, edit in list_edits(spec, layer, "stream", "state"):
        rows = range(spec.streams) if edit.index is None else [edit.index]
        before, units = units, units.copy()
        for row in rows:
            match edit.do:
                case "zero":
                    units[row] = 0
                case "scale":
                    units[row] = np.float64(edit.value) * before[row]
                case "uniform":
                    units[row] = before.sum(0) / len(before)
                case "swap":
                    units[edit.index], units[edit.other] = before[edit.other], before[edit.index]
                case _:
                    units = np.eye(spec.streams)
    return units


def _edit_rows(
    spec: RunSpec, place: int, edit: EditSpec, layer: int, x_nNC: Array, kept_nNC: Array, rows: Sequence[int] | range
) -> Array:
    """Return a copy of streams (n, N, C) with an edit of these rows. `kept_nNC` are the streams of the base."""
    changed = x_nNC.copy()
    for row in rows:
        match edit.do:
            case "zero":
                changed[row] = 0
            case "scale":
                changed[row] = x_nNC[row] * np.float64(edit.value)
            case "mean":
                changed[row] = x_nNC[row].sum(0) / len(x_nNC[row])
            case "uniform":
                changed[row] = x_nNC.sum(0) / len(x_nNC)
            case "swap":
                changed[edit.index], changed[edit.other] = x_nNC[edit.other], x_nNC[edit.index]
            case "noise":
                size = np.sqrt((x_nNC[row] ** 2).mean()) * np.float64(edit.value)
                changed[row] = x_nNC[row] + size * _draw_noise(spec, place, row, layer, *x_nNC[row].shape)
            case "restore":
                changed[row] = kept_nNC[row]
    return changed


def _edit_part(
    spec: RunSpec, place: int, edit: EditSpec, layer: int, part: Array, kept: Array | None, made: ReferenceMixing
) -> Array:
    """Return H_pre, H_post or H_res of one layer after an edit: (n) or (n, n), with a leading axis N if dynamic."""
    has_tokens = made.h_post.ndim == 2
    items = part if has_tokens else part[None]
    noise = _draw_noise(spec, place, 0, layer, *items.shape[1:]) if edit.do == "noise" else np.zeros(1)
    average = items.sum(0) / len(items)
    found = np.array([_edit_item(edit, item, average, noise) for item in items])
    if edit.do == "freeze":
        assert kept is not None
        found = _pick(edit, items, kept if has_tokens else kept[None])
    return found if has_tokens else found[0]


def _edit_item(edit: EditSpec, item: Array, average: Array, noise: Array) -> Array:
    """Return one token's H_pre, H_post, H_res or source weights, `item`, after an edit, by the reference formula."""
    if edit.do == "swap":
        swapped = item.copy()
        swapped[edit.index], swapped[edit.other] = item[edit.other], item[edit.index]
        return swapped
    if edit.do == "uniform" and edit.index is not None and item.ndim == 2:
        whole = np.repeat(item.sum(1, keepdims=True) / len(item), len(item), 1)
    elif edit.do == "uniform":
        whole = np.full_like(item, item.sum() / item.size)
    elif edit.do == "set":
        size = item.size if edit.index is None else item[edit.index].size
        assert edit.values is not None
        assert len(edit.values) == size
        whole = item.copy()
        whole[... if edit.index is None else edit.index] = np.reshape(
            edit.values, item.shape if edit.index is None else item[edit.index].shape
        )
    elif edit.do == "top_k":
        whole = np.array([_keep_largest(edit, row) for row in np.atleast_2d(item)]).reshape(item.shape)
    else:
        whole = {
            "zero": lambda: np.zeros_like(item),
            "identity": lambda: np.eye(len(item)),
            "mean": lambda: average,
            "scale": lambda: np.float64(edit.value) * item,
            "noise": lambda: item + np.float64(edit.value) * noise,
            "freeze": lambda: item,
        }[edit.do]()
    return _pick(edit, item[None], whole[None])[0]


def _pick(edit: EditSpec, items: Array, changed: Array) -> Array:
    """Return `items` in which the row or entry that the edit names is replaced by that of `changed`."""
    if edit.index is None:
        return changed
    found = items.copy()
    found[:, edit.index] = changed[:, edit.index]
    return found


def _keep_largest(edit: EditSpec, row: Array) -> Array:
    """Return a row with all but its k largest |entries| set to 0, scaled to the same sum of |entries|."""
    assert edit.k is not None
    order = np.argsort(-np.abs(row), kind="stable")
    kept = row.copy()
    kept[order[edit.k :]] = 0
    left = np.abs(kept).sum()
    return kept * np.abs(row).sum() / left if left else kept


def _draw_noise(spec: RunSpec, place: int, stream: int, layer: int, *shape: int) -> Array:
    return normal(spec.seed, f"edit.{place}.{stream}", layer, *shape).double().numpy()


def to_numpy(tensor: Any) -> Array:
    """Copy a tensor to numpy in float64."""
    return tensor.detach().cpu().double().numpy()
