"""One thing has one number: what is shown twice is the same, and every sentence agrees with the numbers of its run.

Random settings, presets and drags are applied to the page. After each, all numbers of a run that are on the page are
compared with the run's own record, which is read from the server: in the table of results, in the description of the
picture, in the sentence of the story, above the four charts and in the findings.

A number that is a metric of a run should be marked where it is shown, so that a new place is compared without a change
here:

    <td data-run="1" data-metric="forward" data-value="2.8976">×790</td>

`data-run` is the place of the run from 0, `data-metric` one of `METRICS`, `data-value` the log10 of the number with all
digits (of `loss` the number itself). The canvas of the picture has no elements: its gains are read from `aria-label`.
"""

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Request

from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.presets import BY_NAME
from tests.browser.conftest import OpenPage, read_result, wait_until_done
from tests.conftest import Server

pytestmark = pytest.mark.full

STATES = int(os.environ.get("STATES", "16"))  # before a release: 500
LIMIT_S = 1800.0
KINDS = ("residual", "hc", "mhc", "mhc_lite", "orthostochastic", "identity_hc", "none")
NUMBER = r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:×10⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)"
DIGITS = {sign: str(value) for value, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {"⁻": "-"}
ONE = 0.005  # what is called 1 differs from it by less

# Everything that the page shows of its runs, read at one moment.
READ = """() => {
    const text = (selector) => document.querySelector(selector)?.innerText ?? '';
    const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
    const isOld = (element) => element.closest('.stale, [data-waits]') !== null;
    return {
        phase: document.querySelector('.topbar .status')?.dataset.phase,
        foot: document.querySelector('.only-print')?.textContent ?? '',
        headline: text('#headline'),
        isPreset: document.querySelector('.preset-banner') !== null,
        sentence: text('.step-text'),
        picture: document.querySelector('.picture-box')?.getAttribute('aria-label') ?? '',
        heads: all('.results-table thead th', (cell) => cell.firstChild?.textContent.trim() ?? ''),
        rows: all('.results-table tbody tr:not(.findings)', (row) => ({
            isOld: isOld(row),
            cells: [...row.cells].map((cell) => cell.innerText.trim()),
        })),
        values: all('.strip .chart', (chart) => ({
            panel: chart.dataset.panel,
            isOld: chart.querySelector('[data-waits]') !== null,
            place: chart.querySelector('.at-cursor')?.innerText.match(/^at (\\d+)/)?.[1] ?? null,
            parts: [...chart.querySelectorAll('.at-cursor b')]
                .map((part) => [Number(part.dataset.run), part.innerText]),
        })),
        findings: all('.results-table .findings', (part) => part.textContent),
        marked: all('[data-run][data-metric][data-value]', (element) => ({
            ...element.dataset, text: element.innerText, isOld: isOld(element),
        })),
    };
}"""

# The same in the next frame: observers of sizes are called when all of a frame is drawn.
READ_FRAME = f"""() => new Promise((done) => requestAnimationFrame(() => {{
    const observer = new ResizeObserver(() => {{
        observer.disconnect();
        done(({READ})());
    }});
    observer.observe(document.body);
}}))"""


@dataclass
class Record:
    """A run and what its own record says."""

    spec: RunSpec
    result: Result

    def logs(self, key: str) -> np.ndarray:
        """A metric at every layer, as log10: -inf of zero, NaN where it is not known, such as gains without mixing."""
        if key not in self.result.layers:
            return np.full(self.spec.depth, np.nan)
        is_zero = np.asarray(self.result.layers[key], dtype=float) == 0
        return np.where(is_zero, -np.inf, np.asarray(self.result.layers_log10[key], dtype=float))

    @property
    def forward(self) -> float | None:
        """The largest gain over the layers, log10; None where a layer's is not known."""
        return _largest(self.logs("composite_gain_fwd"))

    @property
    def backward(self) -> float | None:
        """The same of the gradient."""
        return _largest(self.logs("composite_gain_bwd"))

    @property
    def layer(self) -> float | None:
        """The largest gain of one layer, log10."""
        return _largest(self.logs("gain_fwd"))

    @property
    def activation(self) -> float | None:
        """At the last layer, log10."""
        return _known(self.logs("act_rms")[-1])

    @property
    def gradient(self) -> float | None:
        """At the first layer, divided by that at the last; log10."""
        logs = self.logs("grad_rms")
        return _known(logs[0] - logs[-1])


# Defined once for the page in `static/js/derived/measure.js`.
METRICS: dict[str, Callable[[Record], float | None]] = {
    "forward": lambda record: record.forward,
    "backward": lambda record: record.backward,
    "activation": lambda record: record.activation,
    "gradient": lambda record: record.gradient,
    "loss": lambda record: record.result.loss,
}
COLUMNS = {
    "Gain, forward": "forward",
    "Gain, backward": "backward",
    "Activation": "activation",
    "Gradient": "gradient",
}
CHARTS = {
    "gain": "composite_gain_fwd",
    "gain_bwd": "composite_gain_bwd",
    "activation": "act_rms",
    "gradient": "grad_rms",
}


def _largest(logs: np.ndarray) -> float | None:
    return None if np.isnan(logs).any() else float(logs.max())


def _known(log10: float) -> float | None:
    return float(log10) if np.isfinite(log10) else None


def parse(text: str) -> tuple[float, float]:
    """A number as the page writes it, as log10, and by how much the digits that are left out may change that."""
    mantissa, _, power = text.replace(",", "").partition("×10")
    exponent = int("".join(DIGITS[sign] for sign in power)) if power else 0
    value = float(mantissa)
    assert value > 0, text  # a gain of 0 is written as 0, and compared before
    significant = len(mantissa.replace(".", "").lstrip("0"))
    digits = min(significant, 3) if "," in text else significant
    half = 0.5 * 10.0 ** (np.floor(np.log10(value)) - digits + 1)
    return np.log10(value) + exponent, 1.02 * np.log10((value + half) / value) + 1e-9


def agrees(text: str, log10: float | None) -> bool:
    """Whether a number that is shown is this one, in the digits that are shown."""
    if log10 is None:
        return re.search(r"\d", text) is None  # a word instead
    match = re.search(NUMBER, text)
    if match is None:
        return False
    if log10 == -np.inf:
        return match[1] == "0"
    shown, slack = parse(match[1])
    return bool(abs(shown - log10) <= slack)


# What the story says, the runs and metrics of its numbers in their order, and what must hold for the sentence.
Claim = Callable[[dict[str, Record]], bool]
SENTENCES: list[tuple[str, list[tuple[str, str]], Claim]] = [
    (
        rf"\(HC\) amplify a shared signal up to ×{NUMBER}",
        [("hc", "forward")],
        lambda runs: _amplifies(runs["hc"]),
    ),
    (
        rf"\(HC\) do not amplify here: gain at most ×{NUMBER}",
        [("hc", "forward")],
        lambda runs: not _amplifies(runs["hc"]),
    ),
    (
        rf"\(mHC\) (?:have a gain of )?×{NUMBER}\. Press",
        [("mhc", "forward")],
        lambda runs: _is_doubly_stochastic(runs["mhc"]),
    ),
    (
        rf"\(mHC\) (?:have a gain of )?×{NUMBER} forward, ×{NUMBER} backward",
        [("mhc", "forward"), ("mhc", "backward")],
        lambda runs: True,
    ),
    (
        rf"Over \d+ layers? HC reaches ×{NUMBER} here",
        [("hc", "forward")],
        lambda runs: _amplifies(runs["hc"]),
    ),
    (
        rf"one layer reaches ×{NUMBER}, layers 1 to \d+ together ×{NUMBER}",
        [("hc", "layer"), ("hc", "forward")],
        lambda runs: _amplifies(runs["hc"]) and (runs["hc"].layer or 0) < (runs["hc"].forward or 0),
    ),
    (
        rf"HC stays at or below ×{NUMBER} here",
        [("hc", "forward")],
        lambda runs: not _amplifies(runs["hc"]),
    ),
    (
        rf"only average streams: .* So gain stays ×{NUMBER}",
        [("mhc", "forward")],
        lambda runs: _is_doubly_stochastic(runs["mhc"]),
    ),
    (rf", HC ×{NUMBER}", [("hc", "forward")], lambda runs: True),
    (
        rf"not reached here: gain ×{NUMBER} forward, ×{NUMBER} backward",
        [("mhc", "forward"), ("mhc", "backward")],
        lambda runs: not _is_doubly_stochastic(runs["mhc"]),
    ),
    (rf"Its gain is ×{NUMBER} now", [("hc", "forward")], lambda runs: True),
]
GAINS = re.compile(rf"×{NUMBER}")
# The same numbers in the words of the findings, in the order forward, backward.
FOUND = re.compile(rf"(?:amplifies|has a gain of) up to ×{NUMBER} forward and ×{NUMBER} backward")


def _amplifies(record: Record) -> bool:
    return record.forward is not None and record.forward >= np.log10(1 + ONE) - 1e-9


def _is_doubly_stochastic(record: Record) -> bool:
    matrices = np.asarray(record.result.matrices["h_res"], dtype=float)
    sums = [np.abs(matrices.sum(axis) - 1).max() for axis in (1, 2)]
    return max(sums) <= ONE


@dataclass
class Checker:
    """Compares the page with the records of its runs."""

    page: Page
    server: Server
    records: dict[str, Result] = field(default_factory=dict)
    asked: list[list[dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._on_request)

    def _on_request(self, request: Request) -> None:
        if "/runs/compare" in request.url and request.post_data:
            self.asked.append(json.loads(request.post_data))

    def read_records(self, foot: str) -> list[Record]:
        """Those of the shown runs, whose ids the foot of the printed page names; others were asked for ahead."""
        specs = {spec.id[:8]: spec for asked in self.asked for spec in map(parse_spec, asked)}
        shown = [specs[name] for name in foot.rpartition(" runs ")[2].split(", ")]
        for spec in shown:
            if spec.id not in self.records:
                self.records[spec.id] = read_result(self.server, spec)
        return [Record(spec, self.records[spec.id]) for spec in shown]

    def check(self) -> list[str]:
        """What on the page disagrees with the records."""
        wait_until_done(self.page)
        closed = self.page.locator(".results-table th button[aria-expanded=false]")
        closed.evaluate_all("buttons => buttons.forEach((button) => button.click())")
        shown = self.page.evaluate(READ)
        records = self.read_records(shown["foot"])
        faults = [f"{len(shown['rows'])} rows for {len(records)} runs"] if len(shown["rows"]) != len(records) else []
        for found in (
            _check_results(shown, records),
            _check_picture(shown, records),
            _check_story(shown, records),
            _check_values(shown, records),
            _check_findings(shown, records),
            _check_marked(shown, records),
        ):
            faults += found
        return faults


Shown = dict[str, Any]


def _check_results(shown: Shown, records: list[Record]) -> Iterator[str]:
    for head, key in COLUMNS.items():
        assert head in shown["heads"], f"the table has no column {head}: {shown['heads']}"
        column = shown["heads"].index(head)
        for row, record in zip(shown["rows"], records, strict=False):
            if not agrees(row["cells"][column], METRICS[key](record)):
                yield f"results, {head}: {row['cells']} for {METRICS[key](record)}"


def _check_picture(shown: Shown, records: list[Record]) -> Iterator[str]:
    parts = shown["picture"].split("gain of the mixing ×")
    # Nothing passes a layer of a plain network but through its branch: it has no mixing.
    known = [record for record in records if record.forward is not None and np.isfinite(record.forward)]
    if len(parts) - 1 != len(known):
        yield f"picture: {len(parts) - 1} gains for {len(known)} runs"
    for part, record in zip(parts[1:], known, strict=False):
        if not agrees(part, record.forward):
            yield f"picture: ×{part[:20]} for {record.forward}"


def _check_story(shown: Shown, records: list[Record]) -> Iterator[str]:
    sentence = shown["sentence"]
    runs: dict[str, Record] = {}
    for record in records:
        runs.setdefault(record.spec.connection.kind, record)
    known = 0
    for pattern, numbers, holds in SENTENCES:
        match = re.search(pattern, sentence)
        if match is None:
            continue
        known += len(numbers)
        for text, (kind, key) in zip(match.groups(), numbers, strict=True):
            if not agrees(text, METRICS[key](runs[kind])):
                yield f"story: {sentence} for {METRICS[key](runs[kind])}"
        if not holds(runs):
            yield f"story: {sentence} does not hold"
    if sentence.startswith("How much mixing amplifies"):
        kinds = {kind.replace("_", " "): record for kind, record in runs.items()}
        for kind, text in re.findall(rf"([a-z][a-z ]*) ×{NUMBER}", sentence):
            known += 1
            if not agrees(text, kinds[kind].forward):
                yield f"story: {sentence} for {kinds[kind].forward}"
    if known != len(GAINS.findall(sentence)):
        yield f"story: a number that no rule of this test knows: {sentence}"
    depths = {str(record.spec.depth) for record in records}
    if shown["isPreset"] and not shown["headline"]:
        return  # a preset has a title of its own
    if not depths & set(re.findall(r"\d+", shown["headline"])):
        yield f"headline: {shown['headline']} for {depths} layers"


def _check_values(shown: Shown, records: list[Record]) -> Iterator[str]:
    for chart in shown["values"]:
        key = CHARTS.get(chart["panel"])
        if key is None or chart["place"] is None or chart["isOld"]:  # drawn when it comes in sight
            continue
        for run, text in chart["parts"]:
            if run >= len(records):
                yield f"chart {chart['panel']}: a value of run {run + 1} of {len(records)}"
                continue
            logs = records[run].logs(key)
            layer = int(chart["place"]) - 1
            if layer < len(logs) and not agrees(text, _known(logs[layer])):
                yield f"chart {chart['panel']} at {chart['place']}: {text} for {logs[layer]}"


def _check_findings(shown: Shown, records: list[Record]) -> Iterator[str]:
    for text, record in zip(shown["findings"], records, strict=True):
        match = FOUND.search(text)
        for number, log10 in zip(match.groups() if match else (), (record.forward, record.backward), strict=False):
            if not agrees(number, log10):
                yield f"findings: {number} for {log10} in {text}"


def _check_marked(shown: Shown, records: list[Record]) -> Iterator[str]:
    for part in shown["marked"]:
        expected = METRICS[part["metric"]](records[int(part["run"])])
        value = float(part["value"].replace("Infinity", "inf"))
        if value == expected == -np.inf:
            continue
        if expected is None or abs(value - expected) > 1e-6 * max(1.0, abs(expected)):
            yield f"marked: {part} for {expected}"
        if part["metric"] != "loss" and not agrees(part["text"], value):
            yield f"marked: {part['text']} for its own {value}"


def choose_hash(chance: random.Random) -> str:
    """Settings within what the server computes in a moment."""
    kinds = chance.sample(KINDS, chance.randint(1, 4))
    settings = {
        "depth": chance.choice([1, 2, 3, 8, 16, 33, 64]),
        "seed": chance.randint(0, 5),
        "width": 16,
        "block.kind": "mlp",
        "connection.streams": chance.choice([1, 2, 4]),
        "connection.noise": chance.choice([0, 0.01, 0.1, 0.3, 0.5, 1, 3]),
        "connection.sinkhorn_iters": chance.choice([1, 3, 20]),
        "layer": 1,
    }
    pairs = "&".join(f"{path}={value}" for path, value in settings.items())
    return f"#v=1&runs={','.join(kinds)}&{pairs}"


def drag(page: Page, chance: random.Random) -> list[str]:
    """Move a slider by some steps, and say which gains differ between the table and the picture meanwhile."""
    slider = page.locator(f"#field-{chance.choice(['depth', 'connection-noise'])}")
    if slider.is_disabled():
        return []
    slider.focus()
    key = chance.choice(["ArrowLeft", "ArrowRight"])
    faults: list[str] = []
    for _ in range(chance.randint(2, 6)):
        page.keyboard.down(key)
        faults += _compare_frames(page)
    page.keyboard.up(key)
    return faults


def _compare_frames(page: Page) -> list[str]:
    """Gains that differ in each of three frames: the picture is drawn a frame after the table."""
    for _ in range(3):
        faults = list(_compare_gains(page.evaluate(READ_FRAME)))
        if not faults:
            break
    return faults


def _compare_gains(shown: Shown) -> Iterator[str]:
    """While dragging: of the rows that show new numbers, those whose gain the picture says otherwise."""
    pictured = dict(
        re.findall(rf"([A-Z] [^:;]*?): [^:;]*?gain of the mixing ×{NUMBER}", shown["picture"]),
    )
    column = shown["heads"].index("Gain, forward")
    for row in shown["rows"]:
        label, gain = row["cells"][0].split("\n")[0], re.search(NUMBER, row["cells"][column])
        said = next((value for name, value in pictured.items() if name.startswith(label)), None)
        if gain and said and not row["isOld"] and not agrees(said, parse(gain[1])[0]):
            yield f"while dragging: {label} is ×{gain[1]} in the table and ×{said} in the picture"


def run_states(page: Page, server: Server, count: int, presets: list[str]) -> tuple[int, list[str]]:
    """Apply so many states; how many were applied in time, and what disagreed."""
    chance, checker = random.Random(23), Checker(page, server)
    deadline = time.monotonic() + LIMIT_S
    faults: list[str] = []
    page.reload()
    for step in range(count):
        if time.monotonic() > deadline:
            return step, faults
        if presets and step % (count // len(presets)) == 0:
            where = f"/p/{presets[step // (count // len(presets)) % len(presets)]}"
            page.goto(server.url + where)
        elif step % 3 == 2:
            where = f"a drag in {page.url}"
            faults += [f"{where}: {fault}" for fault in drag(page, chance)]
        else:
            where = f"/{choose_hash(chance)}"
            page.evaluate("hash => { location.hash = hash; }", where[1:])
            page.wait_for_timeout(20)  # the page hears of its hash in a later task
        faults += [f"{where}: {fault}" for fault in checker.check()]
    return count, faults


# Those that train, or have many seeds, take longer, and their numbers are medians or of a step.
QUICK = [
    name for name, preset in BY_NAME.items() if all(spec.train.steps == 0 and spec.seeds == 1 for spec in preset.specs)
]


@pytest.mark.parametrize(
    ("text", "log10"), [("790", np.log10(790.4)), ("1.00", 0.002), ("13,000", np.log10(12960)), ("1.2×10¹²", 12.08)]
)
def test_the_comparison_reads_numbers(text: str, log10: float) -> None:
    assert agrees(text, log10)
    assert not agrees(text, log10 + 0.05)
    assert not agrees("–", log10)
    assert agrees("overflow", None)
    assert not agrees(text, None)


@pytest.mark.timeout(LIMIT_S + 120)
def test_many_states_show_one_number_for_one_thing(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&runs=hc&depth=4&width=16&block.kind=mlp")
    done, faults = run_states(page, server, STATES, QUICK[:: max(1, 80 // STATES)])
    assert done == STATES
    assert not faults, f"{len(faults)} differences:\n" + "\n".join(faults[:40])
