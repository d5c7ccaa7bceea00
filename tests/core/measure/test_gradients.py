"""Gradients of the layer-by-layer loop against plain autograd and finite differences, float64.

`tests/oracles/test_plain_families.py` compares autograd's gradients with those of an independent network.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.connections import Mixing
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure

COMBINATIONS = [
    pytest.param(connection, block, position, id=f"{name}-{block}-{position}")
    for name, connection in CONNECTIONS.items()
    for block, positions in (
        ("mlp", ("pre", "post", "none")),
        ("transformer", ("pre", "post", "none")),
        ("conv", ("pre",)),
        ("pair", ("pre",)),
    )
    for position in positions
]
SCALINGS = {
    "inv_sqrt_depth": "pre",
    "rezero": "none",
    "skipinit": "pre",
    "deepnorm": "post",
    "layernorm_scaling": "pre",
}
VARIANTS: dict[str, dict[str, Any]] = {
    f"{name}-{scaling}": {
        "connection": CONNECTIONS[name],
        "block": {"scaling": scaling, "norm_position": SCALINGS[scaling]},
    }
    for name, scaling in (
        ("residual", "rezero"),
        ("residual", "deepnorm"),
        ("hc", "skipinit"),
        ("hc", "layernorm_scaling"),
        ("mhc-dynamic", "deepnorm"),
        ("mhc-dynamic", "inv_sqrt_depth"),
        ("frac", "layernorm_scaling"),
        ("frac", "rezero"),
        ("frac-dynamic", "deepnorm"),
        ("frac-dynamic", "skipinit"),
    )
}
VARIANTS |= {
    f"{name}-{output}": {"connection": {**CONNECTIONS[name], "output": output}, "block": {"norm_position": "none"}}
    for name, output in (
        ("hc", "sum"),
        ("hc", "head"),
        ("hc-dynamic", "sum"),
        ("mhc", "head"),
        ("mhc-dynamic", "head"),
        ("kromhc-dynamic", "head"),
    )
}
VARIANTS |= {
    f"{name}-value-{kind}-{position}": {
        "connection": CONNECTIONS[name],
        "block": {"value_residual": kind, "norm_position": position, "branch_scale": 0.7},
    }
    for name, kind, position in (
        ("residual", "fixed", "pre"),
        ("hc", "learned", "none"),
        ("mhc-dynamic", "learned", "post"),
        ("attnres", "fixed", "pre"),
        ("frac", "learned", "pre"),
    )
}
VARIANTS |= {
    f"digits-{block}": {"block": {"kind": block}, "input": {"kind": "digits", "tokens": 64, "batch": 1}}
    for block in ("mlp", "transformer", "conv", "pair")
}


def spec_of(connection: dict[str, Any], block: str, position: str, **fields: Any) -> RunSpec:
    fields = {"block": {"kind": block, "norm_position": position, "branch_scale": 0.7}, **fields}
    if block in ("conv", "pair"):
        fields["input"] = {"tokens": 4, **fields.get("input", {})}
    return build_spec(connection=connection, **fields)


class Autograd:
    """The whole stack as one graph: gradients at states (n, N, C), at branch inputs (N, C) and at parameters."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.states = [stack.embed()]
        self.inputs: list[torch.Tensor] = []
        static, values = stack.connection.static_mixing(), None
        for layer in range(stack.spec.depth):
            mixing = None if static is None else Mixing(*(part[layer] for part in static))
            self._listen(layer)
            output = stack.layer(layer, self.states[-1], mixing, values)
            self.states.append(output.state)
            values = output.values
        for tensor in [*self.states, *self.inputs]:
            if tensor.requires_grad:
                tensor.retain_grad()
        self.loss = stack.loss(self.states[-1])
        self.loss.backward()

    def _listen(self, layer: int) -> None:
        # What reaches the branch is caught in the branch itself, so that nothing else than the branch lies behind it.
        def catch(_: Any, args: tuple[torch.Tensor, Any]) -> tuple[torch.Tensor, Any]:
            u = args[0] * 1.0
            self.inputs.append(u)
            return u, args[1]

        self.stack.branches[layer].register_forward_pre_hook(catch)

    def streams(self, layer: int) -> torch.Tensor:
        """The gradient where layer `layer` has been left; -1 is the embedding."""
        grad = self.states[layer + 1].grad
        assert grad is not None
        connection = self.stack.connection
        return connection.streams(connection.gather_input_grad(grad) if layer < 0 else grad)

    def shared(self, layer: int) -> torch.Tensor:
        """The gradient along a shift of all streams, at all parts of the width side by side, or at the state alone.

        The embedding is the state and the source that layers read again: both gradients add up.
        """
        if self.stack.spec.family.streams == "source":
            grad = self.states[layer + 1].grad
            assert grad is not None
            return grad.sum(0) if layer < 0 else grad[0]
        grad = self.streams(layer)
        return torch.cat(list(grad), 1) if self.stack.spec.family.streams == "parts" else grad.sum(0)

    def mixing_norm(self, layer: int) -> float:
        own = [p.grad for p in self.stack.connection.layer_parameters(layer)]
        own += [p.grad[layer] for p in self.stack.connection.stacked_parameters() if p.grad is not None]
        return norm_of([grad for grad in own if grad is not None])


