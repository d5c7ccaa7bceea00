"""What presets say, recomputed from their runs. `docs/claims.md` names these tests."""

import math
import re
from collections.abc import Callable
from functools import cache
from typing import get_args

import numpy as np
import pytest

from mhc_core.layers.inits import build_preset
from mhc_core.record.reduction import reduce_metric
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.spec.connection import InitPreset
from mhc_core.spec.train import TrainSpec
from mhc_scope.presets import PRESETS, Preset
from mhc_scope.presets.records import read_result
from tests import claims
from tests.core.conftest import measure, require

BY_NAME = {preset.name: preset for preset in PRESETS}


def get(name: str) -> Preset:
    return BY_NAME[name]


@cache
def read(name: str) -> dict[str, Result]:
    """Results of a preset's runs by label, from records; `test_a_record_is_that_of_a_new_run` computes them again."""
    return {label: read_result(spec.id) for label, spec in specs_of(name).items()}


def specs_of(name: str) -> dict[str, RunSpec]:
    return dict(zip(get(name).labels, get(name).specs, strict=True))


def largest(result: Result, key: str) -> float:
    return float(np.abs(result.layers[key]).max())


def off_one(result: Result, side: str) -> float:
    return float(np.abs(result.layers[f"h_res_{side}_sum"] - 1).max())


def same_but(first: RunSpec, second: RunSpec, *fields: str) -> bool:
    """Whether two specs differ in nothing else than these fields, as `connection.kind`."""
    plain = [spec.model_dump() for spec in (first, second)]
    for field in fields:
        *parts, leaf = field.split(".")
        for spec in plain:
            for part in parts:
                spec = spec[part]
            del spec[leaf]
    return plain[0] == plain[1]


def test_default_is_one_stack_joined_in_three_ways() -> None:
    specs = specs_of("default")
    assert {spec.depth for spec in specs.values()} == {64}
    assert specs["HC"].connection.noise == specs["mHC"].connection.noise == 0.3
    assert same_but(specs["HC"], specs["mHC"], "connection.kind")
    assert same_but(specs["HC"], specs["Residual"], "connection")


def test_hc_starts_as_the_residual_network_and_mhc_does_up_to_rounding() -> None:
    results = read("at_init")
    wanted = results["Residual"].layers["act_rms"]
    np.testing.assert_array_equal(results["HC"].layers["act_rms"], wanted)
    np.testing.assert_allclose(results["mHC"].layers["act_rms"], wanted, rtol=2e-6)


def test_a_cut_leaves_less_of_a_difference_at_the_end_than_behind_it() -> None:
    for result in read("cut_stream").values():
        effect = result.layers["effect_state"]
        assert not effect[:20].any()
        assert effect[20] == effect.max() > 1.2 * effect[-1]


def test_training_makes_the_weights_over_depth_uneven() -> None:
    specs, results = specs_of("depth_attention"), read("depth_attention")
    start, trained = (results[f"AttnRes, {when}"].matrices["unfolded"] for when in ("at the start", "trained"))
    for layer in range(24):
        np.testing.assert_allclose(start[layer, : layer + 1], 1 / (layer + 1), rtol=1e-6)
    assert trained[11, 0] == trained[11].max()
    np.testing.assert_allclose(trained.sum(1), 1, rtol=1e-6)
    assert specs["AttnRes, at the start"].train.steps == 0
    assert same_but(specs["AttnRes, at the start"], specs["AttnRes, trained"], "train")
    assert same_but(specs["Residual"], specs["AttnRes, trained"], "connection")


def grows_when_trained(results: dict[str, Result]) -> bool:
    """Whether training gives HC, which starts at a gain of 1, one above 100, and leaves that of mHC at 1.00."""
    assert {float(result.steps["step_gain_fwd"][0].max().round(5)) for result in results.values()} == {1}
    gains = [largest(results["mHC"], f"composite_gain_{way}") for way in ("fwd", "bwd")]
    return largest(results["HC"], "composite_gain_fwd") > 100 and max(gains) < 1.005


