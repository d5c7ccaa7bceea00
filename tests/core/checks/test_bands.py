"""Bands over seeds, held against numpy's percentiles over as many independent runs."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.cost.estimates import estimate
from mhc_core.measure import seeds
from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.result import Result
from mhc_core.record.summary import Headline
from mhc_core.spec import RunSpec, parse_spec
from tests.core.conftest import CONNECTIONS, build_spec, collect, measure, require

LEVELS = {"min": 0, "p05": 5, "p50": 50, "p95": 95, "max": 100}
SEEDS = 6
BOTTOM = 1e9


def seeded(seed: int, **fields: Any) -> RunSpec:
    return build_spec(seed=seed, **fields)


def independent(key: str, **fields: Any) -> np.ndarray:
    """The column of `SEEDS` single runs, (k, L), in log10 where the metric has it; a true zero is 1 in 10^BOTTOM."""
    results = [measure(seeded(3 + k, **fields)) for k in range(SEEDS)]
    values = np.stack([result.layers[key] for result in results]).astype(float)
    if METRICS[key].scale == "linear":
        return values
    logs = np.stack([result.layers_log10[key] for result in results]).astype(float)
    return np.where(values == 0, -BOTTOM, logs)


def banded(**fields: Any) -> Result:
    return collect(list(run(seeded(3, seeds=SEEDS, **fields))))


def worst_difference(result: Result, without: tuple[str, ...] = (), **fields: Any) -> float:
    single = measure(seeded(3, **fields))
    assert result.bands.keys() == {key for key in single.layers if METRICS[key].shape == "L"}
    worst = 0.0
    for key, band in result.bands.items():
        if key in without:
            continue
        wanted = np.percentile(independent(key, **fields), list(LEVELS.values()), axis=0)
        for name, column in zip(LEVELS, wanted, strict=True):
            column = np.where(column < -BOTTOM / 1000, np.nan, column)  # at or next to a zero
            np.testing.assert_array_equal(np.isnan(band[name]), np.isnan(column), err_msg=f"{key} {name}")
            worst = max(worst, float(np.nanmax(np.abs(band[name] - column) / np.maximum(1, np.abs(column)), initial=0)))
    return worst


@pytest.mark.sample(25, "values")
@pytest.mark.parametrize("block", ["mlp", "transformer"])
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_bands_are_the_percentiles_of_independent_runs(connection: dict[str, Any], block: str) -> None:
    fields: dict[str, Any] = {"connection": connection, "block": {"kind": block}}
    result = banded(**fields)
    assert worst_difference(result, **fields) < 1e-10
    seeds = require(result.seeds)
    assert seeds.first == 3
    assert seeds.seeds == SEEDS
    assert set(seeds.lost) <= {"mixing_grad_share"}  # it has no value where there is no signal to share


@pytest.mark.sample("values")
@pytest.mark.parametrize("block", ["conv", "pair"])
@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
def test_every_block_and_input_has_bands(kind: str, block: str) -> None:
    fields: dict[str, Any] = {"block": {"kind": block}, "input": {"kind": kind, "tokens": 4}}
    assert worst_difference(banded(**fields), **fields) < 1e-10


def test_the_first_seed_is_the_run_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is live at once: what comes before the bands are the frames of a single run."""
    single, many = list(run(seeded(3))), list(run(seeded(3, seeds=3)))
    assert [frame.type for frame in many[: len(single) - 1]] == [frame.type for frame in single[:-1]]
    np.testing.assert_array_equal(collect(many).layers["act_rms"], collect(single).layers["act_rms"])
    built: list[int] = []
    build = seeds.build_stack

    def count(spec: RunSpec) -> Any:
        built.append(spec.seed)
        return build(spec)

    monkeypatch.setattr(seeds, "build_stack", count)
    list(run(seeded(3, seeds=3)))
    assert built == [4, 5]


def test_progress_rises_to_one() -> None:
    frames = list(run(seeded(0, seeds=SEEDS, depth=24)))  # more passes than frames are due
    done = [frame.done for frame in frames if frame.type == "progress"]
    assert done == sorted(done)
    assert done[-1] == 1
    assert 20 < len(done) <= 100
    assert max(np.diff(done)) < 0.1, "a cancel is looked for at every frame"
    kinds = [frame.type for frame in frames]
    assert kinds.index("mixing") < kinds.index("progress") < kinds.index("bands") < kinds.index("summary")