def norm_of(tensors: list[torch.Tensor]) -> float:
    return sum(tensor.square().sum().item() for tensor in tensors) ** 0.5


def rms_of(tensor: torch.Tensor) -> float:
    return tensor.square().mean().item() ** 0.5


@pytest.mark.sample(25, 5)
@pytest.mark.parametrize(("connection", "block", "position"), COMBINATIONS)
def test_the_loop_gives_autograds_gradients(connection: dict[str, Any], block: str, position: str) -> None:
    assert_loop_is_autograd(spec_of(connection, block, position))


@pytest.mark.sample(4)
@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_the_loop_gives_autograds_gradients_of_variants(fields: dict[str, Any]) -> None:
    assert_loop_is_autograd(build_spec(**fields))


def assert_loop_is_autograd(spec: RunSpec) -> None:
    result, whole = measure(spec), Autograd(build_stack(spec))
    assert result.loss == pytest.approx(whole.loss.item(), rel=1e-13)

    def check(key: str, got: Any, wanted: Any) -> None:
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-300, err_msg=key)

    for layer in range(spec.depth):
        grad = whole.streams(layer)
        check("grad_rms", result.layers["grad_rms"][layer], rms_of(whole.shared(layer)))
        check("grad_rms_streams", result.layers["grad_rms_streams"][layer], [rms_of(stream) for stream in grad])
        u_grad = whole.inputs[layer].grad
        assert u_grad is not None
        check("branch_grad_rms", result.layers["branch_grad_rms"][layer], rms_of(u_grad))
        weights = list(whole.stack.branches[layer].parameters())
        norm = norm_of([weight.grad for weight in weights if weight.grad is not None])
        check("param_grad_norm", result.layers["param_grad_norm"][layer], norm)
        ratio = norm / norm_of([weight.detach() for weight in weights])
        check("grad_to_weight", result.layers["grad_to_weight"][layer], ratio)
        if "mixing_grad_norm" in result.layers:
            check("mixing_grad_norm", result.layers["mixing_grad_norm"][layer], whole.mixing_norm(layer))
    assert ("mixing_grad_norm" in result.layers) == (spec.connection.kind not in ("none", "residual"))
    check("input grad_rms", result.input["grad_rms"], rms_of(whole.shared(-1)))
    check("input grad_rms_streams", result.input["grad_rms_streams"], [rms_of(s) for s in whole.streams(-1)])


def central_difference(loss: Callable[[], float], entries: torch.Tensor, along: torch.Tensor) -> float:
    """Slope of the loss as `entries` move along a direction; the error falls as the fourth power of the step."""
    step, kept = 2e-4, entries.clone()

    def at(distance: float) -> float:
        entries.copy_(kept + distance * along)
        return loss()

    slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
    entries.copy_(kept)
    return slope


@pytest.mark.full
@pytest.mark.parametrize("name", ["hc", "hc-dynamic", "mhc", "mhc-dynamic", "frac", "frac-dynamic"])
def test_the_reported_norms_are_norms_of_slopes(name: str) -> None:
    """Every entry of one layer moved on its own: the frames' norms against finite differences, with nothing between."""
    connection = {**CONNECTIONS[name], "streams": 2}
    spec = spec_of(connection, "mlp", "pre", depth=2, width=4, input={"batch": 1, "tokens": 5})
    result, stack = measure(spec), build_stack(spec)

    def slopes(tensors: Iterator[torch.Tensor]) -> float:
        squares = 0.0
        for tensor in tensors:
            for flat in range(tensor.numel()):
                along = torch.zeros_like(tensor)
                along.view(-1)[flat] = 1.0
                squares += central_difference(lambda: stack().item(), tensor, along) ** 2
        return float(squares**0.5)

    with torch.no_grad():
        for layer in range(2):
            own = iter([p.data for p in stack.connection.layer_parameters(layer)])
            if not spec.connection.is_dynamic:
                own = iter([p.data[layer] for p in stack.connection.stacked_parameters()])
            assert slopes(own) == pytest.approx(result.layers["mixing_grad_norm"][layer], rel=1e-6)
            weights = iter([p.data for p in stack.branches[layer].parameters()])
            assert slopes(weights) == pytest.approx(result.layers["param_grad_norm"][layer], rel=1e-6)
