"""How far mixing drifts when stacks are trained on text, and what becomes of gains and loss: the data of docs/drift.md.

`python -m benchmarks drift --journal FILE` trains one stack after another and appends a line of JSON to the journal
for each, so that it can be stopped at any time: a later call goes on with the first run that is missing. Batches,
optimiser and schedule are those of a run of the product, and so are the weights; what a run records of every step is
left out, which saves a quarter of the time. `docs/drift.py` makes the document from the journal.
"""

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mhc_core.cost.counts import count_parameters, count_pass_flops, count_readout_flops
from mhc_core.inputs.text import TextEmbedding, read_bytes
from mhc_core.layers.hc import DynamicHC, StaticHC
from mhc_core.layers.manifold import DynamicManifold, StaticManifold
from mhc_core.measure.training import build_optimizer, learning_rate
from mhc_core.metrics.mixing import measure_composites
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import Stack, build_stack

Body = dict[str, Any]
# Without drift at the start: what is measured is what training makes of it.
CONNECTIONS: dict[str, Body] = {
    "residual": {"kind": "residual"},
    "HC static": {"kind": "hc", "noise": 0.0},
    "HC dynamic": {"kind": "hc", "noise": 0.0, "dynamic": True},
    "mHC static": {"kind": "mhc", "noise": 0.0, "init": "lucidrains"},
    "mHC dynamic": {"kind": "mhc", "noise": 0.0, "init": "lucidrains", "dynamic": True},
}
WIDTH, BATCH, TOKENS, WARMUP = 32, 4, 32, 100
# The residual stack is the cheapest step: it trains longer, so that losses can be compared at equal compute.
RESIDUAL_STEPS = 1.75
EVERY = 250  # steps from one measurement on held-out text to the next
HELD_OUT_BATCHES = 64
BEFORE = 200  # steps whose median a step is compared with
SPIKE_NATS, BURST = 1.0, 10.0  # a loss this much above that median, a gradient norm so many times as large


@dataclass(frozen=True)
class Plan:
    """The spec of one training run, and its number of updates."""

    connection: str
    depth: int
    lr: float
    seed: int
    steps: int

    def to_spec(self) -> RunSpec:
        """Return the spec of the run."""
        steps = round(self.steps * RESIDUAL_STEPS) if self.connection == "residual" else self.steps
        return parse_spec(
            {
                "depth": self.depth,
                "width": WIDTH,
                "seed": self.seed,
                "device": "cpu",
                "connection": CONNECTIONS[self.connection],
                "block": {"kind": "transformer", "heads": 4},
                "input": {"kind": "corpus", "batch": BATCH, "tokens": TOKENS},
                "train": {"steps": min(steps, 5000), "lr": self.lr, "warmup": WARMUP, "kept": 2},
            }
        )


def list_plans() -> Iterator[Plan]:
    """Return all runs in the order of training: seed 0 of every size first, long runs last."""
    rates = (3e-3, 1e-2, 1e-3)
    yield from _list_grid((12,), rates, (0,), 2000)
    yield from _list_grid((24,), rates[1:2], (0,), 2000)
    yield from _list_grid((12,), rates[:2], (1,), 2000)
    yield from _list_grid((64,), rates[1:2], (0,), 1000)
    yield from _list_grid((12,), rates, (1,), 2000)
    yield from _list_grid((12,), rates, (2,), 2000)
    yield from _list_grid((24,), rates[:1], (0,), 2000)
    yield from _list_grid((12,), (3e-2,), (0, 1, 2), 2000)
    yield from _list_grid((64,), rates[:1], (0,), 1000)
    yield from _list_grid((24,), rates, (0, 1, 2), 2000)
    yield from _list_grid((64,), rates[:2], (1, 2), 1000)
    yield from _list_grid((24,), (3e-2,), (0, 1, 2), 2000)
    yield from _list_grid((12, 24), rates[:2], (3,), 5000)


