"""How often Verify calls honest runs wrong, and how often it finds planted faults: the tables of docs/laws.md.

`python -m benchmarks laws`. Every number comes from the path that Verify takes: the run in its own dtype, its float64
recomputation where the table says so, then `verify`. Each finished piece of work is appended to a journal
(`--journal`), so that the measurement can be stopped and resumed, and `--print` shows the tables of what is there.
Cheap combinations come first; all of it takes several hours of one idle core.
"""

import argparse
import itertools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults import FAMILY_FAULTS, FAULTS, planted
from mhc_core.checks.detection import IDENTITIES
from mhc_core.checks.recomputation import estimate_recomputation, recompute
from mhc_core.checks.verification import verify
from mhc_core.cost.estimates import estimate
from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.theory.laws import predict
from mhc_core.theory.premises import describe_network, has_unit_row_sums, is_norm_bounded

Body = dict[str, Any]
ACTIVATIONS, NORMS, SKIPS = ("relu", "tanh", "gelu", "silu", "linear"), ("pre", "post", "none"), ("none", "residual")
INPUT: Body = {"input": {"kind": "gaussian", "batch": 2, "tokens": 16}}
PIECE, PIECE_SECONDS = 10, 4.0  # seeds of a piece, and fewer where they would take longer
SEEDS, SEEDS_LARGE = 300, 100  # seeds of each combination, and of those wider than WIDE or deeper than DEEP
WIDE, DEEP = 512, 256
RECOMPUTED, RECOMPUTED_LARGE = 50, 10  # seeds that are recomputed as well, and of large or deep stacks
LARGE = 2**20  # depth times width squared
FAULT_SEEDS, RELATION_SEEDS = 100, 5  # the latter of exact relations, in which chance plays no part
FAMILY_SEEDS = 1  # likewise, of every family with every fault
ALL_FAULTS = FAULTS | FAMILY_FAULTS
EXACT = ("sums", "mean_law", *IDENTITIES)
ANY = "any check"


@dataclass(frozen=True)
class Piece:
    """Some seeds of one combination, with one fault or none. `table`: which table its counts are for."""

    table: str
    name: str
    body: str
    fault: str | None
    first: int
    seeds: int
    recomputed: bool

    def predict_seconds(self) -> float:
        """Return the predicted seconds of the combination's seeds up to the last of this piece."""
        once, again = predict_costs(self.body)
        return (self.first + self.seeds) * (once + again * self.recomputed)


@cache
def predict_costs(body: str) -> tuple[float, float]:
    """Return the predicted seconds of a run, and of its recomputation."""
    spec = parse_spec(json.loads(body))
    return estimate(spec).seconds, estimate_recomputation(spec).seconds


# Combinations.


def list_combinations() -> list[Body]:
    """Return the combinations that a law covers, and mixing in several streams for the exact relations."""
    all_signals = (*_list_signals(), *_list_wide_and_deep())
    signals = [body for body in all_signals if describe_network(parse_spec(body)) is not None]
    return [*signals, *_list_drifts(), *_list_mixing(), *_list_families()]


def _list_signals() -> list[Body]:
    """Return every activation, norm and skip at depth and width 64, and corners of norm, skip, depth and width."""
    bodies = [_describe_mlp(*choice, 64, 64) for choice in itertools.product(ACTIVATIONS, NORMS, SKIPS)]
    turns = itertools.cycle(ACTIVATIONS)
    bodies += [_describe_mlp(next(turns), *corner) for corner in itertools.product(NORMS, SKIPS, (16, 256), (16, 256))]
    bodies += [_describe_mlp(activation, "none", "none", 16, 64) for activation in ("relu", "tanh", "linear")]
    bodies += [_describe_mlp("tanh", norm, "residual", 64, 256) for norm in NORMS]
    bodies += [_describe_mlp("relu", norm, "none", 256, 64, ratio=0) for norm in NORMS]
    bodies += [_describe_mlp("relu", "none", "none", depth, 64, ratio=0) for depth in (64, 300)]
    bodies += [_describe_mlp("relu", "none", "none", 64, 32)]
    bodies += [_describe_mlp("relu", "none", "none", 64, 64, weights="xavier")]
    for correlation in (0.9, 1.0):
        drawn = {"input": INPUT["input"] | {"kind": "correlated", "correlation": correlation}}
        bodies += [_describe_mlp(activation, "pre", "none", 40, 64) | drawn for activation in ("relu", "gelu")]
    return bodies


