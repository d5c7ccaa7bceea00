"""Faults to plant in a stack, each as someone could make it, to see which checks find them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from mhc_core import stack as stacks
from mhc_core.layers import depth, newton, transformer
from mhc_core.layers.branch import Carried
from mhc_core.layers.connections import GatedMixing, Mixing, PassedMixing
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack, build_stack

TOO_LARGE = 1.05


def enlarge_weights(stack: Stack) -> None:
    """Make every weight matrix 5 % too large."""
    with torch.no_grad():
        for weight in stack.branches.parameters():
            weight.mul_(TOO_LARGE)


def drop_skip(stack: Stack) -> None:
    """Drop the skip path of the middle layer."""
    plain, wrong = stack._pass_by, stack.spec.depth // 2
    stack._pass_by = lambda layer, state: plain(layer, state) * (layer != wrong)  # type: ignore[method-assign]


def drop_norm(stack: Stack) -> None:
    """Drop the norm of the middle layer."""
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
    """Apply every H_res transposed."""
    plain = stack.connection.write

    def write(state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        return plain(state, y_NC, mixing._replace(h_res=mixing.h_res.mT.contiguous()))

    stack.connection.write = write  # type: ignore[method-assign]


def shorten_sinkhorn(stack: Stack) -> None:
    """Do one round of Sinkhorn instead of twenty."""
    connection: Any = stack.connection
    maps = [mixer.residual_map for mixer in getattr(connection, "mixers", [])] or [connection.residual_map]
    for residual_map in maps:
        residual_map.rounds = 1


def drop_mask(stack: Stack) -> None:
    """Let tokens attend to later tokens too."""

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD
        return F.scaled_dot_product_attention(q, k, v)

    _replace_attention(stack, attend)


def fuse_attention(stack: Stack) -> None:
    """Compute attention by the fused kernel, whose gradient is wrong where the softmax is saturated."""

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD.unsqueeze(1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(0)

    _replace_attention(stack, attend)


def cool_attention(stack: Stack) -> None:
    """Divide the logits of attention by the width of a head, not by its root."""
    plain = transformer.attend

    def attend(qkv_3MTD: torch.Tensor) -> torch.Tensor:
        q, k, v = qkv_3MTD
        return plain(torch.stack((q * q.shape[-1] ** -0.5, k, v)))

    _replace_attention(stack, attend)


def _replace_attention(stack: Stack, attend: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for branch in stack.branches:
        compute: Any = branch.compute

        def replaced(u_BTC: torch.Tensor, carried: Carried, compute: Any = compute) -> torch.Tensor:
            with patch.object(transformer, "attend", attend):
                found: torch.Tensor = compute(u_BTC, carried)
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
    """Make the gradient that enters the stack 5 % too large."""
    plain = stack.loss

    def loss(state: torch.Tensor) -> torch.Tensor:
        enlarged: Any = _Enlarge.apply(state)
        return plain(enlarged)

    stack.loss = loss  # type: ignore[method-assign]


# Faults of single families, or of how they join layers.


def reverse_reads(stack: Stack) -> None:
    """Let every layer read the streams in reverse order: stream i with the weight of stream n - 1 - i."""
    plain = stack.connection.read

    def read(state: torch.Tensor, mixing: Any) -> torch.Tensor:
        features = {"features": mixing.features.flip(1)} if isinstance(mixing, GatedMixing) else {}
        return plain(state, mixing._replace(h_pre=mixing.h_pre.flip(-1), **features))

    stack.connection.read = read  # type: ignore[method-assign]


def read_by_own_weights(stack: Stack) -> None:
    """Let every layer read with its own H_pre, where the one of the layer before it belongs."""

    def change(mixing: Any) -> Any:
        if isinstance(mixing, PassedMixing):
            return mixing._replace(h_pre=mixing.h_next)
        return mixing._replace(h_pre=torch.cat([mixing.h_pre[1:], mixing.h_pre[:1]]))

    _change_mixing(stack, change)


def average_gates(stack: Stack) -> None:
    """Read every feature of a stream with the mean of their weights."""
    plain = stack.connection.read

    def read(state: torch.Tensor, mixing: Any) -> torch.Tensor:
        return plain(state, mixing._replace(features=mixing.h_pre.unsqueeze(2).expand_as(mixing.features)))

    stack.connection.read = read  # type: ignore[method-assign]


def halve_writes(stack: Stack) -> None:
    """Drop the factor 2 of H_post."""
    _change_mixing(stack, lambda mixing: mixing._replace(h_post=mixing.h_post / 2))


def transpose_map(stack: Stack) -> None:
    """Transpose the result of the map to H_res."""
    _change_mixing(stack, lambda mixing: mixing._replace(h_res=mixing.h_res.mT.contiguous()))


def _change_mixing(stack: Stack, change: Callable[[Any], Any]) -> None:
    connection = stack.connection
    static, dynamic = connection.static_mixing, connection.dynamic_mixing

    def make_static() -> Any:
        made = static()
        return None if made is None else change(made)

    connection.static_mixing = make_static  # type: ignore[method-assign]
    connection.dynamic_mixing = lambda layer, state: change(dynamic(layer, state))  # type: ignore[method-assign]


def copy_streams(stack: Stack) -> None:
    """Start the streams as copies of the embedding, without their own vectors."""
    connection = stack.connection
    plain = connection.expand

    def expand(x_NC: torch.Tensor) -> torch.Tensor:
        return connection.join_streams(x_NC.unsqueeze(0).repeat(connection.n, 1, 1), plain(x_NC))

    connection.expand = expand  # type: ignore[method-assign]


def average_output(stack: Stack) -> None:
    """Return the mean of the streams instead of a weighted sum."""
    connection = stack.connection
    plain = connection.reduce
    # The weights stay in the graph, with a gradient of 0.
    connection.reduce = lambda state: connection.streams(state).mean(0) + 0 * plain(state)  # type: ignore[method-assign]


def stop_newton(stack: Stack) -> None:
    """Do two steps of Newton's method only."""
    connection: Any = stack.connection
    for owner in (connection, *getattr(connection, "mixers", [])):
        plain = owner.residual_map

        def project(raw: torch.Tensor, plain: Any = plain) -> torch.Tensor:
            with patch.object(newton, "STEPS", 2):
                found: torch.Tensor = plain(raw)
                return found

        project.eps = plain.eps  # type: ignore[attr-defined]
        owner.residual_map = project


