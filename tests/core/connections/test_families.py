"""One row a family: what follows from it."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from mhc_core.connections import build_connection
from mhc_core.spec import FAMILIES, SpecErrors, parse_spec
from mhc_core.spec.connection import ConnectionKind


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
    """Under a drift of 1, over 64 layers: what is called exact holds to rounding, and nothing else does."""
    family = FAMILIES[kind]
    connection = {"kind": kind, "noise": 1.0, "sinkhorn_iters": 1}
    spec = parse_spec({"depth": 64, "width": 16, "dtype": "float64", "connection": connection})
    mixing = build_connection(spec).static_mixing()
    assert mixing is not None
    h_res = mixing.h_res.detach().double()
    eye = torch.eye(4, dtype=torch.float64)
    sums = {"rows": h_res.sum(2), "columns": h_res.sum(1)}
    error = {name: (found - 1).abs().max().item() for name, found in sums.items()}
    for name, stated in (("rows", family.rows), ("columns", family.columns)):
        assert (error[name] < 1e-6) == (stated in ("exact", "rounds")), name
    assert (torch.linalg.matrix_norm(h_res, 2).max().item() < 1 + 1e-6) == family.norm_bounded
    assert (h_res.min().item() < 0) == family.signed
    assert torch.equal(h_res, eye.expand_as(h_res)) == family.is_identity
    raw = build_connection(spec).raw_residual()
    assert (0 if raw is None else raw[0].numel()) == family.logits(4)
    if family.drawn == "entries":
        drift = h_res - eye
        assert drift.std().item() == pytest.approx(1, abs=0.1)


def test_groups_follow_from_properties() -> None:
    groups = {kind: family.group for kind, family in FAMILIES.items()}
    for kind, group in {
        "residual": "One stream",
        "frac": "Free mixing",
        "mhc": "Doubly stochastic",
        "circulant": "Doubly stochastic",
        "identity_hc": "Other constraints",
        "one_sided": "Other constraints",
    }.items():
        assert groups[kind] == group
    bounded = replace(FAMILIES["mhc_lite"], rows="free", columns="free", signed=True)
    assert bounded.group == "Bounded norm"
    assert replace(FAMILIES["mhc_lite"], signed=True).group == "Other constraints"


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