def _list_wide_and_deep() -> list[Body]:
    """Return wide or deep combinations: width up to 4096, depth up to 1024."""
    return [
        _describe_mlp("relu", "none", "none", 96, 1024, ratio=0),
        _describe_mlp("relu", "none", "none", 8, 4096, ratio=0),
        _describe_mlp("gelu", "pre", "none", 4, 4096),
        _describe_mlp("silu", "post", "residual", 4, 4096),
        _describe_mlp("tanh", "none", "none", 100, 512, ratio=0),
        _describe_mlp("tanh", "none", "none", 16, 2048, ratio=0),
        _describe_mlp("linear", "none", "residual", 16, 1024),
        _describe_mlp("gelu", "pre", "residual", 32, 1024),
        _describe_mlp("gelu", "pre", "residual", 1024, 64),
        _describe_mlp("relu", "post", "none", 1024, 64, ratio=0),
        _describe_mlp("tanh", "post", "residual", 512, 128),
        _describe_mlp("relu", "none", "none", 1024, 128, ratio=0),
    ]


def _list_drifts() -> list[Body]:
    drifts = [(depth, 0.3, 4) for depth in (8, 16, 32, 64)]
    drifts += [(64, 0.1, 2), (64, 1.0, 4), (256, 0.3, 8), (1024, 0.1, 4)]
    block = {"kind": "mlp", "mlp_ratio": 1}
    return [
        {"depth": depth, "width": 16, "connection": {"kind": "hc", "noise": noise, "streams": streams},
         "block": block, **INPUT}
        for depth, noise, streams in drifts
    ]  # fmt: skip


def _list_mixing() -> list[Body]:
    connections: list[Body] = [
        {"kind": "mhc", "init": "mhc_lite", "noise": 1.0},
        {"kind": "mhc", "init": "lucidrains", "noise": 1.0, "dynamic": True},
        {"kind": "mhc", "init": "deepseek_v4", "dynamic": True},
        {"kind": "mhc_lite", "init": "mhc_lite", "noise": 1.0},
        {"kind": "kromhc", "noise": 1.0, "dynamic": True},
        {"kind": "hc", "dynamic": True},
        {"kind": "frac"},
    ]
    base: Body = {"depth": 24, "width": 32, "input": {"kind": "text", "batch": 2, "tokens": 16}}
    return [base | {"connection": connection, "block": {"kind": "transformer"}} for connection in connections]


# By name: the families of 2026 and those that read earlier outputs, and settings that change how streams are joined.
FAMILIES: dict[str, Body] = {
    "AttnRes": {"kind": "attnres"},
    "AttnRes, blocks and heads": {"kind": "attnres", "depth_block": 4, "depth_heads": 4},
    "AttnRes, delta": {"kind": "attnres", "depth_block": 2, "depth_form": "delta"},
    "AttnRes, gated delta": {"kind": "attnres", "depth_block": 2, "depth_form": "delta_gated"},
    "AttnRes, normed values": {"kind": "attnres", "depth_block": 2, "depth_heads": 2, "depth_values": "normed"},
    "DenseFormer": {"kind": "denseformer", "noise": 0.1},
    "DenseFormer, blocks": {"kind": "denseformer", "noise": 0.1, "depth_block": 4},
    "LAuReL": {"kind": "laurel", "gate_rank": 4},
    "weighted residual": {"kind": "weighted", "noise": 0.1},
    "Gated Residual": {"kind": "gated", "gate_rank": 8},
    "orthogonal": {"kind": "orthogonal", "init": "mhc_lite", "noise": 1.0},
    "orthogonal, dynamic": {"kind": "orthogonal", "init": "megatron", "dynamic": True},
    "JPmHC": {"kind": "jpmhc", "init": "mhc_lite"},
    "oHC": {"kind": "quaternion", "init": "mhc_lite", "noise": 1.0},
    "sHC": {"kind": "shc", "init": "mhc_lite", "noise": 1.0},
    "sHC, dynamic": {"kind": "shc", "init": "megatron", "dynamic": True},
    "Identity HC": {"kind": "identity_hc", "init": "mhc_lite"},
    "go-mHC": {"kind": "go_mhc", "init": "mhc_lite", "noise": 1.0},
    "TBP-mHC": {"kind": "tbp", "init": "mhc_lite", "noise": 1.0},
    "TBP-mHC, dynamic": {"kind": "tbp", "init": "megatron", "dynamic": True},
    "C-mHC": {"kind": "circulant", "init": "c_mhc", "noise": 1.0},
    "osHC": {"kind": "one_sided", "init": "mhc_lite", "noise": 1.0},
    "H_pre of the layer before": {"kind": "mhc", "init": "mhc_lite", "noise": 1.0, "read_from": "previous"},
    "H_pre of the layer before, dynamic": {
        "kind": "mhc", "init": "deepseek_v4", "dynamic": True, "read_from": "previous",
    },
    "Newton's method": {"kind": "mhc", "init": "mhc_lite", "noise": 1.0, "projection": "newton"},
    "Newton's method, dynamic": {"kind": "mhc", "init": "deepseek_v4", "dynamic": True, "projection": "newton"},
    "scaled streams": {"kind": "mhc_lite", "init": "mhc_lite", "noise": 1.0, "expand": "scaled"},
    "learned head": {"kind": "mhc", "init": "megatron", "dynamic": True, "output": "head"},
}  # fmt: skip
SMALL: Body = {"depth": 12, "width": 16, "input": {"kind": "text", "batch": 2, "tokens": 8}}
# Of these streams stay alike, so that the laws of signals hold of them.
ALIKE: tuple[Body, ...] = (
    *({"kind": kind, "noise": 1.0} for kind in ("shc", "identity_hc", "go_mhc", "tbp", "circulant", "one_sided")),
    {"kind": "mhc", "noise": 1.0, "projection": "newton", "init": "lucidrains"},
    {"kind": "mhc", "noise": 1.0, "read_from": "previous", "dynamic": True},
    {"kind": "laurel", "noise": 0.0, "gate_rank": 4},
)


