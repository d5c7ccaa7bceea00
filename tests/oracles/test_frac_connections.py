"""Our Frac-Connections against `HyperConnections(1, num_fracs=m)` of hyper-connections, weights copied, over a stack.

Three things are theirs alone. Columns of Y and A take turns in their one matrix. Their start is not the residual
network, so starts are not compared. And every part of the branch output goes into every part of the state, where the
paper multiplies part i by B_i (arXiv 2503.14125, Algorithm 2): the parts of the output are fed to theirs one at a time,
and each is kept where the paper puts it.
"""

import pytest
import torch
from hyper_connections import HyperConnections

from mhc_core.layers.connections import Mixing, build_connection
from mhc_core.layers.frac import DynamicFrac, DynamicFracLayer, StaticFrac
from mhc_core.spec import parse_spec
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

LAYERS = 5
SIZES = [(2, 8, 0), (3, 12, 1), (4, 32, 2), (8, 16, 3)]


def theirs(m: int, width: int, seed: int, *, dynamic: bool) -> list[HyperConnections]:
    layers = [HyperConnections(1, dim=width, layer_index=0, num_fracs=m).double() for _ in range(LAYERS)]
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for name, parameter in layer.named_parameters():
                if name.startswith("static") or (dynamic and name.startswith("dynamic")):
                    parameter += 0.3 * draw(1000 * seed + 10 * k, *parameter.shape)
            # The paper predicts B_i from part i by one vector; theirs has a column for each part that is written.
            layer.dynamic_beta_fn.copy_(layer.dynamic_beta_fn[:, :1].expand_as(layer.dynamic_beta_fn))
    return layers


def ours(m: int, width: int, layers: list[HyperConnections], *, dynamic: bool) -> StaticFrac | DynamicFrac:
    connection = {"kind": "frac", "streams": m, "noise": 0.0, "dynamic": dynamic}
    spec = parse_spec(
        {"depth": LAYERS, "width": width, "dtype": "float64", "block": {"kind": "mlp"}, "connection": connection}
    )
    built = build_connection(spec).double()
    assert isinstance(built, StaticFrac | DynamicFrac)
    with torch.no_grad():
        for index, layer in enumerate(layers):
            y, a = layer.static_alpha[:, 0::2], layer.static_alpha[:, 1::2]
            if isinstance(built, StaticFrac):
                built.y[index], built.a[index], built.b[index] = y, a, layer.static_beta
                continue
            mixer = built.mixers[index]
            assert isinstance(mixer, DynamicFracLayer)
            for own, value in (
                (mixer.y, y),
                (mixer.a, a),
                (mixer.b, layer.static_beta),
                (mixer.w_y, layer.dynamic_alpha_fn[:, 0::2]),
                (mixer.w_a, layer.dynamic_alpha_fn[:, 1::2]),
                (mixer.w_b, layer.dynamic_beta_fn[:, :1]),
                (mixer.s_a, layer.dynamic_alpha_scale),
                (mixer.s_b, layer.dynamic_beta_scale),
            ):
                own.copy_(value)
    return built


def their_layer(layer: HyperConnections, state: torch.Tensor, m: int) -> torch.Tensor:
    u, passed, beta = layer.width_connection(state)
    parts = torch.sin(3 * u).chunk(m, -1)
    nothing = torch.zeros_like(passed)
    written = []
    for k, part in enumerate(parts):
        alone = torch.cat([part if i == k else torch.zeros_like(part) for i in range(m)], -1)
        written.append(layer.depth_connection(alone, nothing, **beta).chunk(m, -1)[k])
    return passed + torch.cat(written, -1)


def our_layer(connection: StaticFrac | DynamicFrac, index: int, state: torch.Tensor) -> torch.Tensor:
    static = connection.static_mixing()
    mixing = connection.dynamic_mixing(index, state) if static is None else Mixing(*(part[index] for part in static))
    return connection.write(state, torch.sin(3 * connection.read(state, mixing)), mixing)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize(("m", "width", "seed"), SIZES)
def test_output_and_gradients_are_the_same(m: int, width: int, seed: int, dynamic: bool) -> None:
    layers = theirs(m, width, seed, dynamic=dynamic)
    connection = ours(m, width, layers, dynamic=dynamic)
    x_theirs, x_ours = (draw(seed, 6, width).requires_grad_() for _ in range(2))
    out_theirs, out_ours = x_theirs.unsqueeze(0), connection.expand(x_ours)
    for index, layer in enumerate(layers):
        out_theirs = their_layer(layer, out_theirs, m)
        out_ours = our_layer(connection, index, out_ours)
    out_theirs, out_ours = out_theirs.squeeze(0), connection.reduce(out_ours)
    assert out_theirs.abs().max() > 0.1
    assert (out_ours - out_theirs).abs().max() < 1e-9 * out_theirs.abs().max()
    weight = draw(seed + 5, 6, width)
    for out in (out_theirs, out_ours):
        (out * weight).sum().backward()
    assert_same(x_ours.grad, x_theirs.grad)
    for index, layer in enumerate(layers):
        alpha, beta = layer.static_alpha.grad, layer.static_beta.grad
        if isinstance(connection, StaticFrac):
            assert connection.y.grad is not None
            assert connection.a.grad is not None
            assert connection.b.grad is not None
            assert_same(connection.y.grad[index], alpha[:, 0::2])
            assert_same(connection.a.grad[index], alpha[:, 1::2])
            assert_same(connection.b.grad[index], beta)
            continue
        mixer = connection.mixers[index]
        assert isinstance(mixer, DynamicFracLayer)
        assert_same(mixer.y.grad, alpha[:, 0::2])
        assert_same(mixer.w_a.grad, layer.dynamic_alpha_fn.grad[:, 1::2])
        assert_same(mixer.w_y.grad, layer.dynamic_alpha_fn.grad[:, 0::2])
        assert_same(mixer.w_b.grad, layer.dynamic_beta_fn.grad.sum(1, keepdim=True))
        assert_same(mixer.s_a.grad, layer.dynamic_alpha_scale.grad)
        assert_same(mixer.s_b.grad, layer.dynamic_beta_scale.grad)


def assert_same(got: torch.Tensor | None, wanted: torch.Tensor | None) -> None:
    assert got is not None
    assert wanted is not None
    assert wanted.abs().max() > 0
    assert (got - wanted).abs().max() < 1e-9 * wanted.abs().max()
