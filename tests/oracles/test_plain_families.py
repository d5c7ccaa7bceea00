"""Every family against independent float64 code: the loss, and its gradient at the embedding and at every parameter.

Parameters of the connection are moved off their start, so that no zero and no symmetry hides a fault. Differences are
relative to the largest entry of each gradient; one that is 0 by symmetry, to the largest of all gradients.
"""

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

from mhc_core.discovery import load
from mhc_core.families import FAMILIES
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, shake
from tests.core.layers.test_depth import FORMS as DEPTH_FORMS
from tests.core.layers.test_depth import KIND
from tests.core.measure.test_gradients import VARIANTS
from tests.oracles.plain_branches import Tensor
from tests.oracles.plain_families import COEFFICIENTS, DEPTHS, MAPS
from tests.oracles.plain_stack import climb, embed

TOLERANCE = 1e-12
BLOCKS: dict[str, dict[str, Any]] = {
    "transformer": {"branch_scale": 0.5},
    "transformer-post": {"norm_position": "post"},
    "mlp": {"kind": "mlp", "activation": "silu"},
    "conv": {"kind": "conv", "activation": "tanh"},
    "pair": {"kind": "pair"},
    "mlp without a norm": {"kind": "mlp", "norm_position": "none", "branch_scale": 0.7},
}
FORMS: dict[str, dict[str, Any]] = {
    **{f"attnres, {name}": KIND | form for name, form in DEPTH_FORMS.items()},
    "denseformer, blocks of 2": {"kind": "denseformer", "depth_block": 2},
    "gated, mean": {"kind": "gated", "output": "mean", "streams": 3},
    "go_mhc, 2 streams": {"kind": "go_mhc", "streams": 2},
    "tbp, 5 streams": {"kind": "tbp", "streams": 5, "dynamic": True, "init": "megatron"},
    "shc, 3 streams": {"kind": "shc", "streams": 3},
    "previous": {"kind": "mhc", "init": "megatron", "read_from": "previous"},
    "previous, dynamic": {"kind": "go_mhc", "init": "megatron", "dynamic": True, "read_from": "previous"},
    "scaled streams": {"kind": "mhc_lite", "init": "megatron", "expand": "scaled"},
    "scaled streams, dynamic": {"kind": "hc", "dynamic": True, "expand": "scaled"},
}


def differentiate_plainly(stack: Stack) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the plain network, and its gradients at the embedding's output and at every parameter, by name."""
    p = {
        name: value.detach().clone().requires_grad_(value.is_floating_point())
        for name, value in stack.state_dict().items()
    }
    x = embed(stack.spec, p)
    leaves = {"embedding": x if x.requires_grad else x.requires_grad_()}
    leaves |= {name: p[name] for name, value in stack.named_parameters() if value.numel()}
    loss = climb(stack.spec, p, x).loss
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    found = zip(leaves.items(), grads, strict=True)
    return loss, {name: torch.zeros_like(leaf) if grad is None else grad for (name, leaf), grad in found}


def find_gaps(stack: Stack) -> dict[str, float]:
    """The largest difference of the loss and of each gradient, relative."""
    stack().backward()
    loss, plain = differentiate_plainly(stack)
    ours = {"embedding": find_input_gradient(stack, stack.embed().detach().requires_grad_())} | {
        name: torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in stack.named_parameters()
        if value.numel()
    }
    plain = {name: grad.view_as(ours[name]) for name, grad in plain.items()}
    largest = max(float(grad.abs().max()) for grad in plain.values())
    gaps = {"loss": abs(float(stack().detach() - loss.detach())) / max(1.0, abs(float(loss.detach())))}
    for name, grad in plain.items():
        size = float(grad.abs().max())
        gaps[name] = float((ours[name] - grad).abs().max()) / (size if size > 1e-9 * largest else largest)
    return gaps


def find_input_gradient(stack: Stack, start: Tensor) -> Tensor:
    """The gradient at the embedding of the product's own pass."""
    static, values, state = stack.connection.static_mixing(), None, start
    for layer in range(stack.spec.depth):
        mixing = None if static is None else type(static)(*(part[layer] for part in static))
        output = stack.layer(layer, state, mixing, values)
        state, values = output.state, output.values
    (grad,) = torch.autograd.grad(stack.loss(state), start)
    connection, streams = stack.connection, stack.spec.family.streams
    if streams == "source":  # both streams start as the embedding
        return grad.sum(0)
    parts = connection.streams(connection.gather_input_grad(grad))
    return (torch.cat(list(parts), 1) if streams == "parts" else parts.sum(0)).detach()


def check(spec: RunSpec) -> None:
    gaps = find_gaps(shake(build_stack(spec)))
    assert len(gaps) > spec.depth
    assert {name: gap for name, gap in gaps.items() if not gap <= TOLERANCE} == {}


@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_every_family_has_the_gradients_of_a_plain_network(connection: str, block: str) -> None:
    fields = CONNECTIONS[connection]
    if FAMILIES[fields["kind"]].is_mapped and not fields.get("dynamic"):
        # With logits near a permutation matrix the gradient is a difference of equal numbers: only rounding remains.
        fields = {**fields, "init": "megatron"}
    check(build_spec(depth=5, connection=fields, block=BLOCKS[block], input={"tokens": 9}))


@pytest.mark.sample(3)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_gradients_of_a_plain_network(form: str) -> None:
    check(build_spec(depth=5, connection=FORMS[form], block={"norm": "layernorm"}, input={"tokens": 9}))


@pytest.mark.sample(4)
@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS)
def test_scalings_outputs_value_residuals_and_digits_have_them_too(fields: dict[str, Any]) -> None:
    check(build_spec(depth=5, **fields))


def test_every_family_has_a_plain_form() -> None:
    assert {*MAPS, *COEFFICIENTS, *DEPTHS} == set(FAMILIES)


@pytest.mark.parametrize("name", ["branches", "families", "stack"])
def test_plain_forms_use_no_formula_of_the_product(name: str) -> None:
    nodes = list(ast.walk(ast.parse(Path(__file__).with_name(f"plain_{name}.py").read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name for name in names if name.startswith(("app", "mhc"))} == {"mhc_core.spec"}
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not read & {"map", "map_reference", "build", "mixing_reference", "pass_reference"}


@pytest.mark.sample(4)
@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if family.is_mapped and family.logits(4)])
def test_the_gradient_of_a_map_is_its_derivative(kind: str) -> None:
    spec = build_spec(connection={"kind": kind, "streams": 4})
    raw = torch.randn(2, spec.family.logits(4), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(load(spec.family.map)(spec.map_settings), raw.requires_grad_())
