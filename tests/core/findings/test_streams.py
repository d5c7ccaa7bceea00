"""What is said of streams: each sentence of a run for which it holds, and silence on one for which it does not."""

import re
from typing import Any

import numpy as np
import pytest

from mhc_core.findings.numerals import format_value
from mhc_core.findings.streams import describe_ignored_streams
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec
from tests.core import measures
from tests.core.conftest import build_spec, measure, require

SYMMETRIC: dict[str, Any] = {"train": {"steps": 6, "lr": 0.05}}
LITE = {"init": "megatron", "dynamic": True}
SPECS: dict[str, RunSpec] = {
    "default": build_spec(),
    "drift": build_spec(depth=64, connection={"kind": "hc"}),
    "one stream": build_spec(connection={"kind": "residual"}),
    "shallow": build_spec(depth=2, connection={"kind": "hc", "noise": 0.0}),
    "every stream read": build_spec(depth=4, connection={"kind": "hc", "noise": 0.0}),
    "uniform": build_spec(depth=8, connection={"init": "megatron"}),
    "uniform, dynamic": build_spec(depth=8, connection=LITE),
    "slowly uniform": build_spec(depth=12, connection={"init": "lucidrains"}),
    "trained, no signal": build_spec(**SYMMETRIC),
    "trained, dynamic": build_spec(connection={"init": "mhc_lite", "dynamic": True}, **SYMMETRIC),
    "trained, free": build_spec(connection={"kind": "hc"}, **SYMMETRIC),
    "trained in vain": build_spec(connection={"init": "mhc_lite"}, train={"steps": 3, "lr": 1e-6}),
    "bfloat16": build_spec(dtype="float32", connection={**LITE, "mapping_dtype": "bfloat16"}),
    "bfloat16, static": build_spec(dtype="float32", connection={"mapping_dtype": "bfloat16"}),
    "bfloat16 without rounds": build_spec(connection={"mapping_dtype": "bfloat16", "sinkhorn_iters": 0}),
    "bfloat16, no mixing": build_spec(connection={"kind": "identity_hc", "mapping_dtype": "bfloat16"}),
    "overflow": build_spec(depth=120, dtype="float32", connection={"kind": "hc", "noise": 3.0}),
}
SAID = {
    "drift": {"dominant"},
    "overflow": {"dominant"},
    "shallow": {"ignored"},
    "uniform": {"uniform"},
    "uniform, dynamic": {"uniform"},
    "slowly uniform": {"uniform"},
    "trained, no signal": {"unlearned"},
    "trained, dynamic": {"unlearned"},
    "bfloat16": {"uniform", "mapping"},
    "bfloat16, static": {"mapping"},
}
KEYS = {"dominant", "ignored", "uniform", "unlearned", "mapping"}

MeasuredRun = tuple[RunSpec, Result, dict[str, Finding]]


def find(result: Result) -> dict[str, Finding]:
    return {finding.key: finding for finding in result.summary.findings if finding.key in KEYS}


@pytest.fixture(params=SPECS)
def measured(request: pytest.FixtureRequest) -> MeasuredRun:
    spec = SPECS[request.param]
    result = measure(spec)
    return spec, result, find(result)


@pytest.mark.parametrize("name", SPECS)
def test_what_is_said_of_which_run(name: str) -> None:
    assert set(find(measure(SPECS[name]))) == SAID.get(name, set())


def test_every_number_of_a_sentence_stands_in_it(measured: MeasuredRun) -> None:
    _, _, findings = measured
    for key, finding in findings.items():
        assert finding.text.endswith(".")
        numbers = finding.numbers
        percent = {f"{format_value(100 * value, digits=3)} %" for value in map(float, filter(None, numbers.values()))}
        plain = {format_value(float(value), digits=3) for value in numbers.values() if value is not None}
        wanted = {"dominant": 1, "ignored": 0, "uniform": 1, "unlearned": 1, "mapping": 2}[key]
        said = {
            text
            for text in percent | plain
            if re.search(rf"(?<![\d.]){re.escape(text)}(?![\d⁰¹²³⁴⁵⁶⁷⁸⁹⁻])", finding.text)
        }
        assert len(said) >= wanted, (finding.text, numbers)
        for counted in {"layer", "stream"} & numbers.keys():
            number = numbers[counted]
            assert isinstance(number, int)
            assert f"{counted} {number + 1}" in finding.text.lower(), "people count from 1"


def test_a_stream_dominates_where_it_holds_most(measured: MeasuredRun) -> None:
    _, result, findings = measured
    if "dominant" not in findings:
        return
    numbers = findings["dominant"].numbers
    layer, stream = numbers["layer"], numbers["stream"]
    assert isinstance(layer, int)
    squares = result.layers["act_rms_streams"][layer].astype(np.float64) ** 2
    assert numbers["share"] == pytest.approx(squares.max() / squares.sum(), rel=1e-6)
    assert squares.argmax() == stream
    assert require(numbers["share"]) >= 0.625  # halfway from 1/4 to 1
    assert np.isnan(result.layers["act_share_max"][layer + 1 :]).all()


