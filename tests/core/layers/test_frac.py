"""Frac-Connections where the answer is known: the plain residual network, and mixing between parts of the width."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.connections import Mixing, build_connection
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.spec import SpecErrors
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure


@pytest.mark.sample("values", "pairs")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("position", ["pre", "post", "none"])
@pytest.mark.parametrize("block", ["transformer", "mlp", "conv", "pair"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_without_drift_it_is_the_residual_network_exactly(dynamic: bool, block: str, position: str, dtype: str) -> None:
    """B = 1 and Y = A = I: the same bits up, and the same gradients to rounding."""
    fields: dict[str, Any] = {
        "block": {"kind": block, "norm_position": position},
        "dtype": dtype,
        "input": {"tokens": 9},
    }
    frac = measure(build_spec(connection={"kind": "frac", "noise": 0.0, "dynamic": dynamic}, **fields))
    plain = measure(build_spec(connection={"kind": "residual"}, **fields))
    assert frac.loss == plain.loss
    for key in ("act_rms", "branch_in_rms", "branch_out_rms", "cos_prev", "token_cos", "effective_rank"):
        np.testing.assert_array_equal(frac.layers[key], plain.layers[key], err_msg=key)
    np.testing.assert_array_equal(frac.matrices["cka"], plain.matrices["cka"])
    rtol = {"float64": 1e-13, "float32": 1e-5, "bfloat16": 3e-2}[dtype]
    for key in ("grad_rms", "branch_grad_rms", "param_grad_norm"):
        np.testing.assert_allclose(frac.layers[key], plain.layers[key], rtol=rtol, err_msg=key)
    np.testing.assert_allclose(frac.input["grad_rms"], plain.input["grad_rms"], rtol=rtol)
    for key in ("composite_gain_fwd", "composite_gain_bwd"):
        np.testing.assert_array_equal(frac.layers[key], 1.0, err_msg=key)
    if not dynamic:
        np.testing.assert_array_equal(frac.matrices["h_read"], np.broadcast_to(np.eye(4), (4, 4, 4)))


def test_the_sizes_of_parts_make_up_the_size_of_the_whole() -> None:
    result = measure(build_spec(connection={"kind": "frac", "noise": 1.0}))
    parts, whole = result.layers["act_rms_streams"], result.layers["act_rms"]
    np.testing.assert_allclose(np.square(parts).mean(1), np.square(whole), rtol=1e-12)
    np.testing.assert_allclose(
        np.square(result.layers["grad_rms_streams"]).mean(1), np.square(result.layers["grad_rms"]), rtol=1e-12
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_drift_is_hcs_draw_on_the_matrix_that_passes_parts_by(dynamic: bool) -> None:
    def mixing(kind: str) -> np.ndarray:
        return measure(build_spec(connection={"kind": kind, "noise": 0.7, "dynamic": dynamic})).matrices["h_res"]

    np.testing.assert_allclose(mixing("frac"), mixing("hc"), rtol=1e-12)
    noise = draw_mixing_noise(build_spec(connection={"kind": "frac", "noise": 0.7}), 16).double().view(-1, 4, 4)
    np.testing.assert_allclose(mixing("frac"), np.eye(4) + noise.numpy().transpose(0, 2, 1), atol=1e-6)


def test_parts_are_neighbouring_features_and_rows_are_what_is_written() -> None:
    """One layer by hand: part 0 of the next state is part 1 of this one, part 1 is 2 F's part 1, F reads swapped."""
    connection = build_connection(build_spec(depth=1, width=4, connection={"kind": "frac", "streams": 2}))
    swap, h_res = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    mixing = Mixing(swap, torch.tensor([0.0, 2.0]), h_res)
    state, y = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    assert connection.read(state, mixing).tolist() == [[3.0, 4.0, 1.0, 2.0]]
    assert connection.write(state, y, mixing).tolist() == [[3.0, 4.0, 60.0, 80.0]]
    assert connection.streams(state).tolist() == [[[1.0, 2.0]], [[3.0, 4.0]]]
    assert connection.merge(connection.streams(state)).tolist() == state.tolist()
    assert connection.merge_grad(connection.streams(state)).tolist() == state.tolist()


def test_parameters_are_as_many_as_the_paper_counts() -> None:
    """m (2 m + 1) static (Eq. 16), C / m (2 m + 1) + 2 more for the dynamic part (Eq. 19; our norm has no gain)."""
    for m in (1, 2, 4):
        static, dynamic = (
            build_connection(build_spec(depth=3, connection={"kind": "frac", "streams": m, "dynamic": flag}))
            for flag in (False, True)
        )
        assert sum(p.numel() for p in static.parameters()) == 3 * m * (2 * m + 1)
        assert sum(p.numel() for p in dynamic.parameters()) == 3 * (m * (2 * m + 1) + 8 // m * (2 * m + 1) + 2)


def test_one_part_is_hc_with_one_stream() -> None:
    """The paper's n = 1; A_m there and Y here are the same number."""
    one, other = (build_stack(build_spec(connection={"kind": kind, "streams": 1})) for kind in ("frac", "hc"))
    assert one().item() == pytest.approx(other().item(), rel=1e-13)


def test_a_width_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(SpecErrors) as refusal:
        build_spec(connection={"kind": "frac", "streams": 3})
    (error,) = refusal.value.errors
    assert error.field == "connection.streams"
