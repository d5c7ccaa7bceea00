"""A stack in another gauge gives the same outputs to rounding."""

from typing import Any

import numpy as np
import pytest
from mpmath import mp

from mhc_core.checks import gauge
from mhc_core.checks.gauge import measure_gauge_error
from mhc_core.families import FAMILIES
from mhc_core.metrics import gauge as gauge_coefficients
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
WELL_CONDITIONED = 100.0
# Between 0 and 1 the bases of these cannot be inverted in float64: their deep products lose nearly all differences
# between streams, or enlarge some.
SINGULAR_WHEN_DEEP = ("hc", "orthostochastic", "go_mhc")


def build_deep(kind: str, depth: int, norm_position: str = "pre") -> Stack:
    block = {"kind": "mlp", "mlp_ratio": 1, "norm_position": norm_position}
    return shake(build_stack(build_spec(depth=depth, connection={"kind": kind}, block=block)))


@pytest.mark.sample(8, 2)
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm_position", ["pre", "none"])
def test_outputs_stay_the_same_where_every_h_res_is_the_identity(kind: str, depth: int, norm_position: str) -> None:
    found = measure_gauge_error(build_deep(kind, depth, norm_position))
    assert found.output <= 1e-12, found
    assert found.loss <= 1e-12, found


@pytest.mark.sample(8, 5)
@pytest.mark.parametrize("kind", COPYING)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("norm_position", ["pre", "none"])
def test_outputs_stay_the_same_in_every_basis_on_the_way(kind: str, depth: int, norm_position: str) -> None:
    stack = build_deep(kind, depth, norm_position)
    for t in BETWEEN:
        found = measure_gauge_error(stack, t)
        assert found.condition <= WELL_CONDITIONED or kind in SINGULAR_WHEN_DEEP, (t, found)
        if found.condition * depth > gauge.LARGEST:
            assert np.isnan(found.output)
            continue
        rounding = 4 * depth * 2.0**-52  # of reading, branch, mixing and writing in every layer
        tolerance = 1e-12 if found.condition <= WELL_CONDITIONED else rounding * found.condition
        assert found.output <= tolerance, (t, found)
        assert found.loss <= tolerance, (t, found)


Array = np.ndarray
DIGITS = 300  # condition numbers are up to 1e239
to_exact = np.vectorize(mp.mpf, otypes=[object])


def invert_exactly(matrix_nn: Array) -> Array:
    inverse = mp.matrix(matrix_nn.tolist()) ** -1
    return np.array(inverse.tolist(), dtype=object)


def compute_exactly(h_pre: Array, h_post: Array, h_res: Array, start: Array, end: Array) -> Array:
    """The sum of the streams behind layers of two features that turn, norm and bend what they read."""
    state = start @ to_exact([[0.3, -1.1]] * len(start))
    for layer, mixing in enumerate(h_res):
        read = h_pre[layer] @ state
        angle, size = mp.mpf(layer), mp.sqrt(read @ read)
        first, second = (mp.tanh(value / size) for value in (read[0] - angle * read[1], angle * read[0] + read[1]))
        state = mixing @ state + np.outer(h_post[layer], [first, second])
    return (end @ state).sum(0)


@pytest.mark.parametrize(
    ("kind", "depth"), [("hc", 48), *(pytest.param(kind, 256, marks=pytest.mark.full) for kind in SINGULAR_WHEN_DEEP)]
)
def test_every_position_is_exact_where_float64_cannot_follow(
    kind: str, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`find_gauge` and `apply_gauge` themselves, with numbers of 300 digits: what is left is rounding."""
    monkeypatch.setattr(gauge_coefficients, "_invert", invert_exactly)
    static = build_deep(kind, depth).connection.static_mixing()
    assert static is not None
    with mp.workdps(DIGITS):
        h_pre, h_post, h_res = (to_exact(part.detach().numpy()) for part in static)
        unchanged = to_exact(np.eye(h_res.shape[-1]))
        plain = compute_exactly(h_pre, h_post, h_res, unchanged, unchanged)
        for t in (0.1, 0.5, 0.9):
            found = find_gauge(h_res, t, depth // 2)
            other = compute_exactly(*apply_gauge(h_pre, h_post, found), found.basis[0], found.inverse[-1])
            assert max(abs(other - plain)) <= 1e-40 * max(abs(plain)), t


UNEVEN = {"kind": "mhc", "init": "mhc_lite", "noise": 4.0}


@pytest.mark.parametrize("output", ["mean", "sum", "head"])
@pytest.mark.parametrize("block", [{"kind": "transformer"}, {"kind": "mlp", "scaling": "layernorm_scaling"}], ids=str)
def test_every_output_and_block_may_be_written_in_another_basis(output: str, block: dict[str, Any]) -> None:
    stack = shake(build_stack(build_spec(depth=12, connection=UNEVEN | {"output": output}, block=block)))
    for t in (0.3, 1.0):
        found = measure_gauge_error(stack, t)
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
    assert measure_gauge_error(stack).output < 1e-13
    monkeypatch.setattr(gauge, "apply_gauge", mistake)
    assert measure_gauge_error(stack).output > 1e-4


@pytest.mark.parametrize("wrong", range(3))
@pytest.mark.parametrize("t", [0.5, 1.0])
def test_a_coefficient_of_one_layer_that_is_wrong_by_1e_9_is_seen(
    t: float, wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(h_pre: Array, h_post: Array, found: Gauge) -> tuple[Array, ...]:
        moved = tuple(part.copy() for part in apply_gauge(h_pre, h_post, found))
        moved[wrong][20].flat[0] += 1e-9 * np.abs(moved[wrong][20]).max()
        return moved

    stack = build_deep("mhc", 64, "none")
    assert measure_gauge_error(stack, t).output <= 1e-13
    monkeypatch.setattr(gauge, "apply_gauge", mistake)
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
