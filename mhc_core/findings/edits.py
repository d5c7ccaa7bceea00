"""Findings on edits: descriptions of edits in words, and their effect on states, loss and output."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mhc_core.findings.words import (
    build_finding,
    count,
    format_loss,
    format_number,
    format_percent,
    read_ranks,
)
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import EditSpec

SAME = 0.05  # decades; if effects after the first edit and at the end differ by less, they are called the same
# Effects up to this size count as rounding.
ROUNDING = {
    "float64": 1e-12,
    "float32": 1e-5,
    "bfloat16": 0.02,
    "float16": 0.003,
}
MOST_NAMED = 2  # number of edits that a sentence describes
NAMES = {"h_pre": "H_pre", "h_post": "H_post", "h_res": "H_res"}


def describe_edit(edit: EditSpec) -> str:
    """Describe an edit in words. Layers, streams, rows and entries are counted from 1."""
    target, where = _name_target(edit), _name_layers(edit)
    match edit.do:
        case "zero":
            verb = "is cut" if edit.what in ("stream", "state") else "is set to 0"
        case "identity":
            verb = "is replaced by the identity"
        case "mean":
            verb = "is replaced by its mean over tokens"
        case "uniform":
            verb = "is replaced by the mean of all streams" if edit.what == "stream" else "is made uniform"
        case "scale":
            verb = f"is multiplied by {format_number(edit.value or 0.0)}"
        case "set":
            verb = "is set to given values"
        case "swap":
            whose = "that of " if edit.what == "source" else ""
            verb = f"is exchanged with {whose}{_name_part(edit.what)} {(edit.other or 0) + 1}"
        case "noise":
            verb = f"gets noise of {format_number(edit.value or 0.0)}"
            verb += " times its rms" if edit.what in ("stream", "state", "branch") else ""
        case "freeze":
            verb = "is as in the run without edits"
        case "restore":
            verb = "is restored"
        case "top_k":
            verb = f"keeps its {edit.k} largest entries" + (" in each row" if edit.what == "h_res" else "")
    return f"{target} {verb} {where}"


def describe_edits(edits: Sequence[EditSpec]) -> str:
    """Describe edits in one clause: the first ones in words, the others by their number."""
    first, *others = (describe_edit(edit) for edit in edits[:MOST_NAMED])
    named = [first, *(text if text.startswith("H_") else text[0].lower() + text[1:] for text in others)]
    left = len(edits) - len(named)
    parts = [*named, count(left, "more edit")] if left else named
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def shorten_edits(edits: Sequence[EditSpec]) -> str:
    """Describe edits in a few words: the first in words, the others by their number."""
    if not edits:
        return "no edits"
    first = _shorten_edit(edits[0])
    return first if len(edits) == 1 else f"{first} (+{len(edits) - 1})"


def distinguish_edits(runs: Sequence[Sequence[EditSpec]]) -> list[str]:
    """Return for each run a short text with the edits that distinguish it, as `static/js/state/editlist.js` does.

    These are the edits that not all runs have. They begin with `+` if one of the runs has only the common edits.
    """
    own = [[edit for edit in edits if not all(edit in other for other in runs)] for edits in runs]
    is_added = any(edits and not left for edits, left in zip(runs, own, strict=True))
    return [
        f"{'+ ' if is_added else ''}{shorten_edits(left)}" if left else shorten_edits(edits)
        for edits, left in zip(runs, own, strict=True)
    ]


def _shorten_edit(edit: EditSpec) -> str:
    """Describe an edit in a few words, such as `cut stream 2, layer 20`."""
    is_one = edit.first == edit.last
    return f"{_shorten_act(edit)}, {f'layer {edit.last + 1}' if is_one else f'layers {edit.first + 1}–{edit.last + 1}'}"


def _shorten_act(edit: EditSpec) -> str:
    """Describe the action of an edit and its target in a few words, without the layers."""
    target, is_state = _shorten_target(edit), edit.what in ("stream", "state")
    match edit.do:
        case "zero":
            return f"cut {target}" if is_state else f"{target} = 0"
        case "identity":
            return "identity" if edit.index is None else f"{target} = identity"
        case "mean":
            return f"{target} = mean over tokens"
        case "uniform":
            return f"{target} = mean of streams" if is_state else f"uniform {target}"
        case "scale":
            return f"{target} × {format_number(edit.value or 0.0)}"
        case "set":
            return f"{target} set"
        case "swap":
            return f"swap {target} with {(edit.other or 0) + 1}"
        case "noise":
            return f"noise {format_number(edit.value or 0.0)} on {target}"
        case "freeze" | "restore":
            return f"{edit.do} {target}"
        case "top_k":
            return f"top {edit.k} of {target}"


def _shorten_target(edit: EditSpec) -> str:
    """Name the target of an edit in a few words, such as `stream 2` or `head 3`."""
    if edit.what == "state":
        return "all streams"
    if edit.what == "branch":
        return "branch" if edit.index is None else f"head {edit.index + 1}"
    if edit.index is None:
        return "all sources" if edit.what == "source" else NAMES[edit.what]
    if edit.what == "source" and edit.index == 0:
        return "embedding"
    part = f"{_name_part(edit.what)} {edit.index + 1}"
    return f"{part} of {NAMES[edit.what]}" if edit.what in NAMES else part


def _name_part(what: str) -> str:
    return {"stream": "stream", "h_res": "row", "source": "source"}.get(what, "entry")


def _name_target(edit: EditSpec) -> str:
    """Name the target of an edit as the subject of a sentence, such as "Stream 2" or "Row 1 of H_res"."""
    if edit.what == "stream":
        return f"Stream {(edit.index or 0) + 1}"
    if edit.what == "branch" and edit.index is not None:
        return f"Attention head {edit.index + 1}"
    if edit.what in ("state", "branch"):
        return {"state": "The state of all streams", "branch": "The branch's output"}[edit.what]
    if edit.what == "source":
        return name_source(edit.index)
    name = NAMES[edit.what]
    return name if edit.index is None else f"{_name_part(edit.what).capitalize()} {edit.index + 1} of {name}"


def name_source(index: int | None) -> str:
    """Name the weight of a source over depth: 0 is the embedding, None all sources."""
    if index is None:
        return "The weighting over depth"
    return f"The weight of {'the embedding' if index == 0 else f'source {index + 1}'}"


def _name_layers(edit: EditSpec) -> str:
    """Name the layers of an edit, counted from 1, as in "at layers 3 to 5"."""
    if edit.first == edit.last:
        return f"at layer {edit.first + 1}"
    return f"at layers {edit.first + 1} to {edit.last + 1}"


def describe_effect(edits: Sequence[EditSpec], dtype: str, result: Result) -> Finding | None:
    """Describe the effect of edits on the states, the loss and the output; None without edits."""
    if not edits:
        return None
    first = min(edit.first for edit in edits)
    effects = read_ranks(result, "effect_state")
    behind, end = float(effects[first]), float(effects[-1])
    numbers = {
        "effect_first": _to_size(behind),
        "effect_last": _to_size(end),
        "loss": float(result.loss),
        "loss_base": float(result.loss_base),
        "output_kl": float(result.output_kl),
    }
    if max(behind, end) <= np.log10(ROUNDING[dtype]):
        statement = "states are those without edits, up to rounding."
    else:
        statement = f"{_describe_states(behind, end, first, result.depth)}{_describe_output(result)}."
    known = {key: value for key, value in numbers.items() if np.isfinite(value)}
    found = build_finding("effect", f"{describe_edits(edits)}: {statement}", "effect", known)
    return replace(found, statement=statement)


def _describe_states(behind: float, end: float, first: int, depth: int) -> str:
    """Describe the relative distance of the states from the base, after the first edit and at the end.

    behind, end: log10 of the two distances. first: the first edited layer, from 0.
    """
    if np.isnan(behind) or np.isnan(end):
        return "the states cannot be compared with those without edits: some are zero, or leave the range of their type"
    if np.isneginf(end):
        return "the last state is the same as without edits"
    if first == depth - 1:
        return f"the last state differs from that without edits by {format_percent(_to_size(end))}"
    if np.isneginf(behind):
        return f"nothing changes after layer {first + 1}; the last state differs by {format_percent(_to_size(end))}"
    text = f"the state after layer {first + 1} differs from that without edits by {format_percent(_to_size(behind))}"
    if abs(end - behind) < SAME:
        return f"{text}, and as much at the end"
    way = "shrinks to" if end < behind else "grows to"
    return f"{text}; the difference {way} {format_percent(_to_size(end))} at the end"


def _describe_output(result: Result) -> str:
    """Return the part of the sentence on the loss and the output; "" if the losses are not finite."""
    if not (np.isfinite(result.loss) and np.isfinite(result.loss_base)):
        return ""
    text = f". The loss is {format_loss(result.loss)} instead of {format_loss(result.loss_base)}"
    if np.isfinite(result.output_kl):
        text += f", the output's KL divergence {format_number(result.output_kl)} nats"
    return text


def _to_size(decades: float) -> float:
    return float(10.0**decades) if decades < 300 else float("inf")
