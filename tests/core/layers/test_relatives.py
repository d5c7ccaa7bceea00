"""mHC's relatives: doubly stochastic by construction, at any size of the logits."""

import pytest
import torch

from mhc_core.layers.connections import build_connection
from mhc_core.spec import SpecErrors
from tests.core.conftest import build_spec

EXACT = ("mhc_lite", "kromhc", "orthostochastic", "identity_hc")


@pytest.mark.sample(4)
@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 50.0])
@pytest.mark.parametrize("kind", EXACT)
def test_rows_and_columns_sum_to_one_at_any_scale(kind: str, scale: float) -> None:
    connection = build_connection(build_spec(depth=100, dtype="float32", connection={"kind": kind, "noise": 1.0}))
    with torch.no_grad():
        connection.get_parameter("b_res").mul_(scale)
        mixing = connection.float().static_mixing()
    assert mixing is not None
    for axis in (1, 2):
        assert (mixing.h_res.sum(axis) - 1).abs().max() < 1e-6
    assert mixing.h_res.min() >= 0


@pytest.mark.parametrize("kind", ["mhc_lite", "kromhc", "orthostochastic"])
def test_logits_move_the_matrix(kind: str) -> None:
    still, moved = (
        build_connection(build_spec(connection={"kind": kind, "noise": noise})).static_mixing() for noise in (0.0, 2.0)
    )
    assert still is not None
    assert moved is not None
    assert (still.h_res.diagonal(dim1=1, dim2=2) > 0.99).all()
    assert (moved.h_res - still.h_res).abs().amax((1, 2)).min() > 1e-4


@pytest.mark.parametrize(("kind", "streams", "wanted"), [("kromhc", 6, "a power of two"), ("mhc_lite", 6, "at most 5")])
def test_impossible_numbers_of_streams_are_refused(kind: str, streams: int, wanted: str) -> None:
    with pytest.raises(SpecErrors) as refusal:
        build_spec(connection={"kind": kind, "streams": streams})
    (error,) = refusal.value.errors
    assert error.field == "connection.streams"
    assert wanted in error.wanted
