"""Every number in every sentence, recomputed from the columns: over specs that Hypothesis draws."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mhc_core.findings.words import format_magnitude, format_number
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import CONNECTION_KINDS, DOUBLY_STOCHASTIC, FREE, RunSpec, SpecErrors, parse_spec
from tests.core.conftest import measure
from tests.core.findings.recomputed import STREAMS

CONNECTIONS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(CONNECTION_KINDS),
        "streams": st.sampled_from([1, 2, 4]),
        "dynamic": st.booleans(),
        "init": st.sampled_from(["mhc_lite", "residual", "lucidrains", "megatron", "deepseek_v4"]),
        "noise": st.sampled_from([3.0, 0.3, 0.0]),
        "sinkhorn_iters": st.sampled_from([20, 3, 1, 0]),
        "mapping_dtype": st.sampled_from(["auto", "auto", "bfloat16"]),
    }
)
BLOCKS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["mlp", "transformer", "conv", "pair"]),
        "norm_position": st.sampled_from(["pre", "post", "none"]),
        "activation": st.sampled_from(["relu", "tanh", "gelu"]),
        "branch_scale": st.sampled_from([1.0, 1.0, 0.0, 0.05, 10.0]),
        "scaling": st.sampled_from(["constant", "constant", "constant", "rezero", "deepnorm", "inv_sqrt_depth"]),
        "mlp_ratio": st.just(2),
    }
)
BODIES = st.fixed_dictionaries(
    {
        "depth": st.sampled_from([1, 2, 9, 40]),
        "width": st.just(16),
        "seed": st.integers(0, 99),
        "seeds": st.sampled_from([1, 1, 3]),
        "jacobian": st.sampled_from([0, 0, 4]),
        "dtype": st.sampled_from(["float32", "float64", "bfloat16"]),
        "device": st.just("cpu"),
        "connection": CONNECTIONS,
        "block": BLOCKS,
        "input": st.fixed_dictionaries(
            {"kind": st.sampled_from(["text", "text", "text", "gaussian"]), "tokens": st.just(16)}
        ),
        "train": st.fixed_dictionaries({"steps": st.sampled_from([0, 3]), "lr": st.sampled_from([0.01, 10.0])}),
    }
)
NUMBER = re.compile(r"\d[\d.]*(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?|not a number|beyond all numbers")


@pytest.mark.full
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=BODIES)
def test_every_number_is_that_of_the_columns(body: dict[str, Any]) -> None:
    check_spec(body)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=BODIES)
def test_some_specs_say_what_their_columns_say(body: dict[str, Any]) -> None:
    check_spec(body)


def check_spec(body: dict[str, Any]) -> None:
    """Run it, and hold each sentence against the columns."""
    try:
        spec = parse_spec(body)
    except SpecErrors:
        assume(False)
        return
    result = measure(spec)
    for finding in result.summary.findings:
        text = finding.text
        if spec.seeds > 1 and finding.key in OF_ONE_PASS:
            assert text.startswith(f"Seed {spec.seed}: "), text
            text = text.split(": ", 1)[1]
        told = [number.rstrip(".") for number in NUMBER.findall(text)]
        assert told == RECOMPUTED[finding.key](spec, result, finding), text


Recompute = Callable[[RunSpec, Result, Finding], list[str]]
OF_ONE_PASS = ("resolution", "truncation", "symmetry", "frozen", "limits", "zero", "jacobian", "loss", *STREAMS)


def largest(result: Result, side: str) -> list[str]:
    """The largest gain over depth, of several seeds the median, the 5th and the 95th percentile."""
    key = f"composite_gain_{side}"
    if result.seeds is None:
        flags, log = result.status.get(key, {}), result.layers_log10[key]
        if any(flag == "overflow" and np.isnan(log[layer]) for layer, flag in flags.items()):
            return ["beyond all numbers"]
        return [format_magnitude(np.nanmax(log)) if np.isfinite(log).any() else "not a number" if flags else "0"]
    ranks = np.asarray(result.seeds.largest[key], dtype=float)
    if np.isfinite(ranks).all():
        return [format_magnitude(float(np.percentile(ranks, level))) for level in (50, 5, 95)]
    low, middle, high = np.sort(ranks)  # a percentile next to a lost seed is lost
    return [format_magnitude(value) for value in (middle, mix(low, middle, 0.1), mix(middle, high, 0.9))]


def mix(low: float, high: float, share: float) -> float:
    return low + share * (high - low) if np.isfinite(high - low) else high


def connection(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    kind = spec.connection.kind
    if kind == "none" or (kind == "residual" and spec.block.scaling == "deepnorm"):
        return []
    if kind == "residual":
        assert np.abs(result.layers["composite_gain_fwd"] - 1).max() < 1e-9
        return ["1"]
    sides = [largest(result, side) for side in ("fwd", "bwd")]
    told = [str(spec.depth)]
    if kind not in FREE and kind not in DOUBLY_STOCHASTIC and spec.connection.sinkhorn_iters:
        told.append(str(spec.connection.sinkhorn_iters))
    if kind in DOUBLY_STOCHASTIC:
        rounding = 2e-2 if spec.maps_coarsely else 1e-5
        assert np.abs(result.layers["h_res_row_sum"] - 1).max() < rounding
        assert np.abs(result.layers["h_res_col_sum"] - 1).max() < rounding
        told += ["16"] * (spec.maps_coarsely and kind != "identity_hc")
    told += [number for side in sides for number in side]
    if result.seeds is not None:
        return [*told, str(spec.seeds), "5", "95"]
    if "min_col_sum" in finding.numbers:
        told.append(format_number(float(np.min(result.layers["composite_min_col_sum"]))))
    return told


def resolution(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    """Of a second pass, which has no columns; `test_findings` compares it with another type."""
    assert (spec.block.kind, spec.block.norm_position) == ("transformer", "none")
    layers, changed = (float(finding.numbers[key] or 0) for key in ("layers", "changed_log10"))
    bits = spec.dtype.removeprefix("b").removeprefix("float")
    roundings = "5" if bits == "16" else "30"
    return [bits, str(int(layers)), str(spec.depth), roundings, "5", format_magnitude(changed)]


def center(result: Result, key: str) -> np.ndarray:
    """The column's log10, of several seeds the median."""
    found: np.ndarray = result.bands[key]["p50"] if result.seeds is not None else result.layers_log10[key]
    return found