def test_training_alone_gives_hc_a_gain_above_100_and_leaves_that_of_mhc_at_1() -> None:
    specs = specs_of("trained").values()
    assert {spec.connection.noise for spec in specs if spec.connection.kind != "residual"} == {0.0}
    assert {spec.input.kind for spec in specs} == {"corpus"}
    assert grows_when_trained(read("trained"))


@pytest.mark.trial
def test_a_new_training_says_the_same_of_gains() -> None:
    assert grows_when_trained({label: measure(spec) for label, spec in specs_of("trained").items()})


def test_hcs_gain_is_460_after_64_layers_and_790_at_its_peak() -> None:
    gains = read("default")["HC"].layers["composite_gain_fwd"]
    assert gains[-1] == pytest.approx(460, abs=0.5)
    assert (gains.max(), gains.argmax() + 1) == (pytest.approx(790, abs=0.5), 58)


def test_the_gradient_starts_as_small_as_the_signal_ends_large() -> None:
    """What the help of both gains and gradients says: HC's backward gain is large, and its gradient small."""
    results = read("default")
    hc, residual = results["HC"].layers, results["Residual"].layers
    assert hc["composite_gain_bwd"][16] == pytest.approx(81.3, abs=0.05)
    assert hc["grad_rms"][16] < residual["grad_rms"][16]
    assert hc["grad_rms"][-1] < 0.05 * residual["grad_rms"][-1]
    ends = [layers["grad_rms"][-1] * layers["act_rms"][-1] for layers in (hc, residual)]
    assert ends[0] == pytest.approx(ends[1], rel=0.02), "the last norm divides it by the size of the signal"
    growth = [layers["grad_rms"][16] / layers["grad_rms"][-1] for layers in (hc, residual)]
    assert growth[0] > 5 * growth[1], "from the last layer down the mixing amplifies it"


def test_hcs_gain_is_in_the_billions_after_256_layers() -> None:
    assert read("deep")["HC"].layers["composite_gain_fwd"][-1] == pytest.approx(9.1e9, rel=0.005)
    assert {spec.depth for spec in specs_of("deep").values()} == {4 * 64}


def test_strong_drift_multiplies_hcs_signal_and_leaves_an_error_in_mhcs_columns() -> None:
    results = read("strong_drift")
    hc = results["HC"]
    assert hc.layers["act_rms"][-1] / hc.input["act_rms"] == pytest.approx(9.3e19, rel=0.02)
    assert off_one(results["mHC"], "row") < 1e-6
    assert 0.014 < off_one(results["mHC"], "col") < 0.015


def test_relatives_have_a_backward_gain_of_one_and_sinkhorn_has_one_of_1_02() -> None:
    gains = {label: largest(result, "composite_gain_bwd") for label, result in read("relatives").items()}
    assert gains.pop("mHC") == pytest.approx(1.02, abs=5e-4)
    assert list(gains.values()) == pytest.approx([1.0] * 3, abs=1e-6)


def test_frac_and_hc_have_the_same_drift_on_as_many_parts_as_copies() -> None:
    specs = specs_of("frac")
    assert same_but(specs["Frac"], specs["HC"], "connection.kind")
    assert specs["Frac"].streams == 4
    results = read("frac")
    np.testing.assert_array_equal(results["Frac"].matrices["h_res"], results["HC"].matrices["h_res"])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.trial) for seed in range(1, 4))])
def test_hcs_training_becomes_unstable_where_that_of_the_others_does_not(seed: int) -> None:
    """The loss rises to more than twice that before training. How the gradient norm goes depends on the processor."""
    for label, spec in specs_of("mhc_fig_2").items():
        result = measure(spec.model_copy(update={"seed": seed})) if seed else read_result(spec.id)
        loss = result.steps["step_loss"]
        assert len(loss) == 40
        rise = loss.max() / loss[0]
        assert rise > 2 if label == "HC" else rise < 1.1, label