def _list_families() -> list[Body]:
    """Return all of `FAMILIES` with transformer blocks, and all of `ALIKE` with the blocks that laws cover."""
    block = {"kind": "mlp", "mlp_ratio": 1}
    alike = [{"depth": 24, "width": 32, "block": block, **INPUT, "connection": connection} for connection in ALIKE]
    return [*alike, *(SMALL | {"connection": connection} for connection in FAMILIES.values())]


def _describe_mlp(
    activation: str, norm: str, skip: str, depth: int, width: int, ratio: int = 1, weights: str = "he"
) -> Body:
    """Return the spec of a stack of MLPs. GELU and SiLU without norm and skip have no law, and become tanh."""
    if activation in ("gelu", "silu") and (norm, skip) == ("none", "none"):
        activation = "tanh"  # there is no law of these
    block = {"kind": "mlp", "activation": activation, "norm_position": norm, "mlp_ratio": ratio, "weights": weights}
    return {"depth": depth, "width": width, "connection": {"kind": skip}, "block": block, **INPUT}


MLP = {"kind": "mlp", "activation": "gelu", "norm_position": "pre", "mlp_ratio": 4}
DEFAULT: Body = {"input": {"kind": "gaussian", "batch": 2, "tokens": 64}}
# By law: a stack in which faults are planted.
CASES: dict[str, Body] = {
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
RELATIONS: dict[str, Body] = {
    "mHC": {"connection": {"kind": "mhc", "init": "mhc_lite"}},
    "mHC, dynamic": {"connection": {"kind": "mhc", "init": "mhc_lite", "dynamic": True}},
    "HC": {"connection": {"kind": "hc"}},
    "residual": {"connection": {"kind": "residual"}},
    "residual, norm after the addition": {"connection": {"kind": "residual"}, "block": {"norm_position": "post"}},
}


# Work.


def list_pieces() -> list[Piece]:
    """Return all pieces, cheap combinations first."""
    pieces = [piece for body in list_combinations() for piece in _split_combination(body)]
    for (law, body), fault in itertools.product(CASES.items(), FAULTS):
        pieces += _split_seeds("faults", law, body, fault, FAULT_SEEDS, 0)
    for (name, body), planted_fault in itertools.product(RELATIONS.items(), (None, *FAULTS)):
        pieces += _split_seeds("relations", name, body, planted_fault, RELATION_SEEDS, RELATION_SEEDS)
    for (name, connection), planted_fault in itertools.product(FAMILIES.items(), (None, *ALL_FAULTS)):
        joined = SMALL | {"connection": connection}
        pieces += _split_seeds("families", name, joined, planted_fault, FAMILY_SEEDS, FAMILY_SEEDS)
    return sorted(pieces, key=Piece.predict_seconds)


def _split_combination(body: Body) -> list[Piece]:
    spec = parse_spec(body)
    is_large = spec.depth * spec.width**2 > LARGE or spec.depth > DEEP
    seeds = SEEDS_LARGE if spec.width > WIDE or spec.depth > DEEP else SEEDS
    recomputed = RECOMPUTED_LARGE if is_large else RECOMPUTED
    return _split_seeds("honest", "", body, None, seeds, recomputed if _has_laws(spec) else seeds)


def _has_laws(spec: RunSpec) -> bool:
    """Return whether Verify compares anything without the recomputation."""
    return bool(predict(spec)) or has_unit_row_sums(spec) or is_norm_bounded(spec)


def _split_seeds(table: str, name: str, body: Body, fault: str | None, seeds: int, recomputed: int) -> list[Piece]:
    """Return pieces that each take about `PIECE_SECONDS`; [] if the fault does not fit the spec."""
    if fault is not None and not ALL_FAULTS[fault][1](parse_spec(body)):
        return []
    text = json.dumps(body, sort_keys=True)
    size = max(1, min(PIECE, round(PIECE_SECONDS / sum(predict_costs(text)))))
    return [
        Piece(table, name, text, fault, first, min(size, seeds - first), first < recomputed)
        for first in range(0, seeds, size)
    ]


Counts = dict[str, tuple[int, int]]


def measure_piece(piece: Piece) -> Counts:
    """Count by `law metric` the seeds in which a check of it fails, and those in which one was compared."""
    torch.set_num_threads(1)
    failed, compared = Counter[str](), Counter[str]()
    with planted(ALL_FAULTS[piece.fault][0] if piece.fault else None):
        for seed in range(piece.first, piece.first + piece.seeds):
            checks = verify_once(parse_spec(json.loads(piece.body) | {"seed": seed}), recomputed=piece.recomputed)
            verdicts = {(f"{check.name} {check.metric}", check.verdict) for check in checks}
            compared.update({key for key, verdict in verdicts if verdict != "skipped"} | {ANY})
            wrong = {key for key, verdict in verdicts if verdict == "fails"}
            failed.update(wrong | {ANY} if wrong else ())
    return {key: (failed[key], count) for key, count in compared.items()}


def verify_once(spec: RunSpec, *, recomputed: bool) -> list[Any]:
    """Return the checks of one run."""
    result = Result()
    for frame in run(spec):
        result.add(frame)
    return verify(spec, result, recompute(spec) if recomputed else None)


def read_journal(path: Path) -> dict[Piece, Counts]:
    """Return the counts of all pieces in the journal."""
    lines = path.read_text().splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines]
    return {
        Piece(**entry["piece"]): {key: (failed, compared) for key, (failed, compared) in entry["counts"].items()}
        for entry in entries
    }


