"""Edits in plain numpy, as the spec says them, one token and one entry after another where that is shorter.

Shapes: x (n, B, T, C).
"""

from typing import Any

import numpy as np

from mhc_core.rng import normal
from mhc_core.spec import EditSpec, RunSpec

Array = np.ndarray


def list_edits(spec: RunSpec, layer: int, *whats: str) -> list[tuple[int, EditSpec]]:
    return [
        (place, edit)
        for place, edit in enumerate(spec.edits)
        if edit.what in whats and layer in range(edit.layers[0], edit.layers[1] + 1)
    ]


def edit_state(spec: RunSpec, layer: int, x: Array, kept: Array | None) -> Array:
    """The streams that a layer gets; `kept` are those of the run without edits."""
    for place, edit in list_edits(spec, layer, "stream", "state"):
        new = x.copy()
        for s in range(len(x)) if edit.what == "state" else [edit.index]:
            if edit.do == "uniform":
                new[s] = x.mean(0)
            elif edit.do == "swap":
                new[edit.index], new[edit.other] = x[edit.other], x[edit.index]
            elif edit.do == "restore":
                assert kept is not None
                new[s] = kept[s]
            else:
                new[s] = _edit_alone(spec, place, edit, layer, x[s], int(s or 0))
        x = new
    return x


def edit_output(spec: RunSpec, layer: int, y: Array, kept: Array | None) -> Array:
    for place, edit in list_edits(spec, layer, "branch"):
        if edit.do == "freeze":
            assert kept is not None
            y = kept
        else:
            y = _edit_alone(spec, place, edit, layer, y, 0)
    return y


def _edit_alone(spec: RunSpec, place: int, edit: EditSpec, layer: int, x: Array, stream: int) -> Array:
    if edit.do == "noise":
        draw = normal(spec.seed, f"edit.{place}.{stream}", layer, x.shape[0] * x.shape[1], x.shape[2])
        return x + edit.value * np.sqrt((x * x).mean()) * draw.double().numpy().reshape(x.shape)
    if edit.do == "mean":
        return np.broadcast_to(x.mean((0, 1)), x.shape)
    return {"zero": 0.0, "scale": edit.value}[edit.do] * x


def edit_coefficients(
    spec: RunSpec, layer: int, parts: tuple[Array, Array, Array], kept: tuple[Array, Array, Array] | None
) -> tuple[Array, Array, Array]:
    """H_pre, H_post and H_res of one layer; those of dynamic mixing have axes B and T in front."""
    found: dict[str, Array] = dict(zip(("h_pre", "h_post", "h_res"), parts, strict=True))
    tokens = found["h_post"].ndim - 1
    for place, edit in list_edits(spec, layer, "h_pre", "h_post", "h_res"):
        part = found[edit.what]
        own = None if kept is None else kept[("h_pre", "h_post", "h_res").index(edit.what)]
        found[edit.what] = _edit_part(spec, place, edit, layer, part, own, tokens)
    return found["h_pre"], found["h_post"], found["h_res"]


def edit_attention(spec: RunSpec, layer: int, weights: Array, kept: Array | None) -> Array:
    """The weights of the sources that a layer reads (B, T, H, K), those of each head a vector of its own."""
    for place, edit in list_edits(spec, layer, "source"):
        heads = [
            _edit_part(spec, place, edit, layer, weights[:, :, h], None if kept is None else kept[:, :, h], 2)
            for h in range(weights.shape[2])
        ]
        weights = np.stack(heads, axis=2)
    return weights


def _edit_part(
    spec: RunSpec, place: int, edit: EditSpec, layer: int, part: Array, kept: Array | None, tokens: int
) -> Array:
    shape = part.shape[tokens:]
    rows = part.reshape(-1, *shape).astype(np.float64)
    new, mean = rows.copy(), rows.mean(0)
    noise: Any = None
    if edit.do == "noise":
        noise = edit.value * normal(spec.seed, f"edit.{place}.0", layer, *shape).double().numpy()
    for token, item in enumerate(rows):
        for i in range(shape[0]) if edit.index is None else [edit.index]:
            match edit.do:
                case "zero":
                    new[token, i] = 0
                case "identity":
                    new[token, i] = np.eye(shape[0])[i]
                case "mean":
                    new[token, i] = mean[i]
                case "uniform":
                    new[token, i] = item[i].mean() if item.ndim == 2 and edit.index is not None else item.mean()
                case "scale":
                    new[token, i] = edit.value * item[i]
                case "set":
                    values = np.array(edit.values)
                    new[token, i] = values.reshape(shape)[i] if edit.index is None else values.reshape(shape[1:])
                case "swap":
                    new[token, edit.index], new[token, edit.other] = item[edit.other], item[edit.index]
                case "noise":
                    new[token, i] = item[i] + noise[i]
                case "freeze":
                    assert kept is not None
                    new[token, i] = kept.reshape(-1, *shape)[token, i]
                case "top_k" if item.ndim == 2:
                    new[token, i] = _keep_largest(item[i], edit.k)
        if edit.do == "top_k" and item.ndim == 1:
            new[token] = _keep_largest(item, edit.k)
    return new.reshape(part.shape)


def _keep_largest(row: Array, k: int | None) -> Array:
    assert k is not None
    places = sorted(range(len(row)), key=lambda place: (-abs(row[place]), place))[:k]
    kept = np.array([row[place] if place in places else 0.0 for place in range(len(row))])
    return kept * np.abs(row).sum() / np.abs(kept).sum() if np.abs(kept).sum() else kept
