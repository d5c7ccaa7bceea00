"""How often honest runs leave a law's band, and how often planted faults are found: the tables of docs/laws.md.

`python -m benchmarks laws`, an hour and a half on two cores; `--seeds 30` takes a tenth. Columns are those of the
product's own stacks in float32, under plain autograd, with plain formulas.
"""

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch

from benchmarks.faults import FAULTS, build_faulty, planted
from mhc_core.measure.recomputation import recompute
from mhc_core.measure.run import run
from mhc_core.measure.verification import verify
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.theory.laws import Curve, predict

Columns = dict[str, np.ndarray]
ACTIVATIONS, NORMS, SKIPS = ("relu", "tanh", "gelu", "silu", "linear"), ("pre", "post", "none"), ("none", "residual")
SIGNALS = ("act_rms", "grad_rms", "token_cos")
RANGE = 36.0  # decades either side of 1 in which float32 keeps digits
FEW_SEEDS = 5  # of exact relations, which chance has no part in

# Alarms on honest runs.


def list_combinations() -> list[dict[str, Any]]:
    """All of activation, norm and skip at depth and width 64, and every corner of norm, skip, depth and width."""
    middle = [_describe(*choice, 64, 64) for choice in itertools.product(ACTIVATIONS, NORMS, SKIPS)]
    corners = itertools.product(NORMS, SKIPS, (16, 256), (16, 256))
    turns = itertools.cycle(ACTIVATIONS)
    bodies = middle + [_describe(next(turns), *corner) for corner in corners]
    bodies += [_describe(activation, "none", "none", 16, 64) for activation in ("relu", "tanh", "linear")]
    bodies += [_describe("tanh", norm, "residual", 64, 256) for norm in NORMS]
    bodies += [_describe("relu", norm, "none", 256, 64, ratio=0) for norm in NORMS]
    bodies.append(_describe("relu", "none", "none", 64, 64, ratio=0))
    drifts = (16, 0.3, 4), (64, 0.1, 2), (64, 0.3, 4), (64, 1.0, 4), (256, 0.3, 8)
    bodies += [
        {"depth": depth, "connection": {"kind": "hc", "noise": noise, "streams": streams}, **INPUT}
        for depth, noise, streams in drifts
    ]
    return [body for body in bodies if predict(parse_spec(body))]


INPUT = {"input": {"kind": "gaussian", "batch": 2, "tokens": 16}}


def _describe(activation: str, norm: str, skip: str, depth: int, width: int, ratio: int = 1) -> dict[str, Any]:
    if activation in ("gelu", "silu") and (norm, skip) == ("none", "none"):
        activation = "tanh"  # there is no law of these
    block = {"kind": "mlp", "activation": activation, "norm_position": norm, "mlp_ratio": ratio}
    return {"depth": depth, "width": width, "connection": {"kind": skip}, "block": block, **INPUT}


def count_alarms(body: dict[str, Any], seeds: int) -> dict[tuple[str, str], int]:
    """By law and metric: of how many seeds the column leaves the band anywhere."""
    return _count(body, range(seeds), None)


def _count(body: dict[str, Any], seeds: range, fault: str | None) -> dict[tuple[str, str], int]:
    torch.set_num_threads(1)
    curves = predict(parse_spec(body))
    alarms = dict.fromkeys([(curve.law, curve.metric) for curve in curves], 0)
    for seed in seeds:
        columns = measure_columns(parse_spec(body | {"seed": seed}), fault)
        for curve in curves:
            alarms[curve.law, curve.metric] += leaves(curve, columns[curve.metric])
    return alarms


def measure_columns(spec: RunSpec, fault: str | None) -> Columns:
    """What laws speak of, (L) each: natural logarithms but for the cosine."""
    stack = build_faulty(FAULTS[fault][0] if fault else None)(spec)
    states: list[torch.Tensor] = []

    def keep(_: int, output: Any) -> None:
        output.state.retain_grad()
        states.append(output.state)

    start = stack.embed().detach().requires_grad_()
    last, mixings = stack.climb(start, keep)
    stack.loss(last).backward()
    found = [_measure(stack.connection.streams(state), stack.connection.streams(_grad(state))) for state in states]
    columns = dict(zip(SIGNALS, np.array(found).T, strict=True))
    return columns | _multiply([mixing.h_res.detach().double().numpy() for mixing in mixings])