@cache
def hc_blow_up() -> tuple[RunSpec, Result]:
    spec = build_spec(depth=64, seeds=7, dtype="float32", connection={"kind": "hc", "noise": 8.0})
    return spec, collect(list(run(spec)))


@pytest.mark.full
def test_overflow_of_some_seeds_is_still_ordered() -> None:
    """Activations leave float32 in some seeds: they rank above all others, and the composite gain goes on."""
    spec, result = hc_blow_up()
    lost = require(result.seeds).lost["act_rms"]
    some = [layer for layer, count in lost.items() if 0 < count < 4]
    assert some, "the case must have layers at which a minority of seeds is lost"
    band = result.bands["act_rms"]
    for layer in some:
        assert np.isnan(band["max"][layer])
        assert np.isfinite(band["p50"][layer])
    singles = [measure(spec.model_copy(update={"seed": spec.seed + k, "seeds": 1})) for k in range(7)]
    layer = some[0]
    logs = sorted(value for value in (s.layers_log10["act_rms"][layer] for s in singles) if np.isfinite(value))
    assert band["p50"][layer] == pytest.approx(logs[3], abs=1e-4)
    assert band["min"][layer] == pytest.approx(logs[0], abs=1e-4)
    gain = result.bands["composite_gain_fwd"]
    assert all(np.isfinite(column).all() for column in gain.values())


@pytest.mark.full
def test_largest_gains_are_those_of_each_seed() -> None:
    spec, result = hc_blow_up()
    singles = [measure(spec.model_copy(update={"seed": spec.seed + k, "seeds": 1})) for k in range(7)]
    for key in ("composite_gain_fwd", "composite_gain_bwd"):
        wanted = [np.nanmax(single.layers_log10[key]) for single in singles]
        np.testing.assert_allclose(require(result.seeds).largest[key], wanted, rtol=1e-6)


def test_zeros_rank_below_every_number() -> None:
    def column(values: list[float], status: dict[int, str]) -> Result:
        result = Result()
        result.layers["act_rms"] = np.array(values)
        with np.errstate(divide="ignore"):
            logs = np.log10(np.array(values))
        result.layers_log10["act_rms"] = np.where(np.isfinite(logs), logs, np.nan)
        result.layers["token_cos"] = np.array(values)
        result.status = {"act_rms": status, "token_cos": status}
        for key in (*seeds.LARGEST, "grad_rms"):
            result.layers[key] = result.layers_log10[key] = np.zeros(len(values))
        return result

    results = [
        column([0.0, 1.0, np.nan], {2: "overflow"}),
        column([10.0, 10.0, 10.0], {}),
        column([100.0, np.nan, 0.0], {1: "nan"}),
    ]
    frame = seeds.build_bands_frame(0, results)
    band = frame.bands["act_rms"]
    np.testing.assert_array_equal(band["p50"], [1, 1, 1])
    np.testing.assert_array_equal(band["min"], [np.nan, 0, np.nan])
    np.testing.assert_array_equal(band["max"], [2, np.nan, np.nan])
    assert frame.lost == {"act_rms": {1: 1, 2: 1}, "token_cos": {1: 1, 2: 1}}
    # A cosine that is lost has no rank: the percentiles are those of the others.
    np.testing.assert_array_equal(frame.bands["token_cos"]["p50"], [10, 5.5, 5])


@pytest.mark.full
def test_the_growth_of_the_gradient_is_the_median_of_each_seeds_own() -> None:
    """The ratio of the medians at both ends is another number: here 9.75 in place of 13.9."""
    fields: dict[str, Any] = {"depth": 100, "width": 16, "connection": {"kind": "hc", "noise": 0.4, "streams": 2}}
    spec = parse_spec({**fields, "seed": 0, "seeds": 5})
    result = collect(list(run(spec)))
    singles = [measure(spec.model_copy(update={"seed": seed, "seeds": 1})) for seed in range(5)]
    ends = np.array([single.layers["grad_rms"][[0, -1]] for single in singles])
    median, of_medians = np.median(ends[:, 0] / ends[:, 1]), np.divide(*np.median(ends, axis=0))
    assert (round(median, 1), round(of_medians, 2)) == (13.9, 9.75)
    found = next(item for item in result.summary.findings if item.key == "gradient")
    assert found.text == (
        "The gradient is 13.9 times larger at the first layer than at the last in the median of 5 seeds."
    )
    np.testing.assert_allclose(
        require(require(result.seeds).gradient_growth), np.log10(ends[:, 0] / ends[:, 1]), atol=1e-6
    )


