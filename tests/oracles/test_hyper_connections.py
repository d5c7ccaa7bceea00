"""Our HC against `HyperConnections` of hyper-connections, weights copied, static and dynamic, over a small stack."""

import pytest
import torch
from hyper_connections import HyperConnections
from torch import nn

from mhc_core.layers.connections import build_connection
from mhc_core.layers.hc import DynamicHC, DynamicHCLayer, StaticHC
from mhc_core.spec import parse_spec
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

LAYERS = 5
SIZES = [(1, 8, 0), (2, 8, 1), (3, 5, 2), (4, 32, 3), (8, 12, 4)]


def theirs(n: int, width: int, seed: int, *, dynamic: bool) -> list[HyperConnections]:
    layers = [HyperConnections(n, dim=width, layer_index=index).double() for index in range(LAYERS)]
    with torch.no_grad():
        for k, layer in enumerate(layers):
            for name, parameter in layer.named_parameters():
                if name.startswith("static") or (dynamic and name.startswith("dynamic")):
                    parameter += 0.3 * draw(1000 * seed + 10 * k, *parameter.shape)
    return layers


def ours(n: int, width: int, *, dynamic: bool) -> StaticHC | DynamicHC:
    connection = {"kind": "hc", "streams": n, "noise": 0.0, "dynamic": dynamic}
    spec = parse_spec(
        {"depth": LAYERS, "width": width, "dtype": "float64", "block": {"kind": "mlp"}, "connection": connection}
    )
    built = build_connection(spec).double()
    assert isinstance(built, StaticHC | DynamicHC)
    return built


def copy_weights(connection: StaticHC | DynamicHC, layers: list[HyperConnections]) -> None:
    """Their alpha is [A_m | A_r], a column for the branch input and one for each output stream."""
    with torch.no_grad():
        for index, layer in enumerate(layers):
            alpha = layer.static_alpha
            if isinstance(connection, StaticHC):
                connection.a_m[index], connection.a_r[index] = alpha[:, 0], alpha[:, 1:]
                connection.b[index] = layer.static_beta
                continue
            mixer = connection.mixers[index]
            assert isinstance(mixer, DynamicHCLayer)
            mixer.a_m.copy_(alpha[:, 0])
            mixer.a_r.copy_(alpha[:, 1:])
            mixer.b.copy_(layer.static_beta)
            mixer.w_m.copy_(layer.dynamic_alpha_fn[:, :1])
            mixer.w_r.copy_(layer.dynamic_alpha_fn[:, 1:])
            mixer.w_b.copy_(layer.dynamic_beta_fn[:, None])
            mixer.s_a.copy_(layer.dynamic_alpha_scale)
            mixer.s_b.copy_(layer.dynamic_beta_scale)


def grad_of(module: nn.Module, name: str) -> torch.Tensor:
    grad = module.get_parameter(name).grad
    assert grad is not None
    return grad


def their_output(layers: list[HyperConnections], x: torch.Tensor, n: int) -> torch.Tensor:
    expand, reduce = HyperConnections.get_expand_reduce_stream_functions(n)
    state = expand(x.unsqueeze(0))
    for layer in layers:
        u, add = layer(state)
        state = add(torch.sin(3 * u))
    return reduce(state).squeeze(0)


def our_output(connection: StaticHC | DynamicHC, x: torch.Tensor, n: int) -> torch.Tensor:
    state, static = connection.expand(x), connection.static_mixing()
    for index in range(LAYERS):
        if static is None:
            mixing = connection.dynamic_mixing(index, state)
        else:
            mixing = type(static)(*(part[index] for part in static))
        u = connection.read(state, mixing)
        state = connection.write(state, torch.sin(3 * u), mixing)
    return connection.reduce(state) * n  # ours averages the streams where the paper sums them


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize(("n", "width", "seed"), SIZES)
def test_output_and_gradients_are_the_same(n: int, width: int, seed: int, dynamic: bool) -> None:
    layers, connection = theirs(n, width, seed, dynamic=dynamic), ours(n, width, dynamic=dynamic)
    copy_weights(connection, layers)
    x_theirs, x_ours = (draw(seed, 6, width).requires_grad_() for _ in range(2))
    out_theirs, out_ours = their_output(layers, x_theirs, n), our_output(connection, x_ours, n)
    assert out_theirs.abs().max() > 0.1
    assert (out_ours - out_theirs).abs().max() < 1e-6 * out_theirs.abs().max()
    weight = draw(seed + 5, 6, width)
    for out in (out_theirs, out_ours):
        (out * weight).sum().backward()
    assert x_theirs.grad is not None
    assert x_ours.grad is not None
    assert (x_ours.grad - x_theirs.grad).abs().max() < 1e-6 * x_theirs.grad.abs().max()
    for index, layer in enumerate(layers):
        wanted = layer.static_alpha.grad
        if isinstance(connection, StaticHC):
            grads = connection.a_m.grad, connection.a_r.grad
            assert grads[0] is not None
            assert grads[1] is not None
            got = torch.cat([grads[0][index][:, None], grads[1][index]], 1)
        else:
            mixer = connection.mixers[index]
            a_m, a_r, w_m, w_r, w_b = (grad_of(mixer, name) for name in ("a_m", "a_r", "w_m", "w_r", "w_b"))
            got = torch.cat([a_m[:, None], a_r], 1)
            their_fn = torch.cat([layer.dynamic_alpha_fn.grad, layer.dynamic_beta_fn.grad[:, None]], 1)
            our_fn = torch.cat([w_m, w_r, w_b], 1)
            assert (our_fn - their_fn).abs().max() < 1e-6 * their_fn.abs().max()
        assert (got - wanted).abs().max() < 1e-6 * wanted.abs().max()


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_our_start_is_theirs(dynamic: bool) -> None:
    connection = ours(4, 8, dynamic=dynamic)
    copied = ours(4, 8, dynamic=dynamic)
    copy_weights(copied, [HyperConnections(4, dim=8, layer_index=index).double() for index in range(LAYERS)])
    for (name, one), (_, other) in zip(connection.named_parameters(), copied.named_parameters(), strict=True):
        assert torch.equal(one, other), name