def activation(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    log = center(result, "act_rms")
    last = int(np.flatnonzero(np.isfinite(log))[-1])
    told = [format_magnitude(log[last]), str(last + 1)]
    if result.seeds is None:
        told.insert(0, format_magnitude(float(np.log10(result.input["act_rms"]))))
    else:
        told.append(str(spec.seeds))
    slope = finding.numbers["power_of_depth"]
    if slope is not None:
        design = np.stack([np.log10(np.arange(2, last + 3)), np.ones(last + 1)], axis=1)
        fitted, *_ = np.linalg.lstsq(design, log[: last + 1], rcond=None)
        assert slope == pytest.approx(fitted[0], rel=1e-6)
        assert np.abs(design @ fitted - log[: last + 1]).max() < 0.1
        assert ("the square root" in finding.text) == (0.4 < slope < 0.6)
        if "the square root" not in finding.text:
            told.append(f"{slope:.2g}")
    return told


def gradient(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    log = center(result, "grad_rms")
    change = 10 ** float(log[0] - log[-1]) if abs(log[0] - log[-1]) < 300 else None
    seeds = [] if result.seeds is None else [str(spec.seeds)]
    if "within 5 %" in finding.text:
        assert change is not None
        assert 1 / 1.05 < change < 1.05
        return ["5", *seeds]
    assert ("grows" in finding.text) == (log[0] > log[-1])
    return [format_magnitude(abs(float(log[0] - log[-1]))), *seeds]


def truncation(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    columns = np.abs(result.layers["h_res_col_sum"] - 1).max(1)
    errors = result.layers.get("ds_error_tokens", columns)
    worst = int(np.nanargmax(errors))
    if "rows are exact" in finding.text:
        assert np.abs(result.layers["h_res_row_sum"][worst] - 1).max() < 0.01 * errors[worst]
    return [str(spec.connection.sinkhorn_iters), format_number(float(errors[worst])), str(worst + 1)]


def symmetry(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    assert result.layers["stream_cos"].min() > 1 - 1e-5
    return []


def frozen(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    share = result.layers["mixing_grad_share"]
    return [format_number(float(np.nanmedian(share))), format_number(1 / spec.streams)]


def limits(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    bits = spec.dtype.removeprefix("b").removeprefix("float") if "leave the range of" in finding.text else ""
    for key, pick, wide in (("act_rms", min, bits), ("grad_rms", max, bits), ("composite_gain_fwd", min, "64")):
        if key in result.status:
            return [wide, str(pick(result.status[key]) + 1)]
    raise AssertionError("nothing has left its range")


def zero(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    return [str(int(np.flatnonzero(result.layers["act_rms"] == 0)[0]) + 1)]


def jacobian(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    found = result.jacobian
    assert found is not None
    if found.status or found.values["jacobian_sigma_max"] == 0:
        return [spec.dtype.removeprefix("b").removeprefix("float")] if found.status else []
    most, least = (format_magnitude(float(found.log10[f"jacobian_{end}"])) for end in ("sigma_max", "sigma_min"))
    if not found.converged.sigma_max:
        return [str(found.products), most]
    return [most, least] if found.converged.sigma_min else [most, least, str(found.products)]


def loss(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    evenly = f"{np.log(256):.3f}"
    if not np.isfinite(result.loss) and not result.steps:
        return []
    after = f"{result.loss:.3f}" if np.isfinite(result.loss) else "not a finite number"
    told = [after] if np.isfinite(result.loss) else []
    if not result.steps:
        return [*told, evenly]
    assert result.loss_untrained is not None
    before = [f"{result.loss_untrained:.3f}"] if np.isfinite(result.loss_untrained) else []
    return [*before, *told, str(count_updates(result)), evenly]


def count_updates(result: Result) -> int:
    return int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())


def stop(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    done = count_updates(result)
    assert done < spec.train.steps
    flag = result.steps_status.get("step_loss", {}).get(done) or result.steps_status["step_grad_norm"][done]
    return [str(done + 1), *([] if flag == "overflow" else ["not a number"])]


def training(spec: RunSpec, result: Result, finding: Finding) -> list[str]:
    done = count_updates(result)
    told = [str(done)]
    for side in ("fwd", "bwd"):
        steps = result.steps_log10[f"step_gain_{side}"][:done]
        course = np.where(np.isfinite(steps), steps, -np.inf).max(1)
        (last,) = largest(result, side)
        numbers = finding.numbers
        now = numbers[f"gain_{side}_log10"]
        now = np.inf if now is None else now
        told += [last] if abs(now - course[0]) < np.log10(1.01) else [format_magnitude(course[0]), last]
        if course.max() > max(course[0], now) + np.log10(1.01):
            told += [format_magnitude(course.max()), str(int(course.argmax()) + 1)]
    return told


RECOMPUTED: dict[str, Recompute] = {
    "connection": connection,
    "activation": activation,
    "gradient": gradient,
    "truncation": truncation,
    "symmetry": symmetry,
    "frozen": frozen,
    "limits": limits,
    "resolution": resolution,
    "zero": zero,
    "jacobian": jacobian,
    "loss": loss,
    "stop": stop,
    "training": training,
    **STREAMS,
}