def _list_grid(depths: tuple[int, ...], rates: tuple[float, ...], seeds: tuple[int, ...], steps: int) -> Iterator[Plan]:
    for seed, depth, rate, connection in itertools.product(seeds, depths, rates, CONNECTIONS):
        yield Plan(connection, depth, rate, seed, steps)


@dataclass
class Course:
    """The record of a run: loss and gradient norm of every step, and measurements on held-out text."""

    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    at: list[Body] = field(default_factory=list)


class Watch:
    """Compares a stack with its initial state during training."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.raw = get_raw_residual(stack)
        self.tokens_LNnn, self.means_Lnn = self._read_mixing()

    def measure(self, step: int) -> Body:
        """Measure loss on held-out text, drift and composite gains after an update. Skip values that are not finite."""
        found: Body = {"step": step, "held_out": _to_finite(measure_held_out_loss(self.stack))}
        if self.raw is not None:
            tokens_LNnn, means_Lnn = self._read_mixing()
            raw = get_raw_residual(self.stack)
            assert raw is not None
            found |= {
                "drift": _to_finite(_compute_rms(raw - self.raw)),
                "drift_h_res": _to_finite(_compute_rms(means_Lnn - self.means_Lnn)),
                "drift_tokens": _to_finite(_compute_rms(tokens_LNnn - self.tokens_LNnn)),
                **measure_gains(means_Lnn),
            }
        return found

    def matrices(self) -> list[Any] | None:
        """Return H_res of every layer, the mean over tokens, to four digits."""
        _, means_Lnn = self._read_mixing()
        is_kept = self.raw is not None and np.isfinite(means_Lnn).all()
        return np.vectorize(lambda value: float(f"{value:.4g}"))(means_Lnn).tolist() if is_kept else None

    @torch.no_grad()
    def _read_mixing(self) -> tuple[np.ndarray, np.ndarray]:
        """Return H_res on the measured batch for each token (L, N, n, n), N = 1 if static, and its mean (L, n, n)."""
        self.stack.input.set_batch(None)
        _, mixings = self.stack.run_layers(self.stack.embed())
        all_LNnn = torch.stack([mixing.h_res for mixing in mixings]).double().numpy()
        tokens_LNnn = all_LNnn if all_LNnn.ndim == 4 else all_LNnn[:, None]
        return tokens_LNnn, tokens_LNnn.mean(1)


def get_raw_residual(stack: Stack) -> np.ndarray | None:
    """Return the raw residual mixing (L, m), to which `connection.noise` is added; None without streams."""
    connection = stack.connection
    match connection:
        case StaticHC() | StaticManifold():
            raw = connection.raw_residual()
            assert raw is not None
            rows = raw.detach().flatten(1)
        case DynamicHC() | DynamicManifold():
            rows = torch.stack([_get_raw(mixer).detach().flatten() for mixer in connection.mixers])
        case _:
            return None
    return rows.double().numpy().copy()


def _get_raw(mixer: Any) -> torch.Tensor:
    raw: torch.Tensor = mixer.a_r if hasattr(mixer, "a_r") else mixer.b_res
    return raw


def measure_gains(h_res_Lnn: np.ndarray) -> Body:
    """Return log10 of the largest composite gain over depth, forward and backward."""
    composites = measure_composites(h_res_Lnn)
    return {f"gain_{way}": _to_finite(composites[f"composite_gain_{way}"][1].max()) for way in ("fwd", "bwd")}


@torch.no_grad()
def measure_held_out_loss(stack: Stack) -> float:
    """Return the mean loss over 64 batches of windows that are spread evenly over the held-out text."""
    text = stack.input
    assert isinstance(text, TextEmbedding)
    _, held_out = read_bytes(stack.spec)
    starts = np.linspace(0, len(held_out) - text.window, HELD_OUT_BATCHES * text.batch).astype(np.int64)
    total = 0.0
    for some in starts.reshape(HELD_OUT_BATCHES, text.batch):
        text.read_data(held_out, some)
        total += float(stack())
    return total / HELD_OUT_BATCHES


def train_one(plan: Plan) -> Body:
    """Train a stack and return the journal's entry."""
    spec = plan.to_spec()
    stack = build_stack(spec)
    watch, course = Watch(stack), Course()
    course.at.append(watch.measure(0))
    begun, busy, updates = time.time(), 0.0, 0
    last = time.process_time()
    for loss, norm in train_plainly(stack):
        busy += time.process_time() - last
        course.losses.append(loss)
        course.grad_norms.append(norm)
        updates += math.isfinite(loss) and math.isfinite(norm)
        if len(course.losses) % EVERY == 0:
            course.at.append(watch.measure(updates))
        last = time.process_time()
    if course.at[-1]["step"] != updates:
        course.at.append(watch.measure(updates))
    return {
        **vars(plan),
        "id": spec.id,
        "spec": spec.canonical(),
        "updates": updates,
        "stopped": updates < spec.train.steps,
        "parameters": count_parameters(spec),
        "flops_a_step": count_pass_flops(spec) + count_readout_flops(spec),
        "seconds": round(time.time() - begun, 2),
        "cpu_seconds_of_steps": round(busy, 2),
        "at": course.at,
        **describe_stability(course),
        "losses": average_in_fifties(course.losses),
        "matrices": watch.matrices(),
        "torch": torch.__version__,
    }