def test_the_learning_rate_of_that_is_500_times_theirs() -> None:
    """The base learning rate of the 27B model is 4.0e-4 (mHC, Table 5)."""
    for spec in specs_of("mhc_fig_2").values():
        assert spec.train.lr == pytest.approx(500 * 4.0e-4)


def test_hcs_gain_compounds_over_60_layers() -> None:
    hc = read("mhc_fig_3")["HC"]
    assert len(hc.layers["gain_fwd"]) == 60
    assert largest(hc, "gain_fwd") < 3
    gains = hc.layers["composite_gain_fwd"]
    assert (gains.max(), gains.argmax() + 1) == (pytest.approx(790, abs=0.5), 58)
    assert gains[-1] == pytest.approx(769, abs=0.5)


def test_mhcs_gain_stays_bounded_with_the_same_drift() -> None:
    results = read("mhc_fig_7")
    gains = {label: largest(result, "composite_gain_bwd") for label, result in results.items()}
    assert gains["HC"] == pytest.approx(858, abs=0.5)
    assert gains["mHC"] == pytest.approx(1.003, abs=5e-4)
    assert gains["mHC, drift 1"] == pytest.approx(1.025, abs=5e-4)
    assert max(largest(result, "composite_gain_fwd") for label, result in results.items() if label != "HC") < 1.00001


def test_the_gain_of_a_layer_is_its_largest_row_sum_and_backward_its_largest_column_sum() -> None:
    for result in read("mhc_fig_8").values():
        for gain, axis in (("gain_fwd", 2), ("gain_bwd", 1)):
            sums = np.abs(result.matrices["h_res"].astype(np.float64).sum(axis)).max(1)
            np.testing.assert_allclose(result.layers[gain], sums, rtol=1e-5)


def test_the_headline_of_fig_8_is_the_product_that_its_figure_shows() -> None:
    preset = get("mhc_fig_8")
    for label, gain in (("HC", 525), ("mHC", 1)):
        result = read("mhc_fig_8")[label]
        product = np.linalg.multi_dot(result.matrices["h_res"].astype(np.float64)[::-1])
        shown = np.abs(product.sum(0)).max()
        told = reduce_metric(result, preset.metric, preset.reduction).value
        assert told == pytest.approx(shown, rel=1e-6) == pytest.approx(gain, rel=1e-3)


def test_rounds_of_sinkhorn_play_from_0_to_200() -> None:
    preset = get("sinkhorn_dial")
    assert preset.plays == "connection.sinkhorn_iters"
    field = RunSpec.model_json_schema()["$defs"]["ConnectionSpec"]["properties"]["sinkhorn_iters"]
    assert (field["minimum"], field["maximum"]) == (0, 200)
    assert not any(spec.connection.dynamic for spec in preset.specs)
    first = specs_of("sinkhorn_dial")["drift 1"]
    last = first.model_copy(update={"connection": first.connection.model_copy(update={"sinkhorn_iters": 200})})
    gains = [largest(measure(spec), "composite_gain_bwd") for spec in (first, last)]
    assert gains == pytest.approx([78_000, 1.01], rel=5e-3)


def test_three_rounds_bring_an_exploding_gain_to_within_three_percent_of_one() -> None:
    gains = {label: largest(result, "composite_gain_bwd") for label, result in read("sinkhorn_rounds").items()}
    assert gains["0 rounds"] == pytest.approx(7.8e4, rel=0.02)
    assert gains["3 rounds"] == pytest.approx(1.026, abs=1e-3)
    assert 1.0 < gains["20 rounds"] < gains["3 rounds"]


def test_late_layers_of_pre_norm_read_alike_and_those_of_hc_do_up_to_their_sign() -> None:
    """A median of cosines near 1 and near -1 is somewhere between, and says nothing of how alike inputs are."""
    cosines = {label: result.layers["cos_prev"][-16:] for label, result in read("hc_collapse").items()}
    sizes = {label: float(np.median(np.abs(late))) for label, late in cosines.items()}
    assert sizes["pre-norm"] == pytest.approx(0.990, abs=5e-4)
    assert sizes["HC, no drift"] == pytest.approx(sizes["pre-norm"], abs=1e-6)
    assert sizes["post-norm"] == pytest.approx(0.70, abs=5e-3)
    assert sizes["HC"] == pytest.approx(0.995, abs=5e-4)
    assert 0 < (cosines["HC"] < 0).sum() < 16
    assert min(late.min() for label, late in cosines.items() if label != "HC") > 0


