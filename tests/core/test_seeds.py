"""Seeds: what a draw depends on, and what it must not depend on."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.families import FAMILIES
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.rng import normal
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure


def branch_weights(**fields: Any) -> list[dict[str, torch.Tensor]]:
    """Named weights of every layer's branch."""
    branches = build_stack(build_spec(dtype=fields.pop("dtype", "float32"), **fields)).branches
    return [{name: weight.detach() for name, weight in branch.named_parameters()} for branch in branches]


def assert_same(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name].to(left[name].dtype)) for name in left)


@pytest.mark.parametrize("weights", ["he", "xavier", "orthogonal"])
def test_branches_are_the_same_bits_under_every_connection(weights: str) -> None:
    one = branch_weights(block={"weights": weights}, connection=CONNECTIONS["residual"])
    for connection in CONNECTIONS.values():
        rule = FAMILIES[connection["kind"]].rule
        for streams in (n for n in (2, 4) if rule(n, 16) is None):
            assert_same(one, branch_weights(block={"weights": weights}, connection={**connection, "streams": streams}))


def test_a_deeper_stack_keeps_its_first_layers() -> None:
    assert_same(branch_weights(depth=3), branch_weights(depth=7)[:3])
    short, long = draw_mixing_noise(build_spec(depth=3), 16), draw_mixing_noise(build_spec(depth=7), 16)
    assert torch.equal(short, long[:3])


def test_layers_matrices_and_seeds_differ() -> None:
    draws = [branch_weights(seed=seed)[layer]["w_out"] for seed in (0, 1) for layer in (0, 2)]
    for i, one in enumerate(draws):
        assert all(not torch.equal(one, other) for other in draws[i + 1 :])
    names = [normal(0, name, 0, 16) for name in ("attention.qkv", "attention.out", "mlp.in", "mlp.out")]
    assert len({tuple(draw.tolist()) for draw in names}) == 4


@pytest.mark.parametrize("dynamic", [False, True])
def test_hc_and_mhc_drift_by_the_same_noise(dynamic: bool) -> None:
    def raw(kind: str, noise: float) -> torch.Tensor:
        connection = {"kind": kind, "noise": noise, "dynamic": dynamic}
        parts = build_stack(build_spec(connection=connection)).connection
        name = "a_r" if kind == "hc" else "b_res"
        if dynamic:
            return torch.stack([getattr(mixer, name).detach() for mixer in parts.mixers])  # type: ignore[union-attr]
        stacked: torch.Tensor = getattr(parts, name).detach()
        return stacked

    drift = {kind: (raw(kind, 0.7) - raw(kind, 0.0)).flatten(1) for kind in ("hc", "mhc")}
    noise = draw_mixing_noise(build_spec(connection={"noise": 0.7}), 16).double()
    # The parameters are float32 numbers near 1 and near -8: the sum rounds.
    assert (drift["hc"] - noise).abs().max() < 1e-6
    assert (drift["mhc"] - noise).abs().max() < 1e-6
    assert noise.std() == pytest.approx(0.7, rel=0.4)


def test_noise_scales_one_draw() -> None:
    one, three = (draw_mixing_noise(build_spec(connection={"noise": sigma}), 16) for sigma in (1.0, 3.0))
    assert torch.allclose(3 * one, three, rtol=1e-6)


@pytest.mark.sample(5)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_float64_run_holds_the_weights_of_its_float32_twin(connection: dict[str, Any]) -> None:
    # phi, embedding and read-out included. The one exception is a bias that a preset defines exactly (test_presets.py).
    double = build_stack(build_spec(connection=connection, dtype="float64")).state_dict()
    single = build_stack(build_spec(connection=connection, dtype="float32")).state_dict()
    assert double.keys() == single.keys()
    for name, value in double.items():
        assert torch.equal(value.to(single[name].dtype), single[name]), name


def test_a_bfloat16_run_holds_the_rounded_weights() -> None:
    assert_same(branch_weights(dtype="bfloat16"), branch_weights(dtype="float32"))


def test_draws_are_standard_normal_and_independent() -> None:
    draw = normal(0, "anything", 5, 200, 500).double()
    assert draw.mean().abs() < 5 / 100_000**0.5
    assert (draw.std() - 1).abs() < 5 / 200_000**0.5
    assert abs(float((draw**4).mean()) - 3) < 5 * (96 / 100_000) ** 0.5
    other = normal(0, "anything", 6, 200, 500).double()
    assert (draw * other).mean().abs() < 5 / 100_000**0.5


def test_draws_never_change() -> None:
    # The numbers behind every published figure: the same on every machine and with every numpy.
    assert normal(0, "mlp.in", 0, 3).tolist() == [-1.3763558864593506, 1.462174415588379, 2.080583333969116]


FORWARD = ("act_rms", "act_rms_streams", "branch_in_rms", "branch_out_rms", "cos_prev", "token_cos", "effective_rank")


@pytest.mark.sample(5)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_curves_extend_when_the_depth_grows(connection: dict[str, Any]) -> None:
    short = measure(build_spec(depth=3, connection=connection))
    long = measure(build_spec(depth=9, connection=connection))
    if FAMILIES[connection["kind"]].by_depth:
        assert not np.allclose(long.matrices["h_res"][:3], short.matrices["h_res"])
        return
    for key in FORWARD:
        # Layers are measured in batches whose size may change the order of a sum.
        np.testing.assert_allclose(long.layers[key][:3], short.layers[key], rtol=1e-12, err_msg=key)
    np.testing.assert_allclose(long.matrices["cka"][:3, :3], short.matrices["cka"], rtol=1e-9, atol=1e-12)
    # Matrices of all layers are normalised together, by vector instructions that may round the last few otherwise.
    if not FAMILIES[connection["kind"]].has_mixing:
        np.testing.assert_allclose(long.matrices["unfolded"][:3, :4], short.matrices["unfolded"], rtol=1e-12)
        return
    for key, table in (("h_res", "matrices"), ("composite_gain_fwd", "layers")):
        np.testing.assert_allclose(getattr(long, table)[key][:3], getattr(short, table)[key], rtol=1e-14, err_msg=key)
