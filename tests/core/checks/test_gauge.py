"""A stack in another gauge gives the same outputs to rounding."""

from typing import Any

import numpy as np
import pytest

from mhc_core.checks import gauge
from mhc_core.checks.gauge import measure_gauge_error
from mhc_core.families import FAMILIES
from mhc_core.metrics.gauge import Gauge, apply_gauge
from mhc_core.spec import SpecError
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, shake

COPYING = [
    kind
    for kind, family in FAMILIES.items()
    if family.has_mixing and family.streams == "copies" and not family.always_by_token
]
WELL_CONDITIONED = 100.0
# Deep products of these lose nearly all differences between streams, or enlarge some: float64 cannot invert them.
SINGULAR_WHEN_DEEP = ("hc", "orthostochastic", "go_mhc")


@pytest.mark.sample(8, 5)
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", [8, 64, pytest.param(256, marks=pytest.mark.full)])
@pytest.mark.parametrize("norm_position", ["pre", "none"])
def test_outputs_stay_the_same_in_every_gauge(kind: str, depth: int, norm_position: str) -> None:
    block = {"kind": "mlp", "mlp_ratio": 1, "norm_position": norm_position}
    stack = build_stack(build_spec(depth=depth, connection={"kind": kind}, block=block))
    for t in (0.1, 0.5, 0.9, 1.0):
        for anchor in (0, depth // 2, depth):
            found = measure_gauge_error(stack, t, anchor)
            assert found.condition <= WELL_CONDITIONED or kind in SINGULAR_WHEN_DEEP, (t, anchor, found)
            if found.condition * depth > gauge.LARGEST:
                assert np.isnan(found.output)
                continue
            rounding = 4 * depth * 2.0**-52  # of reading, branch, mixing and writing in every layer
            tolerance = 1e-12 if found.condition <= WELL_CONDITIONED else rounding * found.condition
            assert found.output <= tolerance, (t, anchor, found)
            assert found.loss <= tolerance, (t, anchor, found)


UNEVEN = {"kind": "mhc", "init": "mhc_lite", "noise": 4.0}


@pytest.mark.parametrize("output", ["mean", "sum", "head"])
@pytest.mark.parametrize("block", [{"kind": "transformer"}, {"kind": "mlp", "scaling": "layernorm_scaling"}], ids=str)
def test_every_output_and_block_may_be_written_in_another_basis(output: str, block: dict[str, Any]) -> None:
    stack = shake(build_stack(build_spec(depth=12, connection=UNEVEN | {"output": output}, block=block)))
    for t in (0.3, 1.0):
        found = measure_gauge_error(stack, t, 5)
        assert found.condition > 1.1
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
    assert measure_gauge_error(stack, 1.0).output < 1e-13
    monkeypatch.setattr(gauge, "apply_gauge", mistake)
    assert measure_gauge_error(stack, 1.0).output > 1e-4


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
        measure_gauge_error(build_stack(build_spec(**fields)), 1.0)
    assert caught.value.field == field