def peak(name: str, label: str, key: str) -> tuple[float, int]:
    """The largest value of a column over depth, and the layer of it, counted from 1."""
    column = read(name)[label].layers[key]
    return float(column.max()), int(column.argmax()) + 1


def compute_deep() -> list[str]:
    gains = [read(name)["HC"].layers["composite_gain_fwd"] for name in ("default", "deep")]
    peak = [f"{gains[0].max():.0f}", str(gains[0].argmax() + 1)]
    return [f"{gains[0][-1]:.0f}", str(len(gains[0])), *peak, f"{gains[1][-1] / 1e9:.1f}", str(len(gains[1]))]


def compute_trained() -> list[str]:
    results = read("trained")
    start = results["HC"].steps["step_gain_fwd"][0].max()
    bound = 10 ** math.floor(math.log10(largest(results["HC"], "composite_gain_fwd")))
    steps = {spec.train.steps for spec in specs_of("trained").values()}
    return [str(*steps), f"{start:.0f}", str(bound), f"{largest(results['mHC'], 'composite_gain_fwd'):.2f}"]


def compute_depth_attention() -> list[str]:
    trained = read("depth_attention")["AttnRes, trained"].matrices["unfolded"][11]
    steps = specs_of("depth_attention")["AttnRes, trained"].train.steps
    return [str(steps), f"{100 * trained[0]:.0f}", "12", f"{100 / 12:.0f}"]


def compute_strong_drift() -> list[str]:
    hc, mhc = (read("strong_drift")[label] for label in ("HC", "mHC"))
    spec = specs_of("strong_drift")["mHC"]
    decades = math.floor(math.log10(hc.layers["act_rms"][-1] / hc.input["act_rms"]))
    rows = mhc.layers["h_res_row_sum"].mean()
    off = math.ceil(1000 * off_one(mhc, "col")) / 10
    return [f"{spec.connection.noise:g}", str(decades), f"{rows:.0f}", str(spec.connection.sinkhorn_iters), f"{off}"]


def compute_relatives() -> list[str]:
    spec = specs_of("relatives")["mHC"]
    gains = [peak("relatives", label, "composite_gain_bwd")[0] for label in get("relatives").labels]
    by_construction = {f"{gain:.5f}" for gain in gains[1:]}
    assert by_construction == {"1.00000"}
    return [f"{spec.connection.noise:g}", str(spec.connection.sinkhorn_iters), f"{gains[0]:.2f}", f"{gains[1]:.2f}"]


def compute_fig_3() -> list[str]:
    hc = read("mhc_fig_3")["HC"].layers
    (most, layer), limit = peak("mhc_fig_3", "HC", "composite_gain_fwd"), math.ceil(hc["gain_fwd"].max())
    return [str(limit), str(layer), f"{most:.0f}", str(len(hc["gain_fwd"])), f"{hc['composite_gain_fwd'][-1]:.0f}"]


def compute_fig_7() -> list[str]:
    gains = [peak("mhc_fig_7", label, "composite_gain_bwd")[0] for label in get("mhc_fig_7").labels]
    specs = list(specs_of("mhc_fig_7").values())
    sums = f"{read('mhc_fig_7')['mHC'].layers['h_res_col_sum'].mean():.0f}"
    drift = f"{specs[2].connection.noise:g}"
    return [
        str(specs[1].connection.sinkhorn_iters),
        sums,
        f"{gains[0]:.0f}",
        f"{gains[1]:.3f}",
        drift,
        f"{gains[2]:.3f}",
    ]


