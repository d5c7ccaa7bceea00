"""The numbers in sentences on streams, in the order in which they are said, from the columns of a result."""

import numpy as np

from mhc_core.findings.words import format_number
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec
from tests.core import measures


def percent(share: float) -> str:
    return format_number(100 * share)


def dominant(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    sizes = result.layers["act_rms_streams"].astype(np.float64)
    known = [layer for layer in range(spec.depth) if np.isfinite(sizes[layer]).all() and sizes[layer].any()]
    squares = (sizes[known[-1]] / sizes[known[-1]].max()) ** 2
    share = float(result.layers["act_share_max"][known[-1]])
    assert abs(squares.max() / squares.sum() - share) < 1e-6
    assert share >= (1 + 1 / spec.streams) / 2
    return [str(int(squares.argmax()) + 1), str(known[-1] + 1), percent(share), percent(1 / spec.streams)]


def ignored(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    key = "h_read" if "h_read" in result.matrices else "h_pre"
    mean = result.matrices[key].astype(np.float64)
    squares = mean**2 + result.matrices.get(f"{key}_std", np.zeros_like(mean)).astype(np.float64) ** 2
    sizes = np.sqrt(squares).sum(1) if key == "h_read" else np.sqrt(squares)
    largest = [max(sizes[layer, i] / sizes[layer].sum() for layer in range(spec.depth)) for i in range(spec.streams)]
    few = [i for i in range(spec.streams) if largest[i] < 0.1 / spec.streams]
    named, most = [str(i + 1) for i in few], max(largest[i] for i in few)
    return named if most == 0 else [*named, percent(most), percent(1 / spec.streams)]


def uniform(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    n, kept = spec.streams, result.layers["composite_sigma2"]
    total = measures.product(result.matrices["h_res"].astype(np.float64), 0, spec.depth - 1)
    deviation = finding.numbers["deviation"]
    assert deviation is not None
    assert abs(deviation - abs(n * total - 1).max()) <= 1e-9
    first = next(layer for layer in range(spec.depth) if (kept[layer:] < 0.01).all())
    return [percent(deviation), "1", str(n), str(first + 1), "1"]


def unlearned(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    moved = np.abs(result.matrices["h_res"].astype(np.float64) - result.kept["step_h_res"][0]).max()
    updates = np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])
    return [
        str(int(updates.sum())),
        f"{result.loss_untrained:.3f}",
        f"{result.loss:.3f}",
        format_number(float(moved)),
    ]


def mapping(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    own = result.layers["ds_error_tokens" if spec.connection.dynamic else "ds_error"]
    single = result.layers["ds_error_float32"]
    return ["16", format_number(float(own.max())), "32", format_number(float(single.max()))]


STREAMS = {
    "dominant": dominant,
    "ignored": ignored,
    "uniform": uniform,
    "unlearned": unlearned,
    "mapping": mapping,
}
