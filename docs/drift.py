"""Write docs/drift.md and its pictures from docs/drift.json, the results of the study.

`python docs/drift.py JOURNAL` first writes docs/drift.json from a journal of `python -m benchmarks drift`.
"""

import itertools
import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.theory.drift import sample_drift_gain

Entry = dict[str, Any]
FOLDER = Path(__file__).parent
RESULTS = FOLDER / "drift.json"
STREAMS, LAYERS_OF_27B, PAPERS_GAIN = 4, 60, 3000
SERIES = ("held_out", "drift", "drift_h_res", "gain_fwd", "gain_bwd")
KEPT = ("connection", "depth", "lr", "seed", "updates", "stopped", "parameters", "flops_a_step", "torch")
STABILITY = ("spikes", "first_spike", "bursts", "first_burst", "largest_burst", "grad_norm_median", "grad_norm_max")
ORDER = ("residual", "HC static", "HC dynamic", "mHC static", "mHC dynamic")
# Runs of little and of much drift, and how the text calls them.
DRIFTS = (lambda drift: drift < 0.2, lambda drift: drift >= 0.2)
WHERE = ("where the drift is below 0.2", "where it is larger")
COLORS = {"residual": "#62666d", "HC": "#b84718", "mHC": "#0f66b0"}

# From journal to results.


def condense(journal: Iterable[Entry]) -> list[Entry]:
    """What the document needs of each run."""
    found = []
    for entry in journal:
        at = entry["at"]
        series = {key: [point.get(key) for point in at] for key in SERIES if any(key in point for point in at)}
        found.append(
            {key: entry[key] for key in (*KEPT, *STABILITY)}
            | {"steps": entry["spec"]["train"]["steps"], "rank_one": measure_rank_one(entry)}
            | {"ms_a_step": round(1e3 * entry["cpu_seconds_of_steps"] / max(1, entry["updates"]), 2)}
            | {"at": [point["step"] for point in at], **series}
        )
    return sorted(found, key=lambda run: (run["depth"], ORDER.index(run["connection"]), run["lr"], run["seed"]))


def measure_rank_one(entry: Entry) -> float | None:
    """The share of HC's squared drift that the largest singular value of each layer's change holds."""
    if entry["matrices"] is None or not entry["connection"].startswith("HC"):
        return None
    return round(_find_rank_one(np.array(entry["matrices"]) - np.eye(STREAMS)), 4)


def _find_rank_one(changes_Lnn: np.ndarray) -> float:
    squares_Ln = np.linalg.svd(changes_Lnn, compute_uv=False) ** 2
    return float(squares_Ln[:, 0].sum() / squares_Ln.sum())


def read_results() -> list[Entry]:
    """Every trained run."""
    found: list[Entry] = json.loads(RESULTS.read_text())
    return found


def write_results(runs: Sequence[Entry]) -> None:
    """One run a line."""
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs) + "\n]\n")


# What is computed from the results.


@cache
def expect_gain(depth: int, drift: float) -> float:
    """The median largest gain of products of so many matrices I + drift G: what a random drift of this size gives."""
    return float(np.exp(np.median(sample_drift_gain(STREAMS, drift, depth).max(0)))) if drift else 1.0


def find_drift_of_gain(layers: int, gain: float) -> float:
    """The drift at which the median largest gain reaches a value, to 0.001."""
    low, high = 0.0, 1.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if expect_gain(layers, middle) < gain else (low, middle)
    return high


def at_compute(run: Entry, flops: float) -> float | None:
    """Held-out loss where training has used so many operations, between the two nearest measurements; None beyond."""
    used = np.array(run["at"]) * run["flops_a_step"]
    losses = np.array([np.nan if loss is None else loss for loss in run["held_out"]])
    if flops > used[-1]:
        return None
    value = float(np.interp(flops, used, losses))
    return value if np.isfinite(value) else None


def find_budget(runs: Sequence[Entry], depth: int) -> float:
    """Operations that every run of a depth has reached: those of the shortest."""
    ends = [run["at"][-1] * run["flops_a_step"] for run in runs if run["depth"] == depth and not run["stopped"]]
    return min(ends)