@pytest.mark.full
def test_a_gain_that_overflow_leaves_unknown_is_not_ranked() -> None:
    """Dynamic mixing is not known after an overflow of the state: its gain is not beyond all numbers, and no median."""
    fields: dict[str, Any] = {"depth": 200, "width": 16, "seed": 0, "input": {"batch": 1, "tokens": 8}}
    dynamic = parse_spec({**fields, "connection": {"kind": "hc", "noise": 1.0, "dynamic": True}})
    static = parse_spec({**fields, "connection": {"kind": "hc", "noise": 1.0}})
    texts = {}
    for name, spec in (("one", dynamic), ("seeds", dynamic.model_copy(update={"seeds": 2}))):
        result = collect(list(run(spec)))
        texts[name] = result.summary.findings[0].text, result.summary.headline
    assert np.isnan(require(result.seeds).largest["composite_gain_fwd"]).all()
    assert texts["one"][0] == (
        "The product of up to 200 unconstrained mixing matrices, averaged over tokens, amplifies up to ×6.3×10³⁶ "
        "forward within 127 layers; then float32 overflows, and later mixing is unknown."
    )
    assert texts["one"][1] == Headline(label="gain", value=None, log10=None, text="gain ×6.3×10³⁶ within 127 layers")
    assert texts["seeds"][0] == (
        "The product of up to 200 unconstrained mixing matrices, averaged over tokens, has no known gain: float32 "
        "overflows with each of 2 seeds."
    )
    assert texts["seeds"][1].text == "gain unknown"
    assert "amplifies up to ×2.2×10⁵⁷ forward and ×1.2×10⁵⁹ backward" in measure(static).summary.findings[0].text


def test_a_median_over_seeds_is_told() -> None:
    spec = build_spec(depth=24, seeds=8, connection={"kind": "hc"})
    result = collect(list(run(spec)))
    found = next(item for item in result.summary.findings if item.key == "connection")
    for side in ("fwd", "bwd"):
        logs = require(result.seeds).largest[f"composite_gain_{side}"]
        assert found.numbers[f"gain_{side}_log10"] == pytest.approx(np.percentile(logs, 50))
        assert found.numbers[f"gain_{side}_log10_p95"] == pytest.approx(np.percentile(logs, 95))
        assert f"{10 ** np.percentile(logs, 50):.3g}" in found.text
    assert "medians of 8 seeds" in found.text
    assert result.summary.headline.text.endswith(" (median of 8 seeds)")


@pytest.mark.parametrize("connection", [{"kind": "hc"}, {"kind": "mhc"}, {"kind": "mhc", "dynamic": True}])
def test_seeds_cost_more_and_the_default_is_admitted(connection: dict[str, Any]) -> None:
    one, many = (estimate(parse_spec({"seeds": k, "connection": connection})) for k in (1, 32))
    for key in ("flops", "bytes_moved", "seconds"):
        assert getattr(many, key) > getattr(one, key)
    assert many.peak_bytes == one.peak_bytes, "one stack after the other"
    assert many.flops > 20 * one.flops
    assert many.parameters == one.parameters
    assert many.seconds < 60
    assert many.peak_bytes < 4 * 2**30


def test_a_run_of_one_seed_has_no_bands() -> None:
    frames = list(run(seeded(0)))
    assert not {"bands", "progress"} & {frame.type for frame in frames}
    assert collect(frames).bands == {}


def test_bands_survive_their_line() -> None:
    _, result = hc_blow_up()
    frame = require(result.seeds)
    again = Result()
    again.add(decode_line(encode_frame(frame, "id", 0)))
    assert require(again.seeds).lost == require(result.seeds).lost
    for key, band in result.bands.items():
        for name, column in band.items():
            np.testing.assert_array_equal(again.bands[key][name], column)


def test_torch_is_left_as_it_was() -> None:
    before = torch.get_rng_state()
    list(run(seeded(0, seeds=3)))
    assert torch.equal(before, torch.get_rng_state())
