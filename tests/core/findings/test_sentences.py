"""Every sentence of random runs, read and recomputed from raw columns by code of its own."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import CONNECTION_KINDS, RunSpec, SpecErrors, parse_spec
from tests.core.drawn import draw_edits
from tests.core.findings.reader import FalseSentence, Run, Template, read_headline, read_sentence

pytestmark = pytest.mark.full

CONNECTION: dict[str, list[Any]] = {
    "kind": list(CONNECTION_KINDS),
    "streams": [1, 2, 4],
    "dynamic": [False, True],
    "init": ["mhc_lite", "residual", "lucidrains", "megatron", "deepseek_v4"],
    "noise": [3.0, 1.0, 0.3, 0.0],
    "sinkhorn_iters": [20, 3, 1, 0],
    "sinkhorn_eps": [0.0, 0.0, 1e-6, 1e-3],
    "mapping_dtype": ["auto", "auto", "bfloat16"],
    "depth_form": ["replace", "replace", "delta", "delta_gated"],
}
BLOCK: dict[str, list[Any]] = {
    "kind": ["mlp", "transformer", "conv", "pair"],
    "norm_position": ["pre", "post", "none"],
    "activation": ["relu", "tanh", "gelu"],
    "branch_scale": [1.0, 1.0, 0.0, 0.05, 10.0],
    "scaling": ["constant", "constant", "constant", "rezero", "deepnorm", "inv_sqrt_depth"],
    "mlp_ratio": [2],
}
REST: dict[str, list[Any]] = {
    "depth": [1, 2, 9, 40],
    "jacobian": [0, 0, 4],
    "dtype": ["float32", "float64", "bfloat16"],
}
# Where numbers leave their range, above or below.
BEYOND: list[dict[str, Any]] = [
    {"connection": {"kind": "hc", "noise": 3.0}},
    {"connection": {"kind": "hc", "noise": 1.0, "dynamic": True}},
    {"connection": {"kind": "mhc", "noise": 3.0, "sinkhorn_iters": 0}},
    {"connection": {"kind": "mhc", "init": "mhc_lite", "dynamic": True}, "block": {"norm_position": "none"}},
    {"connection": {"kind": "mhc_lite", "dynamic": True}, "block": {"norm_position": "none", "branch_scale": 10.0}},
    {"connection": {"kind": "residual"}, "block": {"kind": "pair", "norm_position": "none"}},
    {"connection": {"kind": "none"}, "block": {"kind": "mlp", "activation": "gelu", "norm_position": "none"}},
    {"connection": {"kind": "none"}, "block": {"kind": "mlp", "norm_position": "none", "branch_scale": 0.05}},
    {"connection": {"kind": "hc", "noise": 3.0}, "dtype": "float64", "depth": 500},
    {"connection": {"kind": "frac", "noise": 3.0}},
]


def pick(dice: random.Random, choices: dict[str, list[Any]]) -> dict[str, Any]:
    return {key: dice.choice(values) for key, values in choices.items()}


def draw(dice: random.Random, *, seeds: bool, edited: bool) -> dict[str, Any]:
    body = pick(dice, REST) | {"connection": pick(dice, CONNECTION), "block": pick(dice, BLOCK)}
    body |= {"width": 16, "seed": dice.randrange(100), "device": "cpu"}
    body["input"] = {
        "kind": dice.choice(["text", "text", "text", "gaussian"]),
        "tokens": 16,
        "batch": dice.choice([1, 2]),
    }
    if edited:
        connection = body["connection"]
        edits = draw_edits(dice, connection["kind"], body["depth"], connection["streams"])
        body["edits"] = edits[: dice.choice([1, 1, 4])]
    if seeds:
        return body | {"seeds": dice.choice([2, 3, 5])}
    return body | {"train": {"steps": dice.choice([0, 3]), "lr": dice.choice([0.01, 10.0])}}


def draw_beyond(dice: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {"depth": dice.choice([110, 130, 150]), "width": 16, "seed": dice.randrange(100)}
    body |= {"device": "cpu", "input": {"batch": 1, "tokens": 8}, "seeds": dice.choice([1, 1, 1, 3])}
    return body | dice.choice(BEYOND)


def specs(seed: int, *, seeds: bool = False, beyond: bool = False, edited: bool = False) -> Iterator[RunSpec]:
    """Random specs without end; those that are refused are passed over."""
    dice = random.Random(seed)
    while True:
        try:
            yield parse_spec(draw_beyond(dice) if beyond else draw(dice, seeds=seeds, edited=edited))
        except SpecErrors:
            continue


def compute(spec: RunSpec) -> Result:
    result = Result(keeps_frames=False)
    for frame in run(spec):
        result.add(frame)
    return result


def measure_with_seeds(spec: RunSpec) -> Run:
    """A run, and of several seeds each seed alone as well."""
    result = compute(spec)
    if spec.seeds == 1:
        return Run(spec, result, [result])
    alone = [{"seed": seed, "seeds": 1, "jacobian": 0} for seed in range(spec.seed, spec.seed + spec.seeds)]
    return Run(spec, result, [compute(spec.model_copy(update=update)) for update in alone])


def left_range(result: Result) -> bool:
    flags = {
        flag for key in ("act_rms", "grad_rms", "composite_gain_fwd") for flag in result.status.get(key, {}).values()
    }
    return bool(flags)


class Reading:
    """Sentences that were read, by template, and those that are false."""

    def __init__(self) -> None:
        self.seen: Counter[Template] = Counter()
        self.false: list[str] = []
        self.runs = self.headlines = 0

    def read(self, item: Run) -> None:
        self.runs += 1
        for finding in item.result.summary.findings:
            try:
                self.seen[read_sentence(item, finding.key, finding.text)] += 1
            except FalseSentence as fault:
                self.false.append(f"{finding.text}\n    {fault}\n    {item.spec.model_dump_json()}")
        try:
            read_headline(item, item.result.summary.headline.text)
            self.headlines += 1
        except FalseSentence as fault:
            self.false.append(f"{item.result.summary.headline.text}\n    {fault}\n    {item.spec.model_dump_json()}")

    def report(self) -> str:
        lines = [
            f"{self.runs} runs, {self.seen.total()} sentences and {self.headlines} headlines, false: {len(self.false)}"
        ]
        lines += [f"{count:6} {template.key}: {template.pattern[:70]}" for template, count in self.seen.most_common()]
        return "\n".join(lines + self.false)


def read_runs(source: Iterator[RunSpec], count: int, *, beyond: bool = False) -> Reading:
    reading = Reading()
    while reading.runs < count:
        item = measure_with_seeds(next(source))
        if not beyond or left_range(item.result):
            reading.read(item)
    return reading


@pytest.mark.parametrize("kind", [{}, {"seeds": True}, {"beyond": True}, {"edited": True}])
def test_the_reader_finds_what_is_changed_in_a_sentence(kind: dict[str, bool]) -> None:
    """Each number of each sentence, made another one: the reader must call all of them false."""
    source, changed = specs(3, **kind), 0
    for _ in range(3):
        item = measure_with_seeds(next(source))
        for finding in item.result.summary.findings:
            body = finding.text.removeprefix(f"Seed {item.spec.seed}: ")
            for match in re.finditer(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)", body):
                if body[match.end() :].startswith("×10⁻¹"):
                    continue  # rounding of float64, which the reader does not recompute
                other = change(match[0])
                text = body[: match.start()] + other + body[match.end() :]
                prefix = finding.text.removesuffix(body)
                assert is_false(item, finding.key, prefix + text), f"{match[0]} made {other}: {finding.text}"
                changed += 1
    assert changed > 20


def is_false(item: Run, key: str, text: str) -> bool:
    try:
        read_sentence(item, key, text)
    except FalseSentence:
        return True
    return False


def change(number: str) -> str:
    """Another number of the same form, larger by a fifth and one."""
    decimals = len(number.partition(".")[2])
    return f"{float(number) * 1.2 + 1:.{decimals}f}"


SAMPLES = [
    pytest.param(10, 30, {}, id="one seed"),
    pytest.param(20, 12, {"seeds": True}, id="several seeds"),
    pytest.param(38, 6, {"beyond": True}, id="beyond"),
    pytest.param(40, 30, {"edited": True}, id="edited"),
    pytest.param(42, 8, {"edited": True, "seeds": True}, id="edited, several seeds"),
]


@pytest.mark.parametrize(("seed", "count", "kind"), SAMPLES)
def test_every_sentence_says_what_the_columns_say(seed: int, count: int, kind: dict[str, bool]) -> None:
    reading = read_runs(specs(seed, **kind), count, beyond=kind.get("beyond", False))
    assert not reading.false, reading.report()
    assert reading.seen.total() > 2 * count