def compute_sinkhorn_dial() -> list[str]:
    first = specs_of("sinkhorn_dial")["drift 1"]
    last = first.model_copy(update={"connection": first.connection.model_copy(update={"sinkhorn_iters": 200})})
    start, end = (largest(measure(spec), "composite_gain_bwd") for spec in (first, last))
    return ["1", f"{first.connection.noise:g}", f"{round(start, -3):,.0f}", f"{end:.2f}", "200"]


def compute_sinkhorn_rounds() -> list[str]:
    gains = [peak("sinkhorn_rounds", label, "composite_gain_bwd")[0] for label in get("sinkhorn_rounds").labels]
    drift = f"{specs_of('sinkhorn_rounds')['3 rounds'].connection.noise:g}"
    return [drift, f"{round(gains[0], -3):,.0f}", f"{math.ceil(100 * (gains[1] - 1))}", "1"]


def compute_collapse() -> list[str]:
    cosines = {label: result.layers["cos_prev"][-16:] for label, result in read("hc_collapse").items()}
    sizes = [f"{np.median(np.abs(cosines[label])):.3f}" for label in ("pre-norm", "HC")]
    return ["16", *sizes]


def compute_init_identity() -> list[str]:
    shares = {label: result.layers["composite_sigma2"] for label, result in read("init_identity").items()}
    kept, after_one = shares["mHC-lite"], shares["lucidrains"][0]
    return [str(len(kept)), f"{100 * kept[-1]:.0f}", f"{100 * after_one:.0f}"]


def compute_cut() -> list[str]:
    (edit,) = get("cut_stream").specs[0].edits
    effects = {label: 100 * result.layers["effect_state"] for label, result in read("cut_stream").items()}
    behind = [f"{effects[label][edit.layers[0]]:.0f}" for label in ("HC", "mHC")]
    end = [f"{effects[label][-1]:.0f}" for label in ("HC", "mHC")]
    return [str(edit.layers[0] + 1), str(get("cut_stream").specs[0].depth), *behind, *end]


def test_the_identity_costs_more_in_the_early_half_than_in_the_late_one() -> None:
    results, specs = read("identity_halves"), specs_of("identity_halves")
    assert same_but(specs["Identity early"], specs["Identity late"], "edits")
    assert results["Identity early"].loss_base == results["Identity late"].loss_base
    assert results["Identity early"].loss > results["Identity late"].loss > results["Identity late"].loss_base
    early, late = (results[f"Identity {half}"].layers["effect_state"][-1] for half in HALVES)
    assert late > early, "the last state changes more in the late half"


def compute_halves() -> list[str]:
    results = read("identity_halves")
    rises = [
        100 * math.expm1(results[f"Identity {half}"].loss - results[f"Identity {half}"].loss_base) for half in HALVES
    ]
    return [str(get("identity_halves").specs[0].depth), *(f"{rise:.1f}" for rise in rises)]


HALVES = ("early", "late")


def test_singular_values_of_products_are_as_said() -> None:
    results = {label: result.layers for label, result in read("kept_differences").items()}
    least = {label: layers["composite_sigma_min"][-1] for label, layers in results.items()}
    assert results["mHC"]["composite_sigma2"][-1] < 1e-9, "the largest share of a difference that is left"
    assert least["C-mHC"] > math.exp(-4 - 4**2 / 24)
    assert [least["Orthogonal"], least["oHC"]] == pytest.approx([1, 1], abs=1e-5)
    signed = read("negative_entries")
    assert all(result.layers["h_res_min"].min() < 0 for result in signed.values())
    assert signed["Orthogonal"].layers["composite_sigma_min"][-1] == pytest.approx(1, abs=1e-5)
    assert max(off_one(signed["sHC"], side) for side in ("row", "col")) < 1e-6


def compute_kept_differences() -> list[str]:
    least = {label: result.layers["composite_sigma_min"][-1] for label, result in read("kept_differences").items()}
    depth = get("kept_differences").specs[0].depth
    return [str(depth), f"{least['C-mHC']:.2f}", f"{least['Orthogonal']:.0f}"]