def compare_losses(runs: Sequence[Entry], depth: int) -> list[Entry]:
    """Each connection at its best rate: loss at equal compute, and the difference to residual seed by seed."""
    budget = find_budget(runs, depth)
    losses: dict[str, dict[float, dict[int, float]]] = {}
    for run in runs:
        if run["depth"] == depth and (loss := at_compute(run, budget)) is not None:
            losses.setdefault(run["connection"], {}).setdefault(run["lr"], {})[run["seed"]] = loss
    common = set.intersection(*({(lr, seed) for lr in by for seed in by[lr]} for by in losses.values()))
    rates = {lr: {seed for rate, seed in common if rate == lr} for lr, _ in common}
    most = max(map(len, rates.values()))
    rates = {lr: seeds for lr, seeds in rates.items() if len(seeds) == most}
    best = {}
    for connection, by in losses.items():
        medians = {lr: float(np.median([by[lr][seed] for seed in seeds])) for lr, seeds in rates.items()}
        lr = min(medians, key=lambda rate: medians[rate])
        best[connection] = (lr, {seed: by[lr][seed] for seed in sorted(rates[lr])})
    rows = []
    for connection in filter(best.__contains__, ORDER):
        lr, by_seed = best[connection]
        plain = best["residual"][1]
        shared = sorted(set(by_seed) & set(plain))
        rows.append(
            {
                "connection": connection,
                "lr": lr,
                "losses": list(by_seed.values()),
                "differences": [by_seed[seed] - plain[seed] for seed in shared],
                "at_equal_steps": list(
                    _compare_at_equal_steps(runs, depth, (connection, lr), best["residual"][0], shared)
                ),
                "ms": float(np.median([run["ms_a_step"] for run in runs if is_of(run, connection, depth)])),
                "flops": next(run["flops_a_step"] for run in runs if is_of(run, connection, depth)),
            }
        )
    return rows


def compare_at_rate(runs: Sequence[Entry], depth: int, connection: str, lr: float) -> Iterator[float]:
    """Difference to residual at equal compute and the same rate, of each seed that both have."""
    budget, losses = find_budget(runs, depth), {}
    for run in runs:
        if run["depth"] == depth and run["lr"] == lr and run["connection"] in ("residual", connection):
            losses[run["connection"], run["seed"]] = at_compute(run, budget)
    for (name, seed), loss in losses.items():
        plain = losses.get(("residual", seed))
        if name == connection and loss is not None and plain is not None:
            yield loss - plain


def _compare_at_equal_steps(
    runs: Sequence[Entry], depth: int, of: tuple[str, float], plain_lr: float, seeds: Iterable[int]
) -> Iterator[float]:
    """Difference to residual after as many steps as the run has, seed by seed."""
    for seed in seeds:
        run, plain = (
            next(run for run in runs if is_of(run, connection, depth) and (run["lr"], run["seed"]) == (lr, seed))
            for connection, lr in (of, ("residual", plain_lr))
        )
        there = at_compute(plain, run["at"][-1] * plain["flops_a_step"])
        yield last(run, "held_out") - (np.nan if there is None else there)


def is_of(run: Entry, connection: str, depth: int) -> bool:
    """Whether a run has this connection and depth."""
    return bool(run["connection"] == connection and run["depth"] == depth)


def group(runs: Iterable[Entry]) -> dict[tuple[int, str, float, int], list[Entry]]:
    """Runs that differ by seed alone, by depth, connection, rate and steps."""
    found: dict[tuple[int, str, float, int], list[Entry]] = {}
    for run in runs:
        found.setdefault((run["depth"], run["connection"], run["lr"], run["steps"]), []).append(run)
    return found


def last(run: Entry, key: str) -> float:
    """The value after training; nan where it is not finite."""
    value = run[key][-1]
    return float("nan") if value is None else float(value)


def find_drift(run: Entry) -> float:
    """Drift after training, to 0.001: of HC's matrices, of mHC's logits."""
    return round(last(run, "drift_h_res" if run["connection"].startswith("HC") else "drift"), 3)