def _grad(state: torch.Tensor) -> torch.Tensor:
    assert state.grad is not None
    return state.grad


def _measure(x_nNC: torch.Tensor, g_nNC: torch.Tensor) -> tuple[float, float, float]:
    m_NC, g_NC = x_nNC.detach().double().mean(0), g_nNC.double().sum(0)
    unit = m_NC / m_NC.norm(dim=1, keepdim=True)
    count = len(unit)
    cosine = (float(unit.sum(0).square().sum()) - count) / (count * (count - 1))
    return float(m_NC.square().mean().log()) / 2, float(g_NC.square().mean().log()) / 2, cosine


def _multiply(h_res: list[np.ndarray]) -> Columns:
    n = h_res[0].shape[-1]
    forward, backward, product = [], [], np.eye(n)
    for matrix in h_res:
        product = matrix @ product
        forward.append(_log(product.sum(1)))
    product = np.eye(n)
    for matrix in reversed(h_res):
        product = product @ matrix
        backward.append(_log(product.sum(0)))
    return {"composite_gain_fwd": np.array(forward), "composite_gain_bwd": np.array(backward[::-1])}


def _log(sums: np.ndarray) -> float:
    largest = float(np.abs(sums).max())
    return math.log(largest) if largest else -math.inf


def leaves(curve: Curve, column: np.ndarray) -> bool:
    """Whether a column leaves its band anywhere; values that float32 cannot hold do not count."""
    low, high = curve.low, curve.high
    if curve.low_log10 is not None and curve.high_log10 is not None:
        low, high, column = curve.low_log10, curve.high_log10, column / math.log(10)
    held = np.isfinite(column) & ((np.abs(column) < RANGE) | (curve.low_log10 is None))
    known = curve.speaks_L & held
    return bool(((column < low) | (column > high))[known].any()) or _steps_leave(curve, column, held)


def _steps_leave(curve: Curve, column: np.ndarray, held: np.ndarray) -> bool:
    if curve.steps_log10 is None:
        return False
    steps, known = np.diff(np.where(held, column, 0.0)), held[1:] & held[:-1]
    return bool(((steps < curve.steps_log10.low) | (steps > curve.steps_log10.high))[known].any())


# Planted faults.

MLP = {"kind": "mlp", "activation": "gelu", "norm_position": "pre", "mlp_ratio": 4}
DEFAULT = {"input": {"kind": "gaussian", "batch": 2, "tokens": 64}}
CASES: dict[str, dict[str, Any]] = {
    "mean_field": {"connection": {"kind": "none"}, "block": MLP | {"activation": "tanh"}, **DEFAULT},
    "correlation_map": {"connection": {"kind": "none"}, "block": MLP | {"activation": "tanh"}, **DEFAULT},
    "residual_pre": {"connection": {"kind": "residual"}, "block": MLP, **DEFAULT},
    "residual_none": {"connection": {"kind": "residual"}, "block": MLP | {"norm_position": "none"}, **DEFAULT},
    "residual_post": {"connection": {"kind": "residual"}, "block": MLP | {"norm_position": "post"}, **DEFAULT},
    "post_norm": {"connection": {"kind": "residual"}, "block": MLP | {"norm_position": "post"}, **DEFAULT},
    "rezero": {"connection": {"kind": "residual"}, "block": {"scaling": "rezero"}, **DEFAULT},
    "doubly_stochastic": {"connection": {"kind": "mhc_lite", "init": "mhc_lite"}},
    "rows_exact": {"connection": {"kind": "mhc", "init": "mhc_lite"}},
    "drift_gain": {"connection": {"kind": "hc"}},
}
RELATIONS: dict[str, dict[str, Any]] = {
    "mHC": {"connection": {"kind": "mhc", "init": "mhc_lite"}},
    "mHC, dynamic": {"connection": {"kind": "mhc", "init": "mhc_lite", "dynamic": True}},
    "HC": {"connection": {"kind": "hc"}},
    "residual": {"connection": {"kind": "residual"}},
    "residual, norm behind": {"connection": {"kind": "residual"}, "block": {"norm_position": "post"}},
}