def train_plainly(stack: Stack) -> Iterator[tuple[float, float]]:
    """Train a stack as `mhc_core.measure.training.train` does. Return loss and gradient norm before each update.

    A step whose loss or gradient is not finite is the last, and makes no update.
    """
    plan, optimizer = stack.spec.train, build_optimizer(stack)
    parameters = [item for group in optimizer.param_groups for item in group["params"]]
    assert plan.clip == 0
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        stack.input.set_batch(step)
        optimizer.zero_grad()
        loss = stack()
        loss.backward()
        norm = float(torch.nn.utils.get_total_norm([item.grad for item in parameters if item.grad is not None]))
        value = float(loss.detach())
        is_finite = math.isfinite(value) and math.isfinite(norm)
        if is_finite:
            optimizer.step()
        yield value, norm
        if not is_finite:
            return


def describe_stability(course: Course) -> Body:
    """Count spikes of the loss and bursts of the gradient, relative to the median of the 200 steps before."""
    losses, norms = np.array(course.losses), np.array(course.grad_norms)
    spikes, bursts, ratios = [], [], [1.0]
    for step in range(BEFORE, len(losses)):
        before = slice(step - BEFORE, step)
        if losses[step] > np.median(losses[before]) + SPIKE_NATS:
            spikes.append(step)
        ratios.append(float(norms[step] / np.median(norms[before])))
        if ratios[-1] > BURST:
            bursts.append(step)
    return {
        "spikes": len(spikes),
        "first_spike": spikes[0] if spikes else None,
        "bursts": len(bursts),
        "first_burst": bursts[0] if bursts else None,
        "largest_burst": _to_finite(np.nanmax(ratios)),
        "grad_norm_median": _to_finite(np.nanmedian(norms)),
        "grad_norm_max": _to_finite(np.nanmax(norms)),
        "loss_max": _to_finite(np.nanmax(losses)),
    }


def average_in_fifties(values: list[float]) -> list[float | None]:
    """Return the means of 50 steps each."""
    plain = np.array(values)
    return [_to_finite(plain[start : start + 50].mean()) for start in range(0, len(plain), 50)]


def _compute_rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _to_finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def read_journal(path: Path) -> list[Body]:
    """Return the entries of a journal; [] if there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    """Train the runs that the journal does not contain."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--most", type=int, help="stop after so many runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    done = {entry["id"] for entry in read_journal(options.journal)}
    missing = {spec_id: plan for plan in list_plans() if (spec_id := plan.to_spec().id) not in done}
    for plan in list(missing.values())[: options.most]:
        entry = train_one(plan)
        with options.journal.open("a") as journal:
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        last = entry["at"][-1]
        print(plan, last, f"{entry['seconds']:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