def follow(run: Entry) -> Iterator[tuple[float, float]]:
    """Drift and log10 of the larger gain at each measurement."""
    drifts = run["drift_h_res" if run["connection"].startswith("HC") else "drift"]
    for drift, *gains in zip(drifts, run["gain_fwd"], run["gain_bwd"], strict=True):
        yield drift, max(0.0, *gains)


def peak_gain(run: Entry) -> float:
    """The largest forward or backward gain at any measurement."""
    values = [value for key in ("gain_fwd", "gain_bwd") for value in run[key] if value is not None]
    return float(10 ** max(values))


def end_gain(run: Entry) -> float:
    """The larger of the two gains after training; inf where it is not finite."""
    values = [run[key][-1] for key in ("gain_fwd", "gain_bwd")]
    return float("inf") if None in values else float(10 ** max(values))


def mixing(runs: Iterable[Entry], family: str) -> list[Entry]:
    """Runs of HC or mHC, static and dynamic."""
    return [run for run in runs if run["connection"].split()[0] == family]


# The document.


def describe(runs: Sequence[Entry]) -> str:
    """The whole of docs/drift.md."""
    parts = [*_describe_question(runs), *_describe_findings(runs), *_describe_setup(runs)]
    return "\n".join([*parts, *_describe_tables(runs), *_describe_limits(runs)])


def _paragraph(text: str) -> str:
    return textwrap.fill(text, 150, break_long_words=False, break_on_hyphens=False) + "\n"


