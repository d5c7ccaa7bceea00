"""The network and its loss once more, in plain numpy float64: loops and sums as the papers print them, with edits.

It takes parameters from a stack and shares no arithmetic with it. Formulas of families are those of
`tests/oracles/plain_families.py`. Shapes: x (n, B, T, C).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from mhc_core.spec import RunSpec
from mhc_core.stack import Stack
from tests.core.edits import plain
from tests.oracles.plain_families import COEFFICIENTS, DEPTHS, MAPS, PASSES, take, weigh_features

Array = np.ndarray

_erf = np.vectorize(math.erf)

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "linear": lambda x: x,
}


@dataclass
class Trace:
    """What passed: states after the embedding and after every layer, branch inputs and outputs, coefficients.

    `attention` is the weights over depth behind every layer, and `values` are those of every attention layer. `merged`
    is each state with its streams merged: their mean, or all parts of the width side by side.
    """

    states: list[Array] = field(default_factory=list)
    merged: list[Array] = field(default_factory=list)
    u: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    h_pre: list[Array] = field(default_factory=list)
    h_post: list[Array] = field(default_factory=list)
    h_res: list[Array] = field(default_factory=list)
    attention: list[Array] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    loss: float = math.nan


def trace(stack: Stack, *, edits: bool = True, base: Trace | None = None) -> Trace:
    """Run the whole network, with or without the edits of its spec. base: the run without edits, if it is known."""
    spec, found = stack.spec, Trace()
    base = (base or trace(stack, edits=False)) if edits and spec.edits else None
    spec = spec if edits else spec.model_copy(update={"edits": ()})
    parameters = {name: value.detach().double().numpy() for name, value in stack.named_parameters()}
    parameters |= {name: value.double().numpy() for name, value in stack.named_buffers() if "ids" not in name}
    is_parts = spec.family.streams == "parts"
    n, shape = stack.connection.n, (spec.input.batch, spec.input.tokens, spec.width)
    embedded = _embed(stack, parameters)
    x = np.stack(np.split(embedded, n, axis=-1) if is_parts else [embedded] * n)
    if spec.connection.scales_streams:
        x = np.stack([embedded * row for row in parameters["connection.expand_scale"]])
    skip = spec.depth**0.25 if spec.block.scaling == "deepnorm" else 1.0
    found.states.append(x)
    found.merged.append(x.mean(0) if spec.connection.scales_streams else embedded)
    if spec.connection.kind in DEPTHS:
        return _trace_depth(stack, parameters, found, embedded, spec, base)
    passed = np.broadcast_to(np.eye(n)[0], (*shape[:2], n))  # how the next layer reads, where the one before says it
    for layer in range(spec.depth):
        x = plain.edit_state(spec, layer, x, base.states[layer] if base else None)
        kept = (base.h_pre[layer], base.h_post[layer], base.h_res[layer]) if base else None
        made = _coefficients(stack, parameters, layer, x)
        if spec.connection.reads_previous:
            made, passed = (passed, *made[1:]), made[0]
        pre, post, res = plain.edit_coefficients(spec, layer, made, kept)
        u = sum(np.moveaxis(pre, 2, 0) * x) if spec.family.by_feature else _read(pre, x, shape)
        y = _branch(stack, parameters, layer, u, found.values)
        y = plain.edit_output(spec, layer, y, base.y[layer] if base else None)
        written = np.split(y, n, axis=-1) if is_parts else [y] * n
        new = np.zeros_like(x)
        if spec.connection.kind in PASSES:
            own = partial(_take, parameters, layer)
            x = np.stack([PASSES[spec.connection.kind](own, torch.tensor(part)).numpy() for part in x])
        for i in range(n):
            for j in range(n):
                new[i] += skip * res[..., i, j, None] * x[j]
            new[i] += post[..., i, None] * written[i]
        x = _post_norm(spec, new) if spec.block.norm_position == "post" else new
        is_state = spec.family.streams == "source"
        found.merged.append(np.concatenate(x, axis=-1) if is_parts else x[0] if is_state else x.mean(0))
        for column, value in zip(
            (found.states, found.u, found.y, found.h_pre, found.h_post, found.h_res),
            (x, u, y, pre.mean(-1) if spec.family.by_feature else pre, post, res),
            strict=True,
        ):
            column.append(value)
    found.loss = _loss(stack, parameters, x, passed)
    return found


def _trace_depth(
    stack: Stack, p: dict[str, Array], found: Trace, embedded: Array, spec: RunSpec, base: Trace | None
) -> Trace:
    """Weights over depth: each layer reads a weighted sum of the embedding and all earlier outputs, or states."""
    depth, tensors = DEPTHS[spec.connection.kind], {name: torch.tensor(value) for name, value in p.items()}
    reads, outputs, read = [torch.tensor(embedded)], list[torch.Tensor](), embedded
    for layer in range(spec.depth):
        y = _branch(stack, p, layer, read, found.values)
        found.u.append(read)
        found.y.append(plain.edit_output(spec, layer, y, base.y[layer] if base else None))
        outputs.append(torch.tensor(found.y[-1]))
        weights = depth.weigh(spec, tensors, reads, outputs).numpy()
        kept = base.attention[layer] if base else None
        found.attention.append(plain.edit_attention(spec, layer + 1, weights, kept) if weights.size else weights)
        read = depth.read(spec, tensors, reads, outputs, torch.tensor(found.attention[-1])).numpy()
        if spec.block.norm_position == "post":
            read = _norm(read, spec.block.norm)
        reads.append(torch.tensor(read))
        found.states.append(read[None])
        found.merged.append(read)
    found.loss = _loss(stack, p, read[None])
    return found


def _read(pre: Array, x: Array, shape: tuple[int, ...]) -> Array:
    """The branch input: a weighted sum of streams, or of parts for each of its own parts in turn."""
    if pre.ndim == 4:
        rows = range(pre.shape[-2])
        return np.concatenate([sum(pre[..., i, j, None] * x[j] for j in range(len(x))) for i in rows], axis=-1)
    u = np.zeros(shape)
    for j in range(len(x)):
        u += pre[..., j, None] * x[j]
    return u


def _post_norm(spec: Any, x: Array) -> Array:
    if spec.family.streams != "parts":
        return _norm(x, spec.block.norm)
    return np.stack(np.split(_norm(np.concatenate(x, axis=-1), spec.block.norm), len(x), axis=-1))


def _embed(stack: Stack, p: dict[str, Array]) -> Array:
    if stack.spec.input.kind == "digits":
        pixels, place = p["input.pixels_BT"], p["input.place_TC"]
        return np.array([[pixel * p["input.pixel_C"] + place[t] for t, pixel in enumerate(row)] for row in pixels])
    if stack.spec.input.kind == "gaussian":
        return p["input.x_BTC"]
    ids = stack.input.ids_BT.numpy()  # type: ignore[operator]
    table = p["input.embedding_VC"]
    return np.array([[table[byte] for byte in row] for row in ids])


def _norm(x: Array, kind: str) -> Array:
    if kind == "layernorm":
        x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-20)  # the paper's eps: an edit can cut everything


def _sigmoid(t: Array) -> Array:
    return 1 / (1 + np.exp(-t))


def _coefficients(stack: Stack, p: dict[str, Array], layer: int, x: Array) -> tuple[Array, Array, Array]:
    """h_pre, h_post (B, T, n) and h_res (B, T, n, n) of one layer."""
    spec, lead, n = stack.spec, x.shape[1:3], len(x)
    if spec.connection.kind in COEFFICIENTS:
        state = [torch.tensor(stream) for stream in x]
        parts = COEFFICIENTS[spec.connection.kind](spec, partial(_take, p, layer), state)
        pre, post, res = (part.numpy() for part in parts)
    else:
        pre, post, res = _map_logits(spec, partial(take, p, layer), x)
    rows = (n,) if spec.family.streams == "parts" else ()
    if not spec.family.by_feature:
        pre = np.broadcast_to(pre, (*lead, *rows, n))
    return pre, np.broadcast_to(post, (*lead, n)), np.broadcast_to(res, (*lead, n, n))


def _take(p: dict[str, Array], layer: int, name: str) -> torch.Tensor:
    return torch.tensor(take(p, layer, name))


def _map_logits(spec: RunSpec, get: Callable[[str], Array], x: Array) -> tuple[Array, Array, Array]:
    """Of families with a map: sigmoids of logits, and H_res, of the token or not."""
    connection, n = spec.connection, len(x)
    t_pre, t_post, t_res = get("b_pre"), get("b_post"), get("b_res")
    if connection.dynamic:
        v = np.moveaxis(x, 0, 2)
        if connection.init == "lucidrains":
            v = _norm(v, "rmsnorm")
        v = v.reshape(*v.shape[:2], -1)
        raw = (v / np.sqrt((v * v).mean(-1, keepdims=True) + 1e-20)) @ get("phi")
        a_pre, a_post, a_res = get("a")
        t_pre = t_pre + a_pre * raw[..., :n]
        t_post = t_post + a_post * raw[..., n : 2 * n]
        t_res = t_res + a_res * raw[..., 2 * n :]
    eps = connection.sinkhorn_eps if spec.family.iterates else 0.0
    return _sigmoid(t_pre) + eps, 2 * _sigmoid(t_post), find_residual_matrices(spec, t_res)


def find_residual_matrices(spec: RunSpec, t: Array) -> Array:
    """H_res (..., n, n) from raw logits (..., m)."""
    return MAPS[spec.connection.kind](spec, torch.tensor(t)).numpy()


def _branch(stack: Stack, p: dict[str, Array], layer: int, u: Array, values: list[Array]) -> Array:
    block = stack.spec.block
    if block.norm_position == "pre":
        u = _norm(u, block.norm)
    if block.scaling == "layernorm_scaling":
        u = u / math.sqrt(layer // {"mlp": 1, "conv": 1, "transformer": 2, "pair": 3}[block.kind] + 1)
    own = {name: p[f"branches.{layer}.{name}"] for name, _ in stack.branches[layer].named_parameters()}
    y = _compute(block, layer, own, u, values) * block.branch_scale
    if block.scaling == "inv_sqrt_depth":
        y = y / math.sqrt(stack.spec.depth)
    return y * own["gain"] if block.scaling in ("rezero", "skipinit") else y


def _compute(block: Any, layer: int, own: dict[str, Array], u: Array, values: list[Array]) -> Array:
    act = ACTIVATIONS[block.activation]
    if block.kind == "transformer" and layer % 2 == 0:
        values.append(u @ own["w_qkv"][-u.shape[-1] :].T)
        v = values[-1]
        if block.value_residual != "off" and layer > 0:
            l1, l2 = own["value_weights"] if block.value_residual == "learned" else (0.5, 0.5)
            v = l1 * v + l2 * values[0]
        return _attend(u, v, own["w_qkv"], block.heads) @ own["w_out"].T
    if block.kind == "conv":
        return _convolve(act(_convolve(u, own["w_in"])), own["w_out"])
    if block.kind == "pair" and layer % 3 < 2:
        return _triangle(u, own["w_in"], own["w_out"], block.norm, is_outgoing=layer % 3 == 0)
    y = act(u @ own["w_in"].T)
    return y @ own["w_out"].T if block.mlp_ratio else y


def _convolve(u: Array, w: Array) -> Array:
    """3 x 3, zero padding; token t stands in row t // side and column t % side."""
    side = math.isqrt(u.shape[1])
    out = np.zeros((len(u), u.shape[1], len(w)))
    for row in range(side):
        for column in range(side):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < side and 0 <= column + right < side:
                        seen = u[:, (row + down) * side + column + right]
                        out[:, row * side + column] += seen @ w[:, :, down + 1, right + 1].T
    return out


