"""One row a family: what follows from it."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from mhc_core.families.quaternion import QuaternionMap
from mhc_core.family import MapSettings
from mhc_core.layers.connections import build_connection
from mhc_core.layers.inits import PRESETS
from mhc_core.spec import FAMILIES, SpecErrors, parse_spec
from mhc_core.spec.connection import ConnectionKind
from tests.core.conftest import draw_h_res


def test_every_family_has_a_row_and_a_builder() -> None:
    assert get_args(ConnectionKind) == tuple(FAMILIES)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_spec_holds_the_streams_that_the_row_allows(kind: str) -> None:
    for n in range(1, 17):
        wanted = FAMILIES[kind].rule(n, 24)
        fields = {"width": 24, "connection": {"kind": kind, "streams": n}}
        if wanted is None:
            parse_spec(fields)
        else:
            with pytest.raises(SpecErrors) as caught:
                parse_spec(fields)
            assert [(error.field, error.got, error.wanted) for error in caught.value.errors] == [
                ("connection.streams", n, wanted)
            ]


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.has_streams])
def test_mixing_has_the_stated_properties(kind: str) -> None:
    """Under drifts of 1 and 10, over 64 layers: what is called exact holds to rounding, and nothing else does."""
    family = FAMILIES[kind]
    h_res = torch.cat([draw_matrices(kind, noise) for noise in (1.0, 10.0)])
    eye = torch.eye(h_res.shape[-1], dtype=torch.float64)
    sums = {"rows": h_res.sum(2), "columns": h_res.sum(1)}
    error = {name: (found - 1).abs().max().item() for name, found in sums.items()}
    for name, stated in (("rows", family.rows), ("columns", family.columns)):
        assert (error[name] < 1e-6) == (stated in ("exact", "rounds")), name
    singular = torch.linalg.svdvals(h_res)
    assert (singular.max().item() < 1 + 1e-6) == family.norm_bounded
    assert ((singular - 1).abs().max().item() < 1e-6) == family.orthogonal
    assert (h_res.min().item() < 0) == family.signed
    assert torch.equal(h_res, eye.expand_as(h_res)) == family.is_identity
    raw = build_connection(parse_spec({"width": 16, "connection": {"kind": kind}})).raw_residual()
    assert (0 if raw is None else raw[0].numel()) == family.logits(4)
    if family.drawn == "entries":
        drift = draw_matrices(kind, 1.0) - eye
        assert drift.std().item() == pytest.approx(1, abs=0.1)


def test_groups_follow_from_properties() -> None:
    groups = {kind: family.group for kind, family in FAMILIES.items()}
    for kind, group in {
        "residual": "One stream",
        "frac": "Free mixing",
        "mhc": "Doubly stochastic",
        "circulant": "Doubly stochastic",
        "identity_hc": "Other constraints",
        "gated": "Other constraints",
        "weighted": "Other constraints",
        "one_sided": "Other constraints",
        "orthogonal": "Orthogonal",
        "jpmhc": "Other constraints",
        "shc": "Other constraints",
    }.items():
        assert groups[kind] == group
    assert replace(FAMILIES["mhc_lite"], signed=True).group == "Other constraints"


def draw_matrices(kind: str, noise: float) -> torch.Tensor:
    """H_res of 64 layers of four streams in float64, (64, 4, 4)."""
    connection = {"kind": kind, "noise": noise, "sinkhorn_iters": 1}
    spec = parse_spec({"depth": 64, "width": 16, "dtype": "float64", "connection": connection})
    return draw_h_res(spec)


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.is_mapped and family.signed])
def test_every_start_of_mixing_with_signs_is_near_the_identity_or_has_sums_of_1(kind: str) -> None:
    """To the last bit, except of sHC: its singular values are tanh(s), and 1."""
    for init in PRESETS:
        spec = parse_spec({"depth": 2, "width": 16, "connection": {"kind": kind, "init": init, "noise": 0.0}})
        mixing = build_connection(spec).static_mixing()
        assert mixing is not None
        eye = torch.eye(4).expand_as(mixing.h_res)
        if kind == "shc":
            assert (mixing.h_res.sum(1) - 1).abs().max() < 1e-6
            assert ((mixing.h_res - eye).abs().max() < 1e-3) == (init in ("residual", "mhc_lite", "hy_v4"))
        else:
            assert torch.equal(mixing.h_res, eye), init


def test_singular_values_of_the_iterated_transform_are_those_of_its_polynomial() -> None:
    """sqrt(1 - u^4 / 4 + u^6 / 16) of eigenvalues i v of W, u = 0.1 |v|: at least sqrt(11 / 27), above 1 for u > 2."""
    for noise in (0.3, 3.0, 10.0):
        spec = parse_spec(
            {"depth": 64, "width": 16, "dtype": "float64", "connection": {"kind": "jpmhc", "noise": noise}}
        )
        connection = build_connection(spec)
        mixing, raw = connection.static_mixing(), connection.raw_residual()
        assert mixing is not None
        assert raw is not None
        w = raw.detach().double().reshape(64, 4, 4)
        u = 0.1 * torch.linalg.eigvals(w - w.mT).abs()
        wanted = (1 - u**4 / 4 + u**6 / 16).sqrt().sort().values
        found = torch.linalg.svdvals(mixing.h_res.detach()).sort().values
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
        assert found.min() >= (11 / 27) ** 0.5 - 1e-9
        assert bool(found.max() > 1 + 1e-9) == bool(u.max() > 2)


def test_two_quaternions_reach_every_rotation_of_four_streams() -> None:
    """Every rotation R is p x conj(q) for some p and q, which a singular value decomposition finds."""
    generator = torch.Generator().manual_seed(0)
    mapped = QuaternionMap(MapSettings(4))
    units = torch.eye(4, dtype=torch.float64)
    pairs = torch.stack([torch.cat([p, q]) for p in units for q in units])
    # The 16 matrices of two units are orthogonal to each other, each of squared size 4: R = sum p_i q_j M_ij.
    basis = mapped(pairs).reshape(4, 4, 4, 4)
    for _ in range(20):
        wanted = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
        wanted[:, 0] *= torch.linalg.det(wanted)
        outer = torch.einsum("abij,ij->ab", basis, wanted) / 4
        u, s, vh = torch.linalg.svd(outer)
        torch.testing.assert_close(s, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
        found = mapped(torch.cat([u[:, 0], vh[0]]))
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.columns == "limit"])
def test_columns_come_near_1_with_many_rounds(kind: str) -> None:
    errors = []
    for rounds in (1, 10, 100):
        connection = {"kind": kind, "noise": 1.0, "init": "megatron", "sinkhorn_iters": rounds}
        mixing = build_connection(parse_spec({"depth": 8, "connection": connection})).static_mixing()
        assert mixing is not None
        errors.append((mixing.h_res.sum(1) - 1).abs().max().item())
    assert errors[0] > 10 * errors[1]
    assert errors[2] < 1e-6
