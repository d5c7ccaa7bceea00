"""Remarks of a figure: sentences on data that it cannot draw, such as runs without data at a training step, or curves
and matrices without numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.figures.sources import Columns, to_unknown
from mhc_core.findings.numerals import say_status

Trace = dict[str, Any]


def find_unknown(figure: dict[str, Any], results: Sequence[Columns | None]) -> list[int]:
    """Return the runs without data at the shown training step, if the figure has a text for that case."""
    if "unknown" not in figure["layout"]["meta"]:
        return []
    missing = [set() if result is None else to_unknown(result) for result in results]
    keys = {(trace["meta"]["run"], trace["meta"]["key"]) for trace in figure["data"]}
    return sorted({run for run, key in keys if run < len(missing) and key in missing[run]})


def find_absent(figure: dict[str, Any], results: Sequence[Columns | None]) -> list[int]:
    """Return the runs without the figure's metric, if the figure has a text for that case."""
    absent = figure["layout"]["meta"].get("absent")
    if absent is None:
        return []
    key = absent["key"]
    return [
        run
        for run, result in enumerate(results)
        if result is not None and key not in result.layers and key not in result.matrices
    ]


def explain_absent(figure: dict[str, Any], results: Sequence[Columns | None]) -> dict[str, list[int]]:
    """Return why runs lack the figure's metric: each reason, as a text, with its runs."""
    found: dict[str, list[int]] = {}
    for run in find_absent(figure, results):
        absent, result = figure["layout"]["meta"]["absent"], results[run]
        applying = (reason["text"] for reason in absent.get("reasons", ()) if _applies(reason, absent["key"], result))
        found.setdefault(next(applying, absent["text"]), []).append(run)
    return found


def _applies(reason: dict[str, Any], key: str, result: Columns | None) -> bool:
    """Return whether a reason for the absence of a metric applies to a run."""
    if result is None:
        return False
    if "unknown" in reason:
        return key in to_unknown(result)
    if "with" in reason:
        return reason["with"] in result.matrices
    return reason["without"] not in result.matrices or result.matrices[reason["without"]].shape[-1] == 1


def list_remarks(figure: dict[str, Any], results: Sequence[Columns | None], labels: Sequence[str]) -> list[str]:
    """Return a sentence for each run without numbers in some layers or steps of the figure: where, and why."""
    meta, remarks = figure["layout"]["meta"], []
    for trace in sorted(figure["data"], key=lambda item: int(item["meta"]["run"])):
        result = results[trace["meta"]["run"]] if trace.get("visible", True) else None
        text = None if result is None else _describe_trace(trace, result, meta)
        remarks += [] if text is None else [f"{trace['name']}: {text}"]
    reasons = {meta.get("unknown"): find_unknown(figure, results)} | explain_absent(figure, results)
    return remarks + [f"{', '.join(labels[run] for run in runs)}: {text}" for text, runs in reasons.items() if runs]


def _describe_trace(trace: Trace, result: Columns, meta: dict[str, Any]) -> str | None:
    """Describe where a curve or a heatmap has no values, and why; None for other traces."""
    if "lost_rows" in meta:
        return _describe_lost_rows(trace, result, meta["lost_rows"])
    is_curve = trace["meta"].get("end", False)  # not a band, nor a matrix
    return _describe_curve(trace, result, meta) if is_curve else None


def _describe_curve(trace: Trace, result: Columns, meta: dict[str, Any]) -> str | None:
    """Describe where a curve has no values and why, or that all of its values are 0; None for other curves."""
    interval = meta.get("interval", (0, result.depth - 1))
    key, is_step = trace["meta"]["key"], trace["meta"]["fill"]["x"] == "step"
    flags = (result.steps_status if is_step else result.status).get(key, {})
    values = trace["y"] if is_step else trace["y"][: result.depth]
    first, last = (0, len(values) - 1) if is_step else interval
    lost = sorted(place for place in flags if first <= place <= last and place < len(values) and values[place] is None)
    known = [place for place, value in enumerate(values) if value is not None]
    if lost:
        numbers = trace["x"] if is_step else None
        places = format_places(lost, max(known, default=-1), "step" if is_step else "layer", numbers)
        reason = meta.get("lost", {}).get(flags[lost[0]]) or format_status(flags[lost[0]])
        return f"{reason} {places}"
    raw = result.layers.get(key)
    return "0" if not known and raw is not None and bool(np.all(raw == 0)) else None


def _describe_lost_rows(trace: Trace, result: Columns, keys: Sequence[str]) -> str | None:
    """Describe why rows of a heatmap are empty, and which, such as "overflow from layer 12 on"; None if none is."""
    flags = {row: flag for key in keys for row, flag in result.status.get(key, {}).items()}
    own = result.status.get(trace["meta"]["key"], {})
    known = [row for row, cells in enumerate(trace["z"]) if np.isfinite(np.asarray(cells, np.float64)).any()]
    # The status of another metric counts only if the row itself has no numbers.
    lost = sorted(row for row in flags if row in own or row not in known)
    if not lost:
        return None
    last_known = max((row for row in known if row not in lost), default=-1)
    return f"{format_status(flags[lost[0]])} {format_places(lost, last_known)}"


def format_status(status: str) -> str:
    """Describe why there is no number: the word for the status, or a longer text if the word is not clear."""
    return {"constant": "constant over samples"}.get(status, say_status(status))


def format_places(lost: list[int], last_known: int, unit: str = "layer", numbers: list[int] | None = None) -> str:
    """Format which layers or steps have no numbers.

    lost: their indices in ascending order. last_known: the last index with a number, -1 for none. numbers: names of the
    indices; by default they are counted from 1.
    """
    first, last = (numbers[place] if numbers else place + 1 for place in (lost[0], lost[-1]))
    if last_known < lost[-1]:
        return f"from {unit} {first} on" if last_known < lost[0] else f"in {len(lost)} {unit}s from {first} on"
    if lost[-1] - lost[0] + 1 > len(lost):
        return f"in {len(lost)} of the {unit}s {first}–{last}"
    if lost[0] == 0 and len(lost) > 1:
        return f"up to {unit} {last}"
    return f"at {unit} {first}" if len(lost) == 1 else f"in {unit}s {first}–{last}"