def _triangle(u: Array, w_in: Array, w_out: Array, norm: str, *, is_outgoing: bool) -> Array:
    """Sum over the third corner k of both other sides of the triangle on the edge (i, j)."""
    side = math.isqrt(u.shape[1])
    a, b, gate_a, gate_b, gate = np.split(u @ w_in.T, 5, axis=-1)
    a, b = a * _sigmoid(gate_a), b * _sigmoid(gate_b)
    joined = np.zeros_like(u)
    for i in range(side):
        for j in range(side):
            for k in range(side):
                first, second = (i * side + k, j * side + k) if is_outgoing else (k * side + i, k * side + j)
                joined[:, i * side + j] += a[:, first] * b[:, second]
    return _sigmoid(gate) * (_norm(joined, norm) @ w_out.T)


def _attend(u: Array, values: Array, w_qkv: Array, heads: int) -> Array:
    batch, tokens, width = u.shape
    size = width // heads
    out = np.zeros_like(u)
    for b in range(batch):
        q, k = (u[b] @ w.T for w in w_qkv.reshape(3, width, width)[:2])
        v = values[b]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for t in range(tokens):
                scores = np.exp(k[: t + 1, part] @ q[t, part] / math.sqrt(size))
                out[b, t, part] = (scores / scores.sum()) @ v[: t + 1, part]
    return out