def compute_negative_entries() -> list[str]:
    results = read("negative_entries")
    gains = {label: largest(result, "composite_gain_fwd") for label, result in results.items()}
    kept = results["JPmHC"].layers["composite_sigma_min"][-1]
    sums = f"{results['sHC'].layers['h_res_row_sum'].mean():.0f}"
    return [f"{gains['Orthogonal']:.2f}", f"{100 * kept:.0f}", sums, f"{gains['sHC']:.2f}"]


def test_exact_sums_keep_a_gradient_that_streams_share() -> None:
    results = read("exact_sums")
    for label in ("go-mHC", "TBP-mHC"):
        assert largest(results[label], "composite_gain_bwd") == pytest.approx(1, abs=1e-6)
        assert max(off_one(results[label], side) for side in ("row", "col")) < 1e-6
    assert off_one(results["osHC"], "row") < 1e-6 < 0.1 < off_one(results["osHC"], "col")


def compute_exact_sums() -> list[str]:
    return ["1", f"{largest(read('exact_sums')['osHC'], 'composite_gain_bwd'):.2f}"]


def test_gates_differ_between_features_of_one_family_alone() -> None:
    results = read("gated_features")
    spread = results["Gated Residual"].layers["gate_spread"]
    assert 1e-3 < spread.min() < spread.max() < 0.01
    for label in ("mHC", "Identity HC"):
        assert not np.nan_to_num(results[label].layers.get("gate_spread", np.zeros(1))).any()
    for label in ("Identity HC", "Gated Residual"):
        np.testing.assert_array_equal(results[label].matrices["h_res"], np.tile(np.eye(4), (24, 1, 1)))


def compute_weighted_states() -> list[str]:
    weights = {label: result.matrices["unfolded"][-1, :24] for label, result in read("weighted_states").items()}
    for label in ("Residual", "DenseFormer", "LAuReL"):
        np.testing.assert_array_equal(weights[label], 1)
    return ["24", "1", f"{weights['Weighted'][0]:.2f}"]


def find_moves(name: str) -> dict[str, float]:
    """By label, how far training moved H_res: the Frobenius norm of its change in the median layer."""
    after = {label: result.matrices["h_res"] for label, result in read(name).items()}
    fresh = {label: spec.model_copy(update={"train": TrainSpec()}) for label, spec in specs_of(name).items()}
    before = {label: measure(spec).matrices["h_res"] for label, spec in fresh.items()}
    changes = {label: np.sqrt(((h_res - before[label]) ** 2).sum((1, 2))) for label, h_res in after.items()}
    return {label: float(np.median(change)) for label, change in changes.items()}


def compute_init_learning() -> list[str]:
    moves, spec = find_moves("init_learning"), get("init_learning").specs[0]
    said = [f"{moves[label]:.2g}" for label in ("DeepSeek-V4", "Megatron", "mHC-lite", "scaled streams")]
    gate = build_preset(specs_of("init_learning")["DeepSeek-V4"]).gate
    return [str(spec.train.steps), f"{gate:.0f}", said[0], f"{math.sqrt(spec.streams - 1):.2f}", *said[1:]]


def compute_init_presets() -> list[str]:
    moves = find_moves("init_presets")
    return [str(get("init_presets").specs[0].train.steps), *(f"{moves[key]:.2g}" for key in ("lucidrains", "C-mHC"))]