def main() -> None:
    """Compute the pieces that the journal does not contain, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path, default=Path("laws.jsonl"), help="results so far; resumed from")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--print", action="store_true", help="only print the tables of the journal")
    arguments = parser.parse_args()
    if not arguments.print:
        _compute_missing(arguments.journal, arguments.processes)
    print("\n".join(format_tables(read_journal(arguments.journal))))


def _compute_missing(journal: Path, processes: int) -> None:
    """Compute in parallel the pieces that the journal does not contain, and append their counts to it."""
    done = read_journal(journal)
    due = [piece for piece in list_pieces() if piece not in done]
    with ProcessPoolExecutor(processes) as pool, journal.open("a") as file:
        running = {pool.submit(measure_piece, piece): piece for piece in due}
        for count, future in enumerate(as_completed(running), 1):
            file.write(json.dumps({"piece": asdict(running[future]), "counts": future.result()}) + "\n")
            file.flush()
            print(f"{count} of {len(due)}", file=sys.stderr, flush=True)


# Tables.


def format_tables(done: dict[Piece, Counts]) -> Iterator[str]:
    """Yield the lines of all tables."""
    honest = [(piece.body, counts) for piece, counts in done.items() if piece.table == "honest"]
    yield from format_alarms(honest)
    yield from format_power({piece: counts for piece, counts in done.items() if piece.table == "faults"})
    yield from format_relations({piece: counts for piece, counts in done.items() if piece.table == "relations"})
    yield from format_families({piece: counts for piece, counts in done.items() if piece.table == "families"})


def format_alarms(honest: Iterable[tuple[str, Counts]]) -> Iterator[str]:
    """Yield a table by check: false alarms over all runs, and in the worst combination."""
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for body, counts in honest:
        for key, (failed, compared) in counts.items():
            found[key][body].update({"failed": failed, "compared": compared})
    bodies = found[ANY]
    if not bodies:
        return
    yield f"{len(bodies)} combinations, {sum(runs['compared'] for runs in bodies.values())} runs.\n"
    yield "| check | metric | combinations | runs | false alarms, pooled | worst combination |"
    yield "|---|---|---|---|---|---|"
    for key in sorted(found, key=lambda key: (_rank_check(key), key)):
        by_body = found[key]
        failed, compared = (sum(runs[name] for runs in by_body.values()) for name in ("failed", "compared"))
        worst = max(by_body.values(), key=lambda runs: runs["failed"] / runs["compared"])
        law, _, metric = (key, "", "") if key == ANY else key.partition(" ")
        yield (
            f"| {law} | {metric} | {len(by_body)} | {compared} | {failed} ({100 * failed / compared:.2f} %) "
            f"| {worst['failed']} of {worst['compared']} |"
        )


def _rank_check(key: str) -> int:
    law = key.partition(" ")[0]
    return 3 if key == ANY else 2 if law in EXACT else 1 if law == "recomputation" else 0


def format_power(faults: dict[Piece, Counts]) -> Iterator[str]:
    """Yield a table by law and fault: the share of seeds in which any metric of the law fails."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for piece, counts in faults.items():
        assert piece.fault is not None
        cell = found[piece.name, piece.fault]
        cell[0] += max((failed for key, (failed, _) in counts.items() if key.startswith(f"{piece.name} ")), default=0)
        cell[1] += piece.seeds
    yield "\n| law | seeds | " + " | ".join(FAULTS) + " |\n" + "|---" * (len(FAULTS) + 2) + "|"
    for law in CASES:
        cells = [found.get((law, fault), [0, 0]) for fault in FAULTS]
        shares = [f"{100 * hits / seeds:.0f} %" if seeds else "" for hits, seeds in cells]
        yield f"| {law} | {max(seeds for _, seeds in cells)} | " + " | ".join(shares) + " |"