def _loss(stack: Stack, p: dict[str, Array], x: Array, passed: Array | None = None) -> float:
    spec = stack.spec
    out = _reduce(stack, p, x, passed)
    if spec.block.norm_position == "pre":
        out = _norm(out, spec.block.norm)
    if spec.input.kind == "gaussian":
        return float((out * p["input.readout_BTC"]).sum() / (out.shape[0] * out.shape[1]))
    if spec.input.kind == "digits":
        scores = [p["input.readout_KC"] @ image.mean(0) for image in out]
        digits = stack.input.targets_B.numpy()  # type: ignore[operator]
        return float(np.mean([math.log(np.exp(s).sum()) - s[d] for s, d in zip(scores, digits, strict=True)]))
    targets: Any = stack.input.targets_BT.numpy()  # type: ignore[operator]
    total = 0.0
    for b in range(out.shape[0]):
        for t in range(out.shape[1]):
            logits = p["input.readout_VC"] @ out[b, t]
            total += math.log(np.exp(logits).sum()) - logits[targets[b, t]]
    return total / (out.shape[0] * out.shape[1])


def _reduce(stack: Stack, p: dict[str, Array], x: Array, passed: Array | None) -> Array:
    connection = stack.spec.connection
    if connection.reads_previous:
        assert passed is not None
        return sum(passed[..., i, None] * x[i] for i in range(len(x)))
    if stack.spec.family.streams == "source":
        return x[0]
    if stack.spec.family.streams != "copies":
        return np.concatenate(x, axis=-1)
    output = connection.output
    if output in ("auto", "head") and stack.spec.family.has_head:
        own = {name: torch.tensor(p[f"connection.output.gates.{name}"]) for name in ("w_down", "w_up")}
        weights = weigh_features(own.__getitem__, [torch.tensor(stream) for stream in x]).numpy()
        found: Array = sum(np.moveaxis(weights, 2, 0) * x)
        return found
    if output == "auto":
        output = "head" if connection.init == "deepseek_v4" and stack.spec.family.is_mapped else "mean"
    if output != "head":
        return x.mean(0) if output == "mean" else x.sum(0)
    eps = connection.sinkhorn_eps if stack.spec.family.iterates else 0.0
    if not connection.is_dynamic:
        weights = _sigmoid(p["connection.output.b"]) + eps
        return np.einsum("n,nbtc->btc", weights, x)
    v = np.moveaxis(x, 0, 2)
    v = v.reshape(*v.shape[:2], -1)
    raw = (v / np.sqrt((v * v).mean(-1, keepdims=True) + 1e-20)) @ p["connection.output.phi"]
    weights = _sigmoid(raw * p["connection.output.a"] + p["connection.output.b"]) + eps
    return np.einsum("btn,nbtc->btc", weights, x)