# The numbers of each description in their order, from runs and specs; other descriptions have none.
TOLD: dict[str, Callable[[], list[str]]] = {
    "opening": lambda: [str(spec.depth) for spec in get("opening").specs[:1]],
    "default": lambda: [str(spec.depth) for spec in get("default").specs[:1]],
    "deep": compute_deep,
    "trained": compute_trained,
    "depth_attention": compute_depth_attention,
    "cut_stream": compute_cut,
    "kept_differences": compute_kept_differences,
    "negative_entries": compute_negative_entries,
    "exact_sums": compute_exact_sums,
    "weighted_states": compute_weighted_states,
    "identity_halves": compute_halves,
    "strong_drift": compute_strong_drift,
    "relatives": compute_relatives,
    "mhc_fig_2": lambda: [str(spec.train.steps) for spec in get("mhc_fig_2").specs[:1]],
    "mhc_fig_3": compute_fig_3,
    "mhc_fig_7": compute_fig_7,
    "mhc_fig_8": lambda: [str(spec.depth) for spec in get("mhc_fig_8").specs[:1]],
    "sinkhorn_dial": compute_sinkhorn_dial,
    "sinkhorn_rounds": compute_sinkhorn_rounds,
    "hc_collapse": compute_collapse,
    "digits": lambda: [str(math.isqrt(get("digits").specs[0].input.tokens))] * 2,
    "relu_correlation": lambda: [str(spec.depth) for spec in get("relu_correlation").specs[:1]],
    "branch_scaling": lambda: ["1"],  # of 1/√depth
    "init_identity": compute_init_identity,
    "init_learning": compute_init_learning,
    "init_presets": compute_init_presets,
}
NUMBER = re.compile(r"(?<![A-Za-z\d.,])\d+(?:[.,]\d+)*")


@pytest.mark.parametrize("name", BY_NAME)
def test_every_number_of_a_description_is_that_of_its_runs(name: str) -> None:
    said = NUMBER.findall(get(name).description)
    assert said == (TOLD[name]() if said else [])


def test_without_drift_hc_reads_the_sum_of_all_before() -> None:
    weights = {label: result.matrices["unfolded"] for label, result in read("hc_unfolded").items()}
    np.testing.assert_array_equal(weights["HC, no drift"], np.tri(64, 65))
    assert np.abs(weights["HC"]).max() == pytest.approx(912, rel=0.01)
    np.testing.assert_allclose(weights["mHC"], np.tri(64, 65), atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), [("gpt", "transformer"), ("resnet", "conv"), ("pair_stack", "pair")])
def test_stacks_have_the_blocks_that_are_said(name: str, kind: str) -> None:
    assert {spec.block.kind for spec in specs_of(name).values()} == {kind}
    assert {spec.depth for spec in specs_of("gpt").values()} == {2 * 12}
    assert {spec.input.kind for spec in specs_of("pair_stack").values()} == {"gaussian"}


@pytest.mark.parametrize("name", ["gpt", "resnet", "pair_stack", "digits"])
def test_mhc_starts_like_the_residual_network(name: str) -> None:
    results, metric = read(name), BY_NAME[name].metric
    np.testing.assert_allclose(results["mHC"].layers[metric], results["Residual"].layers[metric], rtol=1e-4)
    assert not np.allclose(results["HC"].layers[metric], results["Residual"].layers[metric], rtol=0.05)


def test_digits_are_convolutions_over_images() -> None:
    for spec in specs_of("digits").values():
        assert (spec.block.kind, spec.input.kind, spec.input.tokens) == ("conv", "digits", 64)


def test_every_run_of_where_theory_speaks_has_laws() -> None:
    for spec in specs_of("laws").values():
        assert (spec.block.kind, spec.width, spec.input.kind) == ("mlp", 128, "gaussian")
        assert require(read_result(spec.id).start).theory


def test_plain_and_residual_stacks_differ_in_the_skip_alone() -> None:
    specs = specs_of("no_skip")
    assert same_but(specs["Plain"], specs["Residual"], "connection")


def test_relu_layers_align_unrelated_tokens() -> None:
    for label, wanted in (("width 64", 0.985), ("width 256", 0.959)):
        cosines = read("relu_correlation")[label].layers["token_cos"]
        assert cosines[-1] == pytest.approx(wanted, abs=5e-4)
        assert cosines[0] == pytest.approx(0.318, abs=5e-3), "from 0, which the map takes to 1/pi"
    correlation = 0.0
    for _ in range(20):
        root = math.sqrt(max(0.0, 1 - correlation**2))
        correlation = (root + correlation * (math.pi - math.acos(correlation))) / math.pi
    assert correlation == pytest.approx(0.9484, abs=5e-5)