def drop_features(stack: Stack) -> None:
    """Drop the low-rank features that pass a layer unmixed."""
    connection = stack.connection

    def leave(layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> tuple[torch.Tensor, Any]:
        return (mixing.h_post * y_NC + mixing.h_res[0] * state).to(state.dtype), mixing

    connection.leave = leave  # type: ignore[method-assign]


def lose_embedding(stack: Stack) -> None:
    """Drop the embedding from sums over depth."""
    _change_leave(stack, lambda layer, state, y_NC: (torch.cat([torch.zeros_like(state[:1]), state[1:]]), y_NC))


def lose_outputs(stack: Stack) -> None:
    """Sum over depth the first output of each block only."""
    block = stack.spec.connection.depth_block
    _change_leave(stack, lambda layer, state, y_NC: (state, y_NC * (layer % block == 0)))


def _change_leave(stack: Stack, change: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> None:
    plain = stack.connection.leave

    def leave(layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> tuple[torch.Tensor, Any]:
        return plain(layer, *change(layer, state, y_NC), mixing)

    stack.connection.leave = leave  # type: ignore[method-assign]


def drop_key_norm(stack: Stack) -> None:
    """Compute attention over depth from keys without their norm."""
    plain, plain_leave = depth._attend, stack.connection.leave

    def attend(x: torch.Tensor, query: torch.Tensor, heads: int, *, is_normed: bool) -> Any:
        _, along, inverse = plain(x, query, heads, is_normed=is_normed)
        return torch.softmax(along, 0), along, inverse

    def leave(layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Any) -> tuple[torch.Tensor, Any]:
        with patch.object(depth, "_attend", attend):
            return plain_leave(layer, state, y_NC, mixing)

    stack.connection.leave = leave  # type: ignore[method-assign]


Fault = Callable[[Stack], None]
FAULTS: dict[str, tuple[Fault, Callable[[RunSpec], bool]]] = {
    "weights 5 % too large": (enlarge_weights, lambda spec: True),
    "one layer without its skip": (drop_skip, lambda spec: spec.connection.kind != "none"),
    "norm left out in one layer": (drop_norm, lambda spec: spec.block.norm_position != "none"),
    "H_res transposed": (transpose_mixing, lambda spec: spec.family.has_streams and not spec.family.is_identity),
    "one Sinkhorn round for twenty": (shorten_sinkhorn, lambda spec: spec.family.iterates),
    "attention mask missing": (drop_mask, lambda spec: spec.block.kind == "transformer"),
    "gradient times 1.05": (enlarge_gradient, lambda spec: True),
}
"""By name: what plants it in a built stack, and where it can be made at all."""
FAMILY_FAULTS: dict[str, tuple[Fault, Callable[[RunSpec], bool]]] = {
    "streams read in reverse order": (reverse_reads, lambda spec: spec.family.has_streams),
    "own H_pre for that of the layer before": (read_by_own_weights, lambda spec: spec.connection.reads_previous),
    "one gate for all features": (average_gates, lambda spec: spec.family.by_feature),
    "H_post without its factor 2": (halve_writes, lambda spec: spec.family.is_mapped or spec.family.by_feature),
    "H_res made transposed": (transpose_map, lambda spec: spec.family.has_streams and not spec.family.is_identity),
    "streams that start alike": (copy_streams, lambda spec: spec.connection.scales_streams),
    "mean of the streams as the output": (average_output, lambda spec: spec.output in ("head", "read")),
    "two steps of Newton's method": (stop_newton, lambda spec: spec.connection.projection == "newton"),
    "no map of low rank": (drop_features, lambda spec: spec.family.pass_reference is not None),
    "embedding no source over depth": (lose_embedding, lambda spec: not spec.family.has_mixing),
    "one output for each block over depth": (
        lose_outputs, lambda spec: not spec.family.has_mixing and spec.connection.depth_block > 1,
    ),
    "keys over depth without norm": (drop_key_norm, lambda spec: spec.family.attends),
}  # fmt: skip
"""The same of how families join layers."""


def build_faulty(fault: Fault | None) -> Callable[[RunSpec], Stack]:
    """Return `build_stack` with the fault."""

    def build(spec: RunSpec) -> Stack:
        stack = build_stack(spec)
        if fault is not None:
            fault(stack)
        return stack

    return build


@contextmanager
def planted(fault: Fault | None) -> Iterator[None]:
    """Plant the fault in runs and in recomputations: only a law or an exact relation can find it."""
    build = build_faulty(fault)
    with patch("mhc_core.measure.run.build_stack", build), patch("mhc_core.checks.recomputation.build_stack", build):
        yield
