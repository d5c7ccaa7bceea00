"""The singular values of products of mixing, and the laws that hold of them by construction."""

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from mpmath import matrix, mp, svd_r

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.families import FAMILIES
from mhc_core.layers import manifold
from mhc_core.metrics.mixing import measure_composites
from mhc_core.spec import RunSpec, parse_spec
from tests.core.conftest import measure

LAWS = ("norm_bound", "singular_floor")
BOUNDED = [kind for kind, family in FAMILIES.items() if family.has_streams and family.norm_bounded]
ORTHOGONAL = [kind for kind, family in FAMILIES.items() if family.orthogonal]


def build(kind: str, *, depth: int = 12, dtype: str = "float32", **connection: Any) -> RunSpec:
    fields = {"kind": kind, "noise": 1.0, **connection}
    return parse_spec(
        {"depth": depth, "width": 16, "dtype": dtype, "input": {"batch": 2, "tokens": 8}, "connection": fields}
    )


def list_laws(spec: RunSpec, h_res: np.ndarray | None = None) -> dict[str, str]:
    """Verdicts of the laws by name; of a record whose matrices are others where they are given."""
    result = measure(spec)
    if h_res is not None:
        result = replace_composites(result, h_res)
    return {check.name: check.verdict for check in verify(spec, result, None) if check.name in LAWS}


def replace_composites(result: Any, h_res: np.ndarray) -> Any:
    composites = measure_composites(h_res)
    changed = type(result)(result.depth)
    changed.__dict__.update(result.__dict__)
    changed.layers = result.layers | {key: value for key, (value, _) in composites.items()}
    changed.layers_log10 = result.layers_log10 | {key: log for key, (_, log) in composites.items()}
    return changed


@pytest.mark.parametrize("scale", [0.05, 0.5, 1.0])
def test_singular_values_of_products_are_those_of_exact_arithmetic(scale: float) -> None:
    """Down to 1e-60, where a decomposition of the product in float64 finds nothing but rounding."""
    generator = np.random.default_rng(1)
    h_res = np.eye(4) * 0.6 + scale * generator.normal(size=(40, 4, 4)) / 4
    composites = measure_composites(h_res)
    with mp.workdps(150):
        for layer, product in enumerate(accumulate(map(matrix, h_res), lambda up, h: h * up)):
            singular = sorted(svd_r(product, compute_uv=False))
            for key, exact in (("composite_sigma_max", singular[-1]), ("composite_sigma_min", singular[0])):
                log10 = composites[key][1][layer]
                if np.isfinite(log10):
                    assert log10 == pytest.approx(float(mp.log10(exact)), abs=1e-9), key
    known = np.isfinite(composites["composite_sigma_min"][1])
    assert known[:8].all()
    assert not (np.diff(known.astype(int)) > 0).any(), "what is once unknown stays so"


def test_a_value_that_rounding_of_entries_decides_is_missing() -> None:
    """Rounding entries of H_res to float32 changes every value that is not nan by less than 10 %."""
    generator = np.random.default_rng(2)
    for noise in (0.0, 1e-6, 1e-4, 1e-2):
        h_res = 0.25 + noise * generator.normal(size=(64, 4, 4))
        moved = h_res * (1 + 2.0**-24 * generator.choice([-1, 1], size=h_res.shape))
        before, after = (measure_composites(matrices)["composite_sigma_min"][1] for matrices in (h_res, moved))
        both = np.isfinite(before) & np.isfinite(after)
        assert np.abs(before - after)[both].max(initial=0.0) < np.log10(1.1)
        assert both.any() == (noise > 1e-5)


@pytest.mark.sample(7, 5)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", BOUNDED)
def test_laws_of_norms_hold_where_they_apply(kind: str, dynamic: bool, dtype: str) -> None:
    if dynamic and not FAMILIES[kind].by_token:
        pytest.fail("every bounded family so far can depend on tokens")
    init = "deepseek_v4" if dynamic else "residual"
    found = list_laws(build(kind, dtype=dtype, dynamic=dynamic, init=init))
    floor = kind in ORTHOGONAL and (not dynamic or FAMILIES[kind].is_identity)
    assert found == dict.fromkeys(LAWS if floor else LAWS[:1], "holds")


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind not in BOUNDED])
def test_no_law_of_norms_applies_to_other_families(kind: str) -> None:
    assert list_laws(build(kind)) == {}


def test_no_law_of_norms_applies_to_a_coarse_mapping_or_one_stream() -> None:
    assert list_laws(build("orthogonal", mapping_dtype="bfloat16")) == {}
    assert list_laws(build("orthogonal", streams=1)) == {}


@pytest.mark.parametrize(("kind", "size", "law"), [
    ("orthogonal", 1.001, "norm_bound"), ("orthogonal", 0.999, "singular_floor"), ("shc", 1.001, "norm_bound"),
    ("orthostochastic", 1.001, "norm_bound"),
])  # fmt: skip
def test_matrices_a_little_too_large_or_small_break_the_law(kind: str, size: float, law: str) -> None:
    spec = build(kind)
    h_res = measure(spec).matrices["h_res"].astype(np.float64)
    assert set(list_laws(spec, h_res).values()) == {"holds"}
    assert list_laws(spec, size * h_res)[law] == "fails"


def test_a_map_that_is_not_orthogonal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first order of the Cayley transform, which many take for it: I - 2 A."""
    right: Any = manifold._to_mixing

    def wrong(*arguments: Any) -> Any:
        made = right(*arguments)
        raw = arguments[2].unflatten(-1, (4, 4))
        return made._replace(h_res=torch.eye(4) - 2 * (raw - raw.mT))

    monkeypatch.setattr(manifold, "_to_mixing", wrong)
    spec = build("orthogonal", noise=0.02, depth=13)
    assert "fails" in list_laws(spec).values()


@pytest.mark.parametrize("kind", ORTHOGONAL)
def test_gains_of_orthogonal_mixing_lie_between_1_and_the_root_of_the_streams(kind: str) -> None:
    """The norm of (1, ..., 1) is the root of n, and stays: its largest entry is 1 at least."""
    result = measure(build(kind, depth=64, dtype="float64"))
    for key in ("composite_gain_fwd", "composite_gain_bwd"):
        assert result.layers[key].min() >= 1 - 1e-9
        assert result.layers[key].max() <= 2 + 1e-9


@pytest.mark.parametrize("kind", ["orthogonal", "jpmhc", "quaternion", "shc"])
def test_recomputed_singular_values_agree(kind: str) -> None:
    spec = build(kind, noise=3.0)
    checks = {check.metric: check.verdict for check in verify(spec, measure(spec), recompute(spec))}
    assert checks["composite_sigma_min"] == checks["composite_sigma_max"] == "holds"
