"""Which premise a spec does not meet: one for every metric without a law, and the field that it names."""

from typing import Any

import pytest

from mhc_core.theory.laws import explain_missing_laws, predict
from mhc_core.theory.premises import SPOKEN_OF
from tests.core.conftest import build_spec
from tests.core.theory.test_curves import BASE, MLP, PLAIN, PRE, RESIDUAL, TWO

SPECS = [
    {"connection": connection, "block": block, "input": input_, "train": {"steps": steps}}
    for connection in (
        {"kind": "none"}, {"kind": "residual"}, {"kind": "frac"},
        {"kind": "hc"}, {"kind": "hc", "noise": 0.0}, {"kind": "hc", "streams": 1},
        {"kind": "mhc"}, {"kind": "mhc", "sinkhorn_iters": 0}, {"kind": "mhc", "sinkhorn_eps": 1e-6},
        {"kind": "mhc", "init": "mhc_lite"}, {"kind": "mhc", "init": "megatron", "dynamic": True},
        {"kind": "mhc_lite"}, {"kind": "kromhc", "dynamic": True}, {"kind": "identity_hc"},
    )
    for block in (
        MLP, PRE, TWO, {**PRE, "activation": "gelu"}, {**MLP, "branch_scale": 0.0}, {**TWO, "norm_position": "post"},
        {**PRE, "scaling": "rezero"}, {**TWO, "norm_position": "post", "scaling": "deepnorm"}, {"kind": "transformer"},
        {**MLP, "norm_position": "pre", "norm": "layernorm"},
    )
    for input_, steps in (({"kind": "gaussian"}, 0), ({"kind": "text"}, 0), ({"kind": "text"}, 10))
]  # fmt: skip


def test_every_metric_has_a_curve_or_the_premise_that_is_not_met() -> None:
    seen: set[str] = set()
    for fields in SPECS:
        spec = build_spec(BASE, **fields)
        drawn = {curve.metric for curve in predict(spec)}
        premises = explain_missing_laws(spec)
        assert drawn | premises.keys() == SPOKEN_OF.keys(), fields
        assert not drawn & premises.keys(), fields
        for premise in premises.values():
            *path, leaf = premise.field.split(".")
            part = getattr(spec, path[0]) if path else spec
            assert getattr(part, leaf) == premise.got, fields
            seen.add(premise.field)
    assert len(seen) > 8, seen


@pytest.mark.parametrize(
    ("metric", "field", "fields"),
    [
        ("act_rms", "block.kind", {"connection": RESIDUAL, "block": {"kind": "transformer"}}),
        ("act_rms", "connection.noise", {"connection": {"kind": "hc"}, "block": PRE}),
        ("act_rms", "width", {"connection": PLAIN, "block": MLP, "width": 12}),
        ("grad_rms", "input.kind", {"connection": RESIDUAL, "block": PRE, "input": {"kind": "text"}}),
        ("composite_gain_fwd", "connection.kind", {"connection": PLAIN, "block": MLP}),
        ("composite_gain_fwd", "connection.sinkhorn_iters", {"connection": {"kind": "mhc", "sinkhorn_iters": 0}}),
        ("composite_gain_bwd", "connection.kind", {"connection": {"kind": "mhc"}}),
        ("token_cos", "connection.kind", {"connection": RESIDUAL, "block": PRE}),
        ("act_rms", "block.norm_position", {"connection": PLAIN, "block": {**TWO, "activation": "gelu"}}),
        ("composite_gain_fwd", "connection.noise", {"connection": {"kind": "hc", "noise": 1.0, "streams": 2}}),
    ],
)
def test_the_premise_that_is_not_met_is_named(metric: str, field: str, fields: dict[str, Any]) -> None:
    assert explain_missing_laws(build_spec(BASE, **fields))[metric].field == field