def _bullet(text: str) -> str:
    return textwrap.fill(f"- {text}", 150, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _describe_question(runs: Sequence[Entry]) -> Iterator[str]:
    yield "# Where drift comes from: what training does to the mixing\n"
    yield _paragraph(
        "The default view adds Gaussian noise of 0.3 to the residual mixing of HC and mHC, as a model of drift; "
        "nothing in that view is trained. This page measures how far training moves the mixing, which gains result, "
        "how four streams change the loss, and whether training becomes unstable. "
        f"It reports {len(runs)} trained runs."
    )
    yield "## What a drift of 0.3 means\n"
    medians = _list(f"{_format(expect_gain(LAYERS_OF_27B, drift))} at {drift:.2f}" for drift in (0.30, 0.34, 0.36))
    yield _paragraph(
        f"The mHC paper reports gains of up to about {PAPERS_GAIN} for HC in its model of 27B parameters and "
        f"{LAYERS_OF_27B} layers. "
        f"With random drift, mixing matrices are I + σ N, N standard normal. The median of the largest gain over "
        f"{LAYERS_OF_27B} such 4 x 4 matrices is {medians}, and reaches {PAPERS_GAIN} at σ = "
        f"{find_drift_of_gain(LAYERS_OF_27B, PAPERS_GAIN):.2f} (4096 draws; `tests/oracles/test_free_products.py` "
        "repeats it in "
        "plain numpy). A gain of the paper's order of magnitude thus needs a random drift of 0.3 to 0.35. The paper "
        "does not report the drift of its matrices."
    )


def _describe_findings(runs: Sequence[Entry]) -> Iterator[str]:
    yield "## Findings\n"
    for describe in (
        describe_drift,
        describe_gain,
        describe_structure,
        describe_course,
        describe_bounded,
        describe_stability,
    ):
        yield _bullet(describe(runs))
    for depth in list_depths(runs):
        yield _bullet(describe_benefit(runs, depth))
    yield "\n![Gain against drift: each line is a run from start to end, dashed is a random drift](drift-gain.svg)\n"
    yield "![Held-out loss against compute at 12 layers](drift-loss.svg)\n"


def describe_drift(runs: Sequence[Entry]) -> str:
    """How far mixing moves, and how much that depends on the rate."""
    parts = []
    for family, unit in (("HC", "matrices"), ("mHC", "logits")):
        found = [run for run in mixing(runs, family) if not run["stopped"] and run["depth"] == 12]
        rates = sorted({run["lr"] for run in found})
        medians = [f"{np.median([find_drift(run) for run in found if run['lr'] == lr]):.2f} at {lr:g}" for lr in rates]
        parts.append(f"{family}'s {unit} by {_list(medians)}")
    return (
        f"**The learning rate sets the drift.** At 12 layers training moves {'; '.join(parts)} (medians over static, "
        "dynamic "
        "and seeds)."
    )


def describe_gain(runs: Sequence[Entry]) -> str:
    """HC's gains, next to those of a random drift."""
    found = [run for run in mixing(runs, "HC") if not run["stopped"]]
    ratios = [end_gain(run) / expect_gain(run["depth"], find_drift(run)) for run in found]
    parts = []
    for depth in list_depths(runs):
        gains = [end_gain(run) for run in found if run["depth"] == depth]
        parts.append(f"{_span(gains)} at {depth} layers")
    above = sum(ratio > 1 for ratio in ratios)
    low, high = ([ratio for run, ratio in zip(found, ratios, strict=True) if test(find_drift(run))] for test in DRIFTS)
    said = [
        f"{_format(float(np.median(part)))} {where}" for part, where in zip((low, high), WHERE, strict=True) if part
    ]
    return (
        f"**HC's gain grows without any noise.** After training it is {_list(parts)}. It is larger than the gain of "
        f"a random drift of the same size in {above} of {len(found)} runs, in the median by a factor of {_list(said)}."
    )


def describe_structure(runs: Sequence[Entry]) -> str:
    """Why a trained drift gives more gain than a random one of its size."""
    found = [run["rank_one"] for run in mixing(runs, "HC") if run["rank_one"] is not None]
    random = _find_rank_one(np.random.default_rng(0).standard_normal((10_000, STREAMS, STREAMS)))
    return (
        f"**Trained drift is not random.** In each layer it is close to a matrix of rank one, which holds "
        f"{100 * np.median(found):.0f} % of the squared drift in the median HC run ({100 * min(found):.0f} to "
        f"{100 * max(found):.0f} %); for random drift it is {100 * random:.0f} %."
    )


def describe_course(runs: Sequence[Entry]) -> str:
    """Whether the gain goes on growing, and where it was highest."""
    found = [run for run in mixing(runs, "HC") if not run["stopped"]]
    fell = sum(end_gain(run) < 0.95 * peak_gain(run) for run in found)
    top = max(found, key=peak_gain)
    place = int(np.argmax([gain for _, gain in follow(top)]))
    drift = round(top["drift_h_res"][place], 3)
    return (
        f"**The gain often peaks before the end.** In {fell} of {len(found)} HC runs the gain after the last step is "
        "more "
        f"than 5 % below the highest of the run. The highest of all is {_format(peak_gain(top))}, after "
        f"{top['at'][place]} of {top['steps']} steps ({top['connection']}, {top['depth']} layers, rate "
        f"{top['lr']:g}), at "
        f"a drift of {drift:.2f}; random drift of this size gives {_format(expect_gain(top['depth'], drift))}."
    )


def describe_bounded(runs: Sequence[Entry]) -> str:
    """MHC's gains."""
    found = [run for run in mixing(runs, "mHC") if not run["stopped"]]
    return (
        f"**mHC keeps its gain near 1.** The largest forward gain in {len(found)} runs is "
        f"{10 ** max(max(run['gain_fwd']) for run in found):.2f}, the largest backward gain "
        f"{10 ** max(max(run['gain_bwd']) for run in found):.2f}."
    )


def describe_stability(runs: Sequence[Entry]) -> str:
    """What becomes unstable, and when."""
    parts = []
    for family in ("residual", "HC", "mHC"):
        found = mixing(runs, family)
        counts = [sum(bool(run[key]) for run in found) for key in ("spikes", "bursts", "stopped")]
        firsts = [
            (run["first_spike"], f"{run['depth']} layers and rate {run['lr']:g}") for run in found if run["spikes"]
        ]
        text = f"{family}: {counts[0]} with a spike, {counts[1]} with a burst, {counts[2]} not finite, of {len(found)}"
        parts.append(f"{text} (first spike at step {min(firsts)[0]}, {min(firsts)[1]})" if firsts else text)
    return (
        f"**Stability.** {'; '.join(parts)}. A spike is a loss more than 1 nat above the median of the 200 steps "
        "before it, a burst a "
        "gradient norm above 10 times that median."
    )


def describe_benefit(runs: Sequence[Entry], depth: int) -> str:
    """What four streams do to the loss at equal compute."""
    rows = [row for row in compare_losses(runs, depth) if row["connection"] != "residual"]
    said = [f"{row['connection']} {_judge(row['differences'])}" for row in rows]
    count = len(rows[0]["differences"])
    better = [row["connection"] for row in rows if max(row["differences"]) < 0]
    if count < 3:
        conclusion = f"{'One seed is' if count == 1 else f'{count} seeds are'} not conclusive."
    elif better:
        conclusion = f"Lower on every seed: {_list(better)}."
    else:
        conclusion = "No connection with four streams is lower on every seed: no benefit is visible at this size."
    return (
        f"**Four streams at {depth} layers.** Held-out loss minus that of one stream, at equal compute, each with its "
        f"best rate, {'on one seed' if count == 1 else f'median and range over {count} seeds'}: {'; '.join(said)}. "
        f"{conclusion}"
    )


def _judge(differences: Sequence[float]) -> str:
    middle = f"{np.median(differences):+.3f}"
    return middle if len(differences) == 1 else f"{middle} ({min(differences):+.3f} to {max(differences):+.3f})"


def _describe_setup(runs: Sequence[Entry]) -> Iterator[str]:
    steps = sorted({run["steps"] for run in runs if run["connection"] != "residual"})
    rates = [f"{rate:g}" for rate in sorted({run["lr"] for run in runs})]
    yield "## Setup\n"
    yield _paragraph(
        f"Residual, HC and mHC (four streams, static and dynamic); {_list(list_depths(runs))} layers; learning rates "
        f"{_list(rates)}; seeds {_list(sorted({run['seed'] for run in runs}))}; {_list(steps)} steps. A residual "
        "step costs least, "
        "so residual stacks train 1.75 times as many steps and can be compared at equal compute. Every stack is a "
        "transformer of "
        "width 32 with four heads. It reads the corpus (`input.kind: corpus`), 4 windows of 32 bytes in each step, "
        "and starts "
        "without drift (`connection.noise: 0`); mHC starts as `lucidrains`. AdamW without weight decay or clipping, "
        "a constant "
        "rate after 100 steps of warm-up, float32, one CPU thread."
    )
    yield (
        "```sh\npython -m benchmarks drift --journal drift.jsonl   # trains the runs that are not in the journal; "
        "can be stopped and resumed\n"
        "python docs/drift.py drift.jsonl                   # writes this page, its pictures and drift.json\n```\n"
    )
    for text in (
        "**Drift**: root mean square change since the start, the unit of `connection.noise`: of the entries of H_res "
        "for HC, and of the logits of H_res for mHC.",
        "**Gain**: the largest composite gain over depth, of the matrices averaged over the measured batch.",
        "**Random gain**: the median gain of as many free matrices with a random drift of the same size.",
        "**Held-out loss**: mean over 8192 bytes of the last tenth of the text, in nats a byte. **Compute**: "
        "operations of forward and backward passes, as counted by the cost card. **CPU ms a step**: on a shared "
        "machine, therefore approximate.",
    ):
        yield _bullet(text)
    yield ""


def _describe_tables(runs: Sequence[Entry]) -> Iterator[str]:
    yield "## Loss at equal compute\n"
    yield _paragraph(
        "Each connection has the rate with the lowest median. Differences are from the residual stack of the same "
        "seed, in nats a byte; negative is better."
    )
    for depth in list_depths(runs):
        yield f"{depth} layers, {find_budget(runs, depth) / 1e9:.0f} GFLOP of training:\n"
        heads = ["connection", "rate", "held-out loss, median (range)", "difference", "at equal steps"]
        heads += ["MFLOP a step", "CPU ms a step"]
        yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
        for row in compare_losses(runs, depth):
            losses = row["losses"]
            span = f"({min(losses):.3f} to {max(losses):.3f})" if len(losses) > 1 else "(one seed)"
            others = [f"{np.median(row[key]):+.3f}" for key in ("differences", "at_equal_steps")]
            told = ["–", "–"] if row["connection"] == "residual" else others
            cells = [row["connection"], f"{row['lr']:g}", f"{np.median(losses):.3f} {span}", *told]
            cells += [f"{row['flops'] / 1e6:.1f}", f"{row['ms']:.1f}"]
            yield f"| {' | '.join(cells)} |"
        yield ""
    yield _paragraph("The same at each rate: the median difference to the residual stack of the same rate and seed.")
    yield from _describe_rates(runs)
    yield "## All runs\n"
    yield _paragraph(
        "Medians over seeds. Gains are after training; the highest is the larger of both directions at any measurement."
    )
    heads = [
        "layers",
        "connection",
        "rate",
        "steps",
        "seeds",
        "drift",
        "gain forward",
        "gain backward",
        "highest",
        "random gain",
    ]
    heads += ["held-out loss", "spikes", "not finite"]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for (depth, connection, lr, steps), some in group(runs).items():
        cells = [str(depth), connection, f"{lr:g}", str(steps), str(len(some)), *_tell_mixing(depth, connection, some)]
        counts = [str(sum(run[key] for run in some)) for key in ("spikes", "stopped")]
        cells += [f"{_middle(some, 'held_out'):.3f}", *counts]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _describe_rates(runs: Sequence[Entry]) -> Iterator[str]:
    rates = sorted({run["lr"] for run in runs})
    heads = ["layers", "connection", *(f"{rate:g}" for rate in rates)]
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for depth, connection in itertools.product(list_depths(runs), ORDER[1:]):
        cells = [str(depth), connection]
        for rate in rates:
            found = list(compare_at_rate(runs, depth, connection, rate))
            cells.append(f"{np.median(found):+.3f} ({len(found)})" if found else "–")
        yield f"| {' | '.join(cells)} |"
    yield "\nIn brackets: how many seeds.\n"


def _tell_mixing(depth: int, connection: str, some: Sequence[Entry]) -> list[str]:
    if connection == "residual":
        return ["–"] * 5
    drift = float(np.median([find_drift(run) for run in some]))
    gains = [_format(10 ** _middle(some, key)) for key in ("gain_fwd", "gain_bwd")]
    random = _format(expect_gain(depth, drift)) if connection.startswith("HC") else "–"
    return [f"{drift:.3f}", *gains, _format(float(np.median([peak_gain(run) for run in some]))), random]


def _middle(some: Sequence[Entry], key: str) -> float:
    return float(np.median([last(run, key) for run in some]))


def _describe_limits(runs: Sequence[Entry]) -> Iterator[str]:
    most, longest = max(run["parameters"] for run in runs), max(run["steps"] for run in runs)
    seeds = len({run["seed"] for run in runs})
    yield "## Limits\n"
    for text in (
        f"**Size.** The largest stack here has {most:,} parameters. Results may differ for 27 billion.",
        f"**Length.** At most {longest:,} steps and {longest * 128 / 1e6:.2f} MB of text. In the mHC paper HC's loss "
        "surges at about "
        "step 12,000, with far larger batches.",
        "**Recipe.** A constant rate without weight decay or clipping. Other optimisers and schedules move the "
        "mixing differently.",
        "**Start.** HC starts as its paper says, mHC as `lucidrains`. Other initialisations were not trained.",
        "**Data.** One text of 1.1 MB, read as bytes, without positions.",
        f"**Seeds.** At most {seeds}, and one at some sizes. A difference of loss smaller than its range over seeds "
        "is not resolved.",
    ):
        yield _bullet(text)
    yield ""


def list_depths(runs: Sequence[Entry]) -> list[int]:
    """Depths that were trained."""
    return sorted({run["depth"] for run in runs})


def _list(values: Iterable[Any]) -> str:
    *some, final = map(str, values)
    return f"{', '.join(some)} and {final}" if some else final


def _span(values: Sequence[float]) -> str:
    low, high = _format(min(values)), _format(max(values))
    return low if low == high else f"{low} to {high}"


def _format(value: float) -> str:
    if not np.isfinite(value):
        return "not finite"
    if value >= 1e6:
        return f"{value / 1e6:,.2f} million"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


# Pictures.

WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 64, 190, 28, 48


class Plot:
    """A small SVG: axes with ticks, lines, marks and words."""

    def __init__(self, title: str, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x_range, self.y_range = x, y
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" '
            'font-family="system-ui, sans-serif" font-size="12">',
            f"<title>{title}</title>",
            f'<rect width="{WIDE}" height="{HIGH}" fill="#ffffff"/>',
        ]

    def x(self, value: float) -> float:
        """Pixels of a value."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDE - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels of a value."""
        low, high = self.y_range
        return HIGH - BOTTOM - (value - low) / (high - low) * (HIGH - TOP - BOTTOM)

    def axes(self, x_title: str, y_title: str, x: dict[float, str], y: dict[float, str]) -> None:
        """Grid, ticks and titles."""
        for value, text in y.items():
            self.line([(self.x_range[0], value), (self.x_range[1], value)], "#e7e5e1", 1)
            self.word(LEFT - 8, self.y(value) + 4, text, anchor="end")
        for value, text in x.items():
            self.word(self.x(value), HIGH - BOTTOM + 18, text, anchor="middle")
        self.word((LEFT + WIDE - RIGHT) / 2, HIGH - 10, x_title, anchor="middle")
        self.word(LEFT, 14, y_title)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float = 2, dash: str = "") -> None:
        """A line through points of data."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"{dashes}/>')

    def mark(self, x: float, y: float, depth: int, color: str, *, filled: bool) -> None:
        """A circle, square or triangle by depth."""
        px, py, fill = self.x(x), self.y(y), color if filled else "#ffffff"
        look = f'fill="{fill}" stroke="{color}" stroke-width="1.5"'
        shape = {
            12: f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" {look}/>',
            24: f'<rect x="{px - 4:.1f}" y="{py - 4:.1f}" width="8" height="8" {look}/>',
            64: f'<path d="M{px:.1f} {py - 5:.1f}l5 9h-10z" {look}/>',
        }
        self.parts.append(shape[depth])

    def word(self, px: float, py: float, text: str, color: str = "#1a1c1f", anchor: str = "start") -> None:
        """Text at pixels."""
        self.parts.append(f'<text x="{px:.1f}" y="{py:.1f}" fill="{color}" text-anchor="{anchor}">{text}</text>')

    def end(self) -> str:
        """The whole file."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def draw_gain(runs: Sequence[Entry]) -> str:
    """The way of every HC and mHC run through drift and gain, a mark at its end, and what a random drift gives."""
    shown = [run for family in ("mHC", "HC") for run in mixing(runs, family) if not run["stopped"]]
    high = float(np.ceil(np.log10(max(map(peak_gain, shown)))))
    wide = float(np.ceil(10 * max(find_drift(run) for run in shown)) / 10)
    plot = Plot("Gain against drift", (0, wide), (0, high))
    ticks = np.arange(0, wide + 0.01, 0.1 if wide <= 1 else 0.5 if wide <= 4 else 1)
    plot.axes(
        "drift", "composite gain, the larger of forward and backward", {x: f"{x:.1f}" for x in ticks}, _decades(high)
    )
    for depth in sorted({run["depth"] for run in shown}):
        drifts = np.linspace(0, wide, 60)
        curve = [(x, np.log10(expect_gain(depth, round(float(x), 3)))) for x in drifts]
        inside = [(x, y) for x, y in curve if y <= high]
        plot.line(inside, "#9aa0a8", 1.5, "5,4")
        at = plot.x(inside[-1][0]), plot.y(inside[-1][1])
        plot.word(at[0] - 8, at[1] + 10, f"random, {depth} layers", "#62666d", "end")
    for run in shown:
        family, kind = run["connection"].split()
        plot.line(list(follow(run)), COLORS[family], 0.75)
        plot.mark(find_drift(run), np.log10(end_gain(run)), run["depth"], COLORS[family], filled=kind == "static")
    legend = [("HC static", "HC", 12, True), ("HC dynamic", "HC", 12, False), ("mHC static", "mHC", 12, True)]
    legend += [
        ("mHC dynamic", "mHC", 12, False),
        ("24 layers", "residual", 24, True),
        ("64 layers", "residual", 64, True),
    ]
    _add_legend(plot, legend)
    return plot.end()