def test_norms_and_scalings_are_those_that_are_said() -> None:
    positions = [spec.block.norm_position for spec in specs_of("norm_position").values()]
    assert positions == ["pre", "post", "none"]
    scalings = [spec.block.scaling for spec in specs_of("branch_scaling").values()]
    assert scalings == ["constant", "inv_sqrt_depth", "rezero", "layernorm_scaling"]
    deepnorm = specs_of("deepnorm")["DeepNorm"].block
    assert (deepnorm.norm_position, deepnorm.scaling) == ("post", "deepnorm")


def test_starts_leave_the_share_of_differences_that_is_said() -> None:
    shares = {label: result.layers["composite_sigma2"] for label, result in read("init_identity").items()}
    assert shares["mHC-lite"][-1] == pytest.approx(0.92, abs=5e-3)
    assert shares["lucidrains"][0] == pytest.approx(0.30, abs=5e-3)
    assert 0 < shares["lucidrains"][-1] < 1e-30
    assert shares["Megatron"][0] == 0


def test_training_moves_the_mixing_where_it_has_a_gradient() -> None:
    moves = find_moves("init_learning")
    saturated = [moves[label] for label in ("mHC-lite", "scaled streams")]
    assert moves["DeepSeek-V4"] > 1 > moves["Megatron"] > 0.1 > max(saturated) > min(saturated) > 1e-3


def test_training_leaves_streams_alike_where_nothing_sets_them_apart() -> None:
    """To rounding in float64, which training amplifies."""
    moves, results = find_moves("init_presets"), read("init_presets")
    apart = {label: 1 - result.layers["stream_cos"].min() for label, result in results.items()}
    assert apart["residual-equivalent"] < 1e-4 < 1e-3 < min(apart["lucidrains"], apart["C-mHC"])
    assert moves["residual-equivalent"] < 1e-4 < 1e-2 < min(moves["lucidrains"], moves["C-mHC"])
    np.testing.assert_array_equal(results["HY-V4"].matrices["h_res"], np.tile(np.eye(4), (12, 1, 1)))


def test_starts_are_compared_without_drift_and_as_published() -> None:
    for name in ("init_presets", "init_identity", "init_learning"):
        assert {spec.connection.noise for spec in specs_of(name).values()} == {0.0}
    trained = [spec for name in ("init_presets", "init_learning") for spec in specs_of(name).values()]
    assert {spec.connection.init for spec in trained} == set(get_args(InitPreset))
    assert {(spec.connection.dynamic, spec.dtype, spec.train) for spec in trained} == {
        (True, "float64", trained[0].train)
    }


def rows_of(name: str) -> list[claims.Row]:
    return [row for row in claims.read_rows() if row.place == f"preset {name}"]


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS if preset.reference and preset.reference.numbers])
def test_a_printed_number_is_said_by_its_source_and_stands_in_the_claims(name: str) -> None:
    preset = get(name)
    assert preset.reference
    assert set(preset.reference.numbers) <= set(preset.labels)
    for number in set(preset.reference.numbers.values()):
        assert number in preset.reference.says
        digits = number.split()[-1]
        (row,) = [row for row in rows_of(name) if number in row.sentence]
        assert digits in row.theirs, "what the source prints"


def test_ours_beside_the_papers_numbers_are_those_in_the_claims() -> None:
    """What the banner tells of the runs that a paper has a number for."""
    for name in ("mhc_fig_3", "mhc_fig_7", "mhc_fig_8", "relu_correlation"):
        preset = get(name)
        assert preset.reference
        said = " ".join(row.ours for row in rows_of(name))
        for label in preset.reference.numbers:
            number = reduce_metric(read(name)[label], preset.metric, preset.reduction)
            assert number.value is not None
            digits = f"{number.value:.0f}" if number.value > 10 else f"{number.value:.3f}"
            assert digits in said, (name, label)