def format_relations(relations: dict[Piece, Counts]) -> Iterator[str]:
    """Yield a table by stack and fault: the checks that fail, and in how many seeds."""
    yield (
        f"\n| checks that fail, of {RELATION_SEEDS} seeds | none | "
        + " | ".join(FAULTS)
        + " |\n"
        + "|---" * (len(FAULTS) + 2)
        + "|"
    )
    for name in RELATIONS:
        cells = []
        for fault in (None, *FAULTS):
            counts = Counter[str]()
            for piece, found in relations.items():
                if (piece.name, piece.fault) == (name, fault):
                    counts.update(_count_by_law(found))
            cells.append(", ".join(f"{law} {count}" for law, count in sorted(counts.items()) if count))
        yield f"| {name} | " + " | ".join(cells) + " |"


def format_families(families: dict[Piece, Counts]) -> Iterator[str]:
    """Yield a table by fault: the stacks in which it fits, those in which a check fails, and which checks fail."""
    yield "\n| fault | stacks | found in | checks that fail, and in how many stacks |\n|---|---|---|---|"
    for fault in (None, *ALL_FAULTS):
        seeds, found, laws = Counter[str](), Counter[str](), set[tuple[str, str]]()
        for piece, counts in families.items():
            if piece.fault == fault:
                seeds[piece.name] += piece.seeds
                found[piece.name] += counts[ANY][0]
                laws.update({(piece.name, law) for law, count in _count_by_law(counts).items() if count})
        in_stacks = Counter(law for _, law in laws)
        which = ", ".join(f"{law} {count}" for law, count in sorted(in_stacks.items()))
        complete = sum(found[name] == count for name, count in seeds.items())
        yield f"| {fault or 'none'} | {len(seeds)} | {complete} | {which} |"


def _count_by_law(counts: Counts) -> Counter[str]:
    """Count by law the seeds of one piece in which a check of it fails: those of its metric that fails most often."""
    found = Counter[str]()
    for key, (failed, _) in counts.items():
        if key != ANY:
            law = key.partition(" ")[0]
            found[law] = max(found[law], failed)
    return found


if __name__ == "__main__":
    main()