def count_found(law: str, fault: str, seeds: int) -> int | None:
    """Of how many seeds the law finds the fault, whichever of its metrics does; None where it cannot be made."""
    body = CASES[law]
    if not FAULTS[fault][1](parse_spec(body)):
        return None
    torch.set_num_threads(1)
    curves, found = [curve for curve in predict(parse_spec(body)) if curve.law == law], 0
    for seed in range(seeds):
        columns = measure_columns(parse_spec(body | {"seed": seed}), fault)
        found += any(leaves(curve, columns[curve.metric]) for curve in curves)
    return found


def find_by_verify(case: str, fault: str | None, seed: int) -> list[str] | None:
    """The checks of Verify that fail on a run with the fault; None where it cannot be made."""
    spec = parse_spec(RELATIONS[case] | {"seed": seed})
    if fault is not None and not FAULTS[fault][1](spec):
        return None
    torch.set_num_threads(1)
    with planted(FAULTS[fault][0] if fault else None):
        result = Result()
        for frame in run(spec):
            result.add(frame)
        return sorted({check.law for check in verify(spec, result, recompute(spec)) if check.verdict == "fails"})


# Tables.


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="of each combination; a third as many for each fault")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for line in itertools.chain(
            format_alarms(pool, arguments.seeds), format_power(pool, max(arguments.seeds // 3, 1)), format_verify(pool)
        ):
            print(line, flush=True)


def format_alarms(pool: ProcessPoolExecutor, seeds: int) -> Iterator[str]:
    """Pooled for each law and metric, and the worst combination of each."""
    bodies = list_combinations()
    yield f"{len(bodies)} combinations, {seeds} seeds each.\n"
    yield "| law | metric | combinations | false alarms, pooled | worst combination |\n|---|---|---|---|---|"
    shares: dict[tuple[str, str], list[float]] = {}
    for counted in pool.map(count_alarms, bodies, itertools.repeat(seeds)):
        for key, alarms in counted.items():
            shares.setdefault(key, []).append(alarms / seeds)
    for (law, metric), found in sorted(shares.items()):
        yield f"| {law} | {metric} | {len(found)} | {100 * np.mean(found):.2f} % | {100 * max(found):.1f} % |"


def format_power(pool: ProcessPoolExecutor, seeds: int) -> Iterator[str]:
    """By law and fault, the share of seeds in which the law finds it."""
    yield f"\n| law, of {seeds} seeds | " + " | ".join(FAULTS) + " |\n" + "|---" * (len(FAULTS) + 1) + "|"
    pairs = list(itertools.product(CASES, FAULTS))
    found = list(pool.map(count_found, *zip(*pairs, strict=True), itertools.repeat(seeds)))
    for law, row in zip(CASES, _cut(found), strict=True):
        shares = ["" if count is None else f"{100 * count / seeds:.0f} %" for count in row]
        yield f"| {law} | " + " | ".join(shares) + " |"


def format_verify(pool: ProcessPoolExecutor) -> Iterator[str]:
    """By stack and fault, which checks of Verify find it, in how many seeds."""
    yield (
        f"\n| checks that fail, of {FEW_SEEDS} seeds | none | "
        + " | ".join(FAULTS)
        + " |\n"
        + "|---" * (len(FAULTS) + 2)
        + "|"
    )
    for case in RELATIONS:
        cells = []
        for fault in (None, *FAULTS):
            seeds = range(FEW_SEEDS)
            found = list(pool.map(find_by_verify, itertools.repeat(case), itertools.repeat(fault), seeds))
            cells.append(_format_checks([checks for checks in found if checks is not None]))
        yield f"| {case} | " + " | ".join(cells) + " |"


def _format_checks(found: list[list[str]]) -> str:
    counts = Counter(law for checks in found for law in checks)
    return ", ".join(f"{law} {count}" for law, count in sorted(counts.items()))


def _cut(found: list[int | None]) -> list[list[int | None]]:
    width = len(FAULTS)
    return [found[start : start + width] for start in range(0, len(found), width)]


if __name__ == "__main__":
    main()
