"""Edits of trained stacks: the experiments of arXiv 2603.14833 and 2609.05309 at our scale.

`python -m benchmarks interventions [SEEDS]` trains dynamic mHC on the corpus, then edits the trained stacks one by one
and prints what the loss on windows that training never reads becomes, as JSON. docs/edits.md shows the medians.
"""

import json
import math
import sys
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from torch.nn.functional import normalize

from mhc_core.measure.training import train
from mhc_core.metrics.effects import measure_divergence
from mhc_core.metrics.paths import count_streams, measure_kernel_shares
from mhc_core.spec import EditSpec, RunSpec, parse_spec
from mhc_core.stack import LayerOutput, Stack, build_stack

DEPTH, STREAMS, STEPS = 24, 4, 400
SPEC: dict[str, Any] = {
    "depth": DEPTH,
    "connection": {"kind": "mhc", "dynamic": True, "init": "deepseek_v4", "noise": 0.0, "streams": STREAMS},
    "input": {"kind": "corpus", "batch": 16, "tokens": 64},
    "train": {"steps": STEPS, "lr": 0.003, "warmup": 40, "clip": 1.0},
}
HALF = DEPTH // 2
MIXING = ("h_pre", "h_post", "h_res")
Edit = dict[str, Any]


def list_experiments() -> dict[str, list[Edit]]:
    """List the edits of each experiment by its name."""
    every, early, late = [0, DEPTH - 1], [0, HALF - 1], [HALF, DEPTH - 1]
    frozen = [{"layers": every, "what": what, "do": "freeze"} for what in MIXING]
    cut: Edit = {"layers": [HALF, HALF], "what": "stream", "index": 1, "do": "zero"}
    back: Edit = {"layers": [HALF + 4, HALF + 4], "what": "stream", "index": 1, "do": "restore"}
    found: dict[str, list[Edit]] = {
        "identity late": [{"layers": late, "what": "h_res", "do": "identity"}],
        "identity early": [{"layers": early, "what": "h_res", "do": "identity"}],
        "identity everywhere": [{"layers": every, "what": "h_res", "do": "identity"}],
        "mean over tokens": [{"layers": every, "what": "h_res", "do": "mean"}],
        "uniform": [{"layers": every, "what": "h_res", "do": "uniform"}],
        "three largest entries": [{"layers": every, "what": "h_res", "do": "top_k", "k": 3}],
        "cut": [cut],
        "cut, mixing frozen": [*frozen, cut],
        "cut, restored 4 layers later": [cut, back],
    }
    for stream in range(STREAMS):
        found[f"cut of stream {stream + 1}"] = [cut | {"index": stream}]
    for pair in list_pairs():
        found[f"cut of streams {pair[0] + 1} and {pair[1] + 1}"] = [cut | {"index": stream} for stream in pair]
    return found


def list_pairs() -> list[tuple[int, int]]:
    """List the pairs of streams, counted from 0."""
    return list(combinations(range(STREAMS), 2))


@torch.no_grad()
def measure(stack: Stack, edits: list[Edit]) -> dict[str, float]:
    """Measure the loss with and without the edits, and the divergence of the output, on the measured windows."""
    base = stack.collapse(stack.run_layers(stack.embed())[0])
    stack.record_base()
    kept = stack.edits.base
    parsed = [EditSpec.model_validate(edit) for edit in edits]
    with stack.with_edits(*parsed):
        stack.edits.base = kept
        out = stack.collapse(stack.run_layers(stack.embed())[0])
    before, after = (float(stack.input.loss(one)) for one in (base, out))
    logits = [stack.input.read_out(one) for one in (base, out)]
    assert logits[0] is not None
    assert logits[1] is not None
    return {
        "loss": after,
        "loss_base": before,
        "perplexity_change": math.exp(after - before) - 1,
        "output_kl": float(measure_divergence(logits[0], logits[1])),
    }


def run_seed(seed: int) -> dict[str, Any]:
    """Train one stack, and measure every experiment on it."""
    spec: RunSpec = parse_spec(SPEC | {"seed": seed})
    stack = build_stack(spec)
    for _ in train(stack):
        pass
    stack.input.set_batch(None)
    found = {name: measure(stack, edits) for name, edits in list_experiments().items()}
    return {
        "seed": seed,
        "streams_in_use": _measure_streams(stack),
        "similarity": _measure_similarity(stack),
        "experiments": found,
    }


@torch.no_grad()
def _measure_similarity(stack: Stack) -> list[float]:
    """Measure the mean cosine, over tokens, of each pair of streams at the input of the layer that is cut."""
    outputs: list[LayerOutput] = []
    stack.run_layers(stack.embed(), lambda layer, output: outputs.append(output))
    streams = normalize(stack.connection.streams(outputs[HALF - 1].state).double(), dim=-1)
    return [float((streams[first] * streams[second]).sum(-1).mean()) for first, second in list_pairs()]


@torch.no_grad()
def _measure_streams(stack: Stack) -> float:
    """Measure the median over layers of the effective rank of the depth kernel."""
    mixings = stack.run_layers(stack.embed())[1]
    parts = [torch.stack([getattr(one, name).double().mean(0) for one in mixings]).numpy() for name in MIXING]
    ranks = sorted(count_streams(measure_kernel_shares(*parts))[: DEPTH - 1])
    return float(ranks[len(ranks) // 2])


def main(arguments: list[str]) -> Iterator[str]:
    """Yield one line of JSON for each seed."""
    for seed in range(int(arguments[0]) if arguments else 3):
        yield json.dumps(run_seed(seed))


if __name__ == "__main__":
    for line in main(sys.argv[1:]):
        print(line, flush=True)