def _decades(high: float) -> dict[float, str]:
    powers = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    return {float(k): f"{10**k:,}" if k < 4 else f"10{str(k).translate(powers)}" for k in range(int(high) + 1)}


def _add_legend(plot: Plot, rows: Sequence[tuple[str, str, int, bool]]) -> None:
    for row, (text, family, depth, filled) in enumerate(rows):
        py = TOP + 18 + 18 * row
        x = plot.x_range[0] + (WIDE - RIGHT + 24 - LEFT) / (WIDE - LEFT - RIGHT) * (plot.x_range[1] - plot.x_range[0])
        y = plot.y_range[0] + (HIGH - BOTTOM - py) / (HIGH - TOP - BOTTOM) * (plot.y_range[1] - plot.y_range[0])
        plot.mark(x, y, depth, COLORS[family], filled=filled)
        plot.word(WIDE - RIGHT + 36, py + 4, text)


def draw_loss(runs: Sequence[Entry]) -> str:
    """Held-out loss against compute at 12 layers, each connection at its best rate, median over seeds."""
    best = {row["connection"]: row["lr"] for row in compare_losses(runs, 12)}
    curves = {}
    for connection, lr in best.items():
        some = [run for run in runs if is_of(run, connection, 12) and run["lr"] == lr and not run["stopped"]]
        grid = sorted(set(np.arange(250, min(run["at"][-1] for run in some) + 1, 250).tolist()))
        flops = some[0]["flops_a_step"]
        curves[connection] = [
            (step * flops / 1e9, float(np.median([at_compute(run, step * flops) for run in some]))) for step in grid
        ]
    values = [loss for curve in curves.values() for _, loss in curve]
    low, high = np.floor(10 * min(values)) / 10, np.ceil(10 * max(values)) / 10
    wide = max(x for curve in curves.values() for x, _ in curve)
    plot = Plot("Held-out loss against compute", (0, wide), (low, high))
    across = {float(x): f"{x:.0f}" for x in np.arange(0, wide, 20)}
    plot.axes(
        "training compute, GFLOP",
        "held-out loss, nats a byte",
        across,
        {float(y): f"{y:.1f}" for y in np.arange(low, high + 0.01, 0.1)},
    )
    for row, (connection, curve) in enumerate(curves.items()):
        color, dash = COLORS[connection.split()[0]], "5,4" if connection.endswith("dynamic") else ""
        plot.line(curve, color, 2, dash)
        plot.word(WIDE - RIGHT + 36, TOP + 22 + 18 * row, f"{connection}, {best[connection]:g}")
        py, dashes = TOP + 18 + 18 * row, f' stroke-dasharray="{dash}"' if dash else ""
        place = f'x1="{WIDE - RIGHT + 8}" x2="{WIDE - RIGHT + 30}" y1="{py}" y2="{py}"'
        plot.parts.append(f'<line {place} stroke="{color}" stroke-width="2"{dashes}/>')
    return plot.end()


def main() -> None:
    """Write the document, after its results where there is a journal."""
    if sys.argv[1:]:
        write_results(condense(json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()))
    runs = read_results()
    (FOLDER / "drift.md").write_text(describe(runs))
    (FOLDER / "drift-gain.svg").write_text(draw_gain(runs))
    (FOLDER / "drift-loss.svg").write_text(draw_loss(runs))


if __name__ == "__main__":
    main()
