"""Faults to plant in a stack, each as someone could make it, to see which checks find them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from mhc_core import stack as stacks
from mhc_core.blocks import transformer
from mhc_core.connections import Mixing
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack, build_stack

TOO_LARGE = 1.05


def enlarge_weights(stack: Stack) -> None:
    """Every weight matrix 5 % too large."""
    with torch.no_grad():
        for weight in stack.branches.parameters():
            weight.mul_(TOO_LARGE)


def drop_skip(stack: Stack) -> None:
    """One layer, in the middle, without its skip path."""
    plain, wrong = stack._pass_by, stack.spec.depth // 2
    stack._pass_by = lambda layer, state: plain(layer, state) * (layer != wrong)  # type: ignore[method-assign]


def drop_norm(stack: Stack) -> None:
    """One layer, in the middle, without its norm."""
    wrong: Any = stack.branches[stack.spec.depth // 2]
    wrong.pre_norm = None
    if stack.spec.block.norm_position == "post":
        plain = stack.layer

        def layer(index: int, *rest: Any) -> LayerOutput:
            if index != stack.spec.depth // 2:
                return plain(index, *rest)
            with patch.object(stacks, "normalise", lambda x, kind: x):
                return plain(index, *rest)

        stack.layer = layer  # type: ignore[method-assign, assignment]


def transpose_mixing(stack: Stack) -> None:
    """Every H_res applied transposed."""
    plain = stack.connection.write

    def write(state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        return plain(state, y_NC, mixing._replace(h_res=mixing.h_res.mT.contiguous()))

    stack.connection.write = write  # type: ignore[method-assign]


def shorten_sinkhorn(stack: Stack) -> None:
    """One round of Sinkhorn for twenty."""
    connection: Any = stack.connection
    maps = [mixer.residual_map for mixer in getattr(connection, "mixers", [])] or [connection.residual_map]
    for residual_map in maps:
        residual_map.rounds = 1


def drop_mask(stack: Stack) -> None:
    """Attention to later tokens as well."""

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD
        return F.scaled_dot_product_attention(q, k, v)

    _replace_attention(stack, attend)


def fuse_attention(stack: Stack) -> None:
    """Attention by the fused kernel, which loses the gradient where the softmax is saturated."""

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD.unsqueeze(1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(0)

    _replace_attention(stack, attend)


def cool_attention(stack: Stack) -> None:
    """Logits of attention divided by the width of a head, not by its root."""
    plain = transformer.attend

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD
        return plain(torch.stack((q * q.shape[-1] ** -0.5, k, v)))

    _replace_attention(stack, attend)


def _replace_attention(stack: Stack, attend: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for branch in stack.branches:
        compute: Any = branch.compute

        def replaced(u_BTC: torch.Tensor, compute: Any = compute) -> torch.Tensor:
            with patch.object(transformer, "attend", attend):
                found: torch.Tensor = compute(u_BTC)
                return found

        branch.compute = replaced  # type: ignore[assignment]


class _Enlarge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * TOO_LARGE


def enlarge_gradient(stack: Stack) -> None:
    """The gradient that enters the stack 5 % too large."""
    plain = stack.loss

    def loss(state: torch.Tensor) -> torch.Tensor:
        enlarged: Any = _Enlarge.apply(state)
        return plain(enlarged)

    stack.loss = loss  # type: ignore[method-assign]


Fault = Callable[[Stack], None]
FAULTS: dict[str, tuple[Fault, Callable[[RunSpec], bool]]] = {
    "weights 5 % too large": (enlarge_weights, lambda spec: True),
    "one layer without its skip": (drop_skip, lambda spec: spec.connection.kind != "none"),
    "norm left out in one layer": (drop_norm, lambda spec: spec.block.norm_position != "none"),
    "H_res transposed": (transpose_mixing, lambda spec: spec.family.has_streams),
    "one Sinkhorn round for twenty": (shorten_sinkhorn, lambda spec: spec.family.iterates),
    "attention mask missing": (drop_mask, lambda spec: spec.block.kind == "transformer"),
    "gradient times 1.05": (enlarge_gradient, lambda spec: True),
}
"""By name: what plants it in a built stack, and where it can be made at all."""


def build_faulty(fault: Fault | None) -> Callable[[RunSpec], Stack]:
    """`build_stack`, with the fault."""

    def build(spec: RunSpec) -> Stack:
        stack = build_stack(spec)
        if fault is not None:
            fault(stack)
        return stack

    return build


@contextmanager
def planted(fault: Fault | None) -> Iterator[None]:
    """Runs and recomputations both have the fault: nothing but a law or an exact relation can find it."""
    build = build_faulty(fault)
    with patch("mhc_core.measure.run.build_stack", build), patch("mhc_core.measure.recomputation.build_stack", build):
        yield
