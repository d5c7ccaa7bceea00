"""A stack in another gauge gives the same outputs to rounding."""

from typing import Any

import numpy as np
import pytest

from mhc_core.checks import gauge
from mhc_core.checks.gauge import measure_gauge_error
from mhc_core.families import FAMILIES
from mhc_core.metrics.gauge import Gauge, apply_gauge, find_gauge
from mhc_core.spec import SpecError
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import build_spec, shake

COPYING = [
    kind
    for kind, family in FAMILIES.items()
    if family.has_mixing and family.streams == "copies" and not family.always_by_token
]
DEPTHS = [8, 64, pytest.param(256, marks=pytest.mark.full)]
BETWEEN = [tenths / 10 for tenths in range(1, 10)]
DRIFTS = [0.0, 0.3, 0.6]
ROTATED = 0.5  # up to this position the basis is orthogonal


def build_deep(kind: str, depth: int, norm_position: str = "pre", drift: float = 0.3, seed: int = 0) -> Stack:
    block = {"kind": "mlp", "mlp_ratio": 1, "norm_position": norm_position}
    connection = {"kind": kind, "noise": drift}
    return build_stack(build_spec(depth=depth, seed=seed, connection=connection, block=block))


def build_shaken(kind: str, depth: int, norm_position: str) -> Stack:
    return shake(build_deep(kind, depth, norm_position))


@pytest.mark.sample(8, "pairs")
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm_position", ["pre", "none"])
def test_outputs_stay_the_same_where_every_h_res_is_the_identity(kind: str, depth: int, norm_position: str) -> None:
    found = measure_gauge_error(build_shaken(kind, depth, norm_position))
    assert found.output <= 1e-12, found
    assert found.loss <= 1e-12, found


@pytest.mark.sample(8, "values")
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm_position", ["pre", "none"])
def test_outputs_stay_the_same_in_every_basis_on_the_way(kind: str, depth: int, norm_position: str) -> None:
    check_positions(build_shaken(kind, depth, norm_position))


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", [16, 64, pytest.param(128, marks=pytest.mark.full), DEPTHS[-1]])
@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("seed", range(3))
def test_outputs_stay_the_same_in_every_basis_with_any_drift(kind: str, depth: int, drift: float, seed: int) -> None:
    check_positions(build_deep(kind, depth, drift=drift, seed=seed))


def check_positions(stack: Stack) -> None:
    for t in BETWEEN:
        found = measure_gauge_error(stack, t)
        assert found.output <= 1e-12, (t, found)
        assert found.loss <= 1e-12, (t, found)
        assert t > ROTATED or found.condition <= 1 + 1e-9, (t, found)


Array = np.ndarray
UNEVEN = {"kind": "mhc", "init": "mhc_lite", "noise": 4.0}


@pytest.mark.parametrize("output", ["mean", "sum", "head"])
@pytest.mark.parametrize("block", [{"kind": "transformer"}, {"kind": "mlp", "scaling": "layernorm_scaling"}], ids=str)
def test_every_output_and_block_may_be_written_in_another_basis(output: str, block: dict[str, Any]) -> None:
    stack = shake(build_stack(build_spec(depth=12, connection=UNEVEN | {"output": output}, block=block)))
    for t in (0.3, 0.6, 1.0):
        found = measure_gauge_error(stack, t)
        assert found.condition > 1.1 or t < ROTATED
        assert found.output <= 1e-14 * (10 + found.condition)


def test_the_basis_as_it_is_changes_no_bit() -> None:
    assert measure_gauge_error(build_stack(build_spec(connection=UNEVEN)), 0.0).output == 0


@pytest.mark.parametrize("wrong", ["pre", "post", "res"])
def test_coefficients_of_another_basis_give_other_outputs(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(h_pre: np.ndarray, h_post: np.ndarray, found: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        moved = dict(zip(("pre", "post", "res"), apply_gauge(h_pre, h_post, found), strict=True))
        plain = {"pre": h_pre, "post": h_post, "res": 0.999 * moved["res"]}
        return tuple((moved | {wrong: plain[wrong]}).values())  # type: ignore[return-value]

    stack = shake(build_stack(build_spec(connection=UNEVEN)))
    assert measure_gauge_error(stack).output < 1e-13
    monkeypatch.setattr(gauge, "apply_gauge", mistake)
    assert measure_gauge_error(stack).output > 1e-4


@pytest.mark.parametrize("wrong", range(3))
@pytest.mark.parametrize("t", [0.2, 0.6, 1.0])
def test_a_coefficient_of_one_layer_that_is_wrong_by_1e_9_is_seen(
    t: float, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(h_pre: Array, h_post: Array, found: Gauge) -> tuple[Array, ...]:
        moved = tuple(part.copy() for part in apply_gauge(h_pre, h_post, found))
        moved[wrong][20].flat[0] += 1e-9 * np.abs(moved[wrong][20]).max()
        return moved

    stack = build_shaken("mhc", 64, "none")
    assert measure_gauge_error(stack, t).output <= 1e-13
    monkeypatch.setattr(gauge, "apply_gauge", mistake)
    assert measure_gauge_error(stack, t).output > 1e-12


@pytest.mark.parametrize("wrong", ["basis", "inverse", "h_res"])
@pytest.mark.parametrize("t", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["hc", "orthostochastic", "go_mhc"])
def test_a_basis_of_one_layer_that_is_wrong_by_1e_9_is_seen(
    kind: str, t: float, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(h_res: Array, share: float) -> Gauge:
        found = find_gauge(h_res, share)
        getattr(found, wrong)[20] *= 1 + 1e-9
        return found

    stack = build_shaken(kind, 64, "none")
    assert measure_gauge_error(stack, t).output <= 1e-13
    monkeypatch.setattr(gauge, "find_gauge", mistake)
    assert measure_gauge_error(stack, t).output > 1e-12


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"connection": {"kind": "mhc", "dynamic": True}}, "connection"),
        ({"connection": {"kind": "residual"}}, "connection"),
        ({"connection": {"kind": "frac"}}, "connection"),
        ({"connection": {"kind": "attnres"}}, "connection"),
        ({"connection": {"kind": "mhc"}, "block": {"norm_position": "post"}}, "block.norm_position"),
        ({"connection": {"kind": "mhc"}, "dtype": "float32"}, "dtype"),
    ],
)
def test_what_has_no_other_basis_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        measure_gauge_error(build_stack(build_spec(**fields)))
    assert caught.value.field == field