def test_mixing_is_called_uniform_where_its_product_is(measured: MeasuredRun) -> None:
    spec, result, findings = measured
    if spec.streams == 1 or not np.isfinite(result.matrices["h_res"]).all():
        return
    total = measures.product(result.matrices["h_res"].astype(np.float64), 0, spec.depth - 1)
    deviation = abs(4 * total - 1).max()
    # Differences shrink with every layer here, and where they are gone in doubly stochastic mixing the product is J/n.
    if "uniform" in findings:
        numbers = findings["uniform"].numbers
        layer = numbers["layer"]
        assert isinstance(layer, int)
        assert numbers["deviation"] == pytest.approx(deviation, rel=1e-5, abs=1e-14)
        assert deviation < 0.05
        kept = result.layers["composite_sigma2"]
        assert (kept[layer:] < 0.01).all()
        assert layer == 0 or kept[layer - 1] >= 0.01
    else:
        assert deviation > 0.05


@pytest.mark.parametrize(("kind", "few"), [("go_mhc", True), ("orthogonal", False), ("residual", False)])
def test_few_streams_in_use_are_counted(kind: str, few: bool) -> None:
    connection = {"kind": kind} if kind == "residual" else {"kind": kind, "init": "mhc_lite"}
    result = measure(build_spec(depth=24, connection=connection))
    found = [finding for finding in result.summary.findings if finding.key == "unused"]
    assert len(found) == few
    if few:
        used = result.layers["kernel_rank"]
        numbers = found[0].numbers
        assert numbers == {"used": used.max(), "layer": used.argmax(), "streams": 4}
        assert f"at most {format_value(used.max(), digits=3)} of 4 streams" in found[0].text
        assert f"largest at layer {used.argmax() + 1})" in found[0].text


def test_mixing_is_called_unlearned_where_training_left_it(measured: MeasuredRun) -> None:
    spec, result, findings = measured
    if not spec.train.steps or spec.streams == 1:
        return
    untrained = measure(spec.model_copy(update={"train": RunSpec().train}))
    moved = abs(result.matrices["h_res"] - untrained.matrices["h_res"]).max()
    if "unlearned" in findings:
        numbers = findings["unlearned"].numbers
        assert moved < 1e-3
        if not spec.connection.is_dynamic:  # else the steps read other batches than the measurement
            assert numbers["moved"] == pytest.approx(moved, rel=1e-5, abs=1e-9)
        assert numbers["loss"] == result.loss < 0.99 * untrained.loss
        assert numbers["loss_untrained"] == untrained.loss
        assert f"in {spec.train.steps} steps" in findings["unlearned"].text
    else:
        assert moved > 1e-3 or result.loss > 0.99 * untrained.loss


def test_what_bfloat16_leaves_is_that_of_the_columns(measured: MeasuredRun) -> None:
    _, result, findings = measured
    if "mapping" not in findings:
        return
    numbers, layers = findings["mapping"].numbers, result.layers
    worst = layers.get("ds_error_tokens", layers["ds_error"])
    assert numbers == {"ds_error": worst.max(), "ds_error_float32": layers["ds_error_float32"].max()}
    assert worst.max() > 1e-4


def read(result: Result, **matrices: np.ndarray) -> Finding | None:
    """The sentence on reads, with other coefficients in the place of a run's."""
    changed = Result(result.depth)
    changed._start = result._start
    changed.matrices = {key: value for key, value in result.matrices.items() if not key.startswith("h_")} | matrices
    return describe_ignored_streams(changed)


def test_streams_that_no_layer_reads_are_named() -> None:
    finding = find(measure(SPECS["shallow"]))["ignored"]
    assert finding.text == "No layer reads streams 3 and 4."
    assert finding.numbers == {"share_largest": 0.0, "ignored": 2}
    h_pre = np.array([[1.0, 1.0, 0.02, 1.0], [1.0, -1.0, -0.04, 1.0]])
    hardly = require(read(measure(SPECS["shallow"]), h_pre=h_pre))
    share = 0.04 / 3.04
    assert hardly.numbers["share_largest"] == pytest.approx(share)
    assert hardly.text == (
        "Layers hardly read stream 3: at most 1.32 % of any layer's read weights (even share: 25 %)."
    )


def test_a_stream_that_one_layer_or_some_tokens_read_is_not_ignored() -> None:
    result = measure(SPECS["shallow"])
    h_pre = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert read(result, h_pre=h_pre) is None
    means, spread = np.array([[1.0, 1.0, 0.0, 1.0]] * 2), np.array([[0.0, 0.0, 0.5, 0.0]] * 2)
    assert read(result, h_pre=means) is not None
    assert read(result, h_pre=means, h_pre_std=spread, h_res_std=np.zeros((2, 4, 4))) is None


def test_a_part_of_the_width_that_is_not_read_is_named() -> None:
    result = measure(SPECS["shallow"])
    reading = np.eye(4)[None].repeat(2, 0)
    assert read(result, h_read=reading) is None
    reading[:, :, 1] = 0.0  # column 1: nothing that is read is made of it
    assert require(read(result, h_read=reading)).text == "No layer reads stream 2."
