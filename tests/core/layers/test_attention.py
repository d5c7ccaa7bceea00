"""Attention and its gradient against plain formulas, also where the softmax is saturated and where there are tiles."""

import math
from itertools import product
from typing import Any

import pytest
import torch

from mhc_core.layers.branch import Carried
from mhc_core.layers.transformer import Attention, attend
from mhc_core.stack import DTYPES, build_stack
from tests.core.conftest import build_spec

Tensor = torch.Tensor


def build_attention(dtype: str = "float64", *, tokens: int = 16, batch: int = 2, **fields: Any) -> Attention:
    block = {"kind": "transformer", "norm_position": "none", "heads": 2}
    given = {"kind": "gaussian", "batch": batch, "tokens": tokens}
    branch = build_stack(build_spec(**fields, depth=1, width=16, dtype=dtype, block=block, input=given)).branches[0]
    assert isinstance(branch, Attention)
    return branch


def draw_input(logit: float, *, tokens: int = 16, batch: int = 2) -> Tensor:
    """Inputs (B, T, C) whose largest logits are about as large: queries and keys are as large as what they read."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(batch, tokens, 16, generator=generator, dtype=torch.float64) * math.sqrt(logit / 4)


def attend_plainly(heads: int, u: Tensor, w_qkv: Tensor, w_out: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v with the largest logit of every row taken off, in elementary operations."""
    tokens, size = u.shape[1], u.shape[2] // heads
    q, k, v = ((u @ w.T).unflatten(-1, (heads, size)).transpose(1, 2) for w in w_qkv.chunk(3))
    logits = (q.unsqueeze(3) * k.unsqueeze(2)).sum(-1) / math.sqrt(size)
    place = torch.arange(tokens)
    logits = torch.where(place[:, None] >= place, logits, -math.inf)
    scores = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    mixed = (scores / scores.sum(-1, keepdim=True)).unsqueeze(-1) * v.unsqueeze(2)
    return mixed.sum(3).transpose(1, 2).flatten(2) @ w_out.T


def find_gaps(branch: Attention, u: Tensor) -> list[float]:
    """Of the output and of the gradients at u, w_qkv and w_out, relative to the largest entry, by plain float64."""
    leaves = [u.to(branch.w_qkv.dtype), branch.w_qkv.detach(), branch.w_out.detach()]
    ours = [leaf.clone().requires_grad_() for leaf in leaves]
    plain = [leaf.double().requires_grad_() for leaf in leaves]
    branch.w_qkv, branch.w_out = (torch.nn.Parameter(leaf) for leaf in ours[1:])
    out, due = branch.compute(ours[0], Carried()), attend_plainly(branch.heads, *plain)
    g = torch.randn(out.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    found = torch.autograd.grad(out, [ours[0], branch.w_qkv, branch.w_out], g.to(out.dtype))
    exact = torch.autograd.grad(due, plain, g.to(out.dtype).double())
    pairs = zip([out, *found], [due, *exact], strict=True)
    return [float((one.double() - other).detach().abs().max() / other.detach().abs().max()) for one, other in pairs]


ROUNDING = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}


@pytest.mark.sample(4)
@pytest.mark.parametrize(("dtype", "logit"), [*product(("float64", "float32"), (1.0, 30.0, 1e3)), ("bfloat16", 1.0)])
def test_attention_and_its_gradient_are_as_exact_as_the_type_allows(dtype: str, logit: float) -> None:
    """A logit is off by a rounding of itself, and its weight by as much."""
    largest = max(find_gaps(build_attention(dtype), draw_input(logit)))
    assert largest < 4 * ROUNDING[dtype] * (4 + logit)
    assert largest < 1e-10 or dtype != "float64"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("logit", [1e8, 1e16, 1e20])
def test_the_gradient_of_saturated_attention_passes_the_values_alone(dtype: str, logit: float) -> None:
    """Every query sees one key: no logit has a gradient, and a value has those of the queries that see it."""
    branch = build_attention(dtype, batch=1)
    branch.heads = 1
    turned = torch.eye(16).roll(1, 0)  # or every token would see itself
    branch.w_qkv = torch.nn.Parameter(torch.cat((turned, torch.eye(16), torch.eye(16))).to(DTYPES[dtype]))
    branch.w_out = torch.nn.Parameter(torch.eye(16).to(DTYPES[dtype]))
    u = draw_input(logit, batch=1).to(DTYPES[dtype]).requires_grad_()
    logits = u[0].detach().roll(1, -1) @ u[0].detach().T
    seen = logits.masked_fill(torch.ones(16, 16).triu(1) > 0, -math.inf).argmax(-1)
    assert len(set(seen.tolist())) < 12
    out = branch.compute(u, Carried())
    assert torch.equal(out, u[:, seen])
    g = torch.randn(out.shape, generator=torch.Generator().manual_seed(6)).to(out)
    (found,) = torch.autograd.grad(out, u, g)
    torch.testing.assert_close(found, torch.zeros_like(g).index_add(1, seen, g), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("tokens", "batch"), [(150, 6), (96, 40)])
def test_many_weights_are_computed_in_tiles(tokens: int, batch: int) -> None:
    branch = build_attention(tokens=tokens, batch=batch)
    assert max(find_gaps(branch, draw_input(4.0, tokens=tokens, batch=batch))) < 1e-14


def test_tiles_keep_no_weights_for_the_way_down() -> None:
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    qkv = torch.randn(3, 12, 150, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        attend(qkv)
    assert list(kept.values()) == [qkv.nbytes]


@pytest.mark.parametrize(("heads", "tokens"), [(2, 5), (1, 520)])
def test_attention_can_be_differentiated_twice(heads: int, tokens: int) -> None:
    qkv = torch.randn(3, heads, tokens, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    fast = tokens > 100
    assert torch.autograd.gradcheck(attend, qkv.requires_grad_(), fast_mode=fast)
    assert torch.autograd.gradgradcheck(attend, qkv, fast_mode=fast)


def test_a_later_token_that_overflows_is_not_seen() -> None:
    u = draw_input(1.0).float()
    u[:, -1] = 1e25
    out = build_attention("float32").compute(u, Carried())
    assert torch.isfinite(out[:, :-1]).all()
    assert not torch.isfinite(out[:, -1]).all()
