"""The network and its loss once more, in plain numpy float64: loops and sums as the papers print them.

It takes parameters from a stack and shares no arithmetic with it. Shapes: x (n, B, T, C).
"""

import math
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from mhc_core.stack import Stack

Array = np.ndarray

_erf = np.vectorize(math.erf)

ACTIVATIONS = {
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "linear": lambda x: x,
}


@dataclass
class Trace:
    """What passed: states after the embedding and after every layer, branch inputs and outputs, coefficients."""

    states: list[Array] = field(default_factory=list)
    u: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    h_pre: list[Array] = field(default_factory=list)
    h_post: list[Array] = field(default_factory=list)
    h_res: list[Array] = field(default_factory=list)
    loss: float = math.nan


def trace(stack: Stack) -> Trace:
    """Run the whole network."""
    spec, found = stack.spec, Trace()
    parameters = {name: value.detach().double().numpy() for name, value in stack.named_parameters()}
    parameters |= {name: value.double().numpy() for name, value in stack.named_buffers() if "ids" not in name}
    n, shape = stack.connection.n, (spec.input.batch, spec.input.tokens, spec.width)
    x = np.stack([_embed(stack, parameters)] * n)
    found.states.append(x)
    for layer in range(spec.depth):
        pre, post, res = _coefficients(stack, parameters, layer, x)
        u = np.zeros(shape)
        for j in range(n):
            u += pre[..., j, None] * x[j]
        y = _branch(stack, parameters, layer, u)
        new = np.zeros_like(x)
        for i in range(n):
            for j in range(n):
                new[i] += res[..., i, j, None] * x[j]
            new[i] += post[..., i, None] * y
        x = _norm(new, spec.block.norm) if spec.block.norm_position == "post" else new
        for column, value in zip(
            (found.states, found.u, found.y, found.h_pre, found.h_post, found.h_res),
            (x, u, y, pre, post, res),
            strict=True,
        ):
            column.append(value)
    found.loss = _loss(stack, parameters, x)
    return found


def sinkhorn(logits: Array, rounds: int, eps: float = 0.0) -> Array:
    """exp, then columns and rows in turn; with eps DeepSeek-V4's form on the transpose."""
    if rounds == 0:
        return np.exp(logits)
    matrix = np.exp(logits - logits.max())
    for k in range(rounds):
        if k == 0 and eps:
            matrix = matrix / matrix.sum(-2, keepdims=True) + eps
        else:
            matrix = matrix / (matrix.sum(-2, keepdims=True) + eps)
        matrix = matrix / (matrix.sum(-1, keepdims=True) + eps)
    return matrix


def _embed(stack: Stack, p: dict[str, Array]) -> Array:
    if stack.spec.input.kind == "gaussian":
        return p["input.x_BTC"]
    ids = stack.input.ids_BT.numpy()  # type: ignore[operator]
    table = p["input.embedding_VC"]
    return np.array([[table[byte] for byte in row] for row in ids])


def _norm(x: Array, kind: str) -> Array:
    if kind == "layernorm":
        x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True))


def _sigmoid(t: Array) -> Array:
    return 1 / (1 + np.exp(-t))


def _coefficients(stack: Stack, p: dict[str, Array], layer: int, x: Array) -> tuple[Array, Array, Array]:
    """h_pre, h_post (B, T, n) and h_res (B, T, n, n) of one layer."""
    connection, n = stack.spec.connection, len(x)
    if connection.kind in ("none", "residual"):
        one = np.ones(x.shape[1:3])
        return one[..., None], one[..., None], one[..., None, None] * (connection.kind == "residual")
    prefix = f"connection.mixers.{layer}." if connection.dynamic else "connection."

    def get(name: str) -> Array:
        value = p[prefix + name]
        return value if connection.dynamic else value[layer]

    if connection.kind == "hc":
        a_m, b, a_r = get("a_m"), get("b"), get("a_r")
        if connection.dynamic:
            normed = np.moveaxis(_norm(x, "rmsnorm"), 0, 2)  # (B, T, n, C)
            a_m = a_m + get("s_a") * np.tanh(normed @ get("w_m"))[..., 0]
            b = b + get("s_b") * np.tanh(normed @ get("w_b"))[..., 0]
            a_r = a_r + get("s_a") * np.tanh(normed @ get("w_r"))
        pre, post, res = a_m, b, np.swapaxes(a_r, -1, -2)
    else:
        t_pre, t_post, t_res = get("b_pre"), get("b_post"), get("b_res")
        if connection.dynamic:
            v = np.moveaxis(x, 0, 2)
            if connection.init == "lucidrains":
                v = _norm(v, "rmsnorm")
            v = v.reshape(*v.shape[:2], -1)
            raw = (v / np.sqrt((v * v).mean(-1, keepdims=True))) @ get("phi")
            a_pre, a_post, a_res = get("a")
            t_pre = t_pre + a_pre * raw[..., :n]
            t_post = t_post + a_post * raw[..., n : 2 * n]
            t_res = t_res + a_res * raw[..., 2 * n :]
        eps = connection.sinkhorn_eps
        pre, post = _sigmoid(t_pre) + eps, 2 * _sigmoid(t_post)
        res = _residual_matrix(connection, t_res)
    lead = x.shape[1:3]
    return np.broadcast_to(pre, (*lead, n)), np.broadcast_to(post, (*lead, n)), np.broadcast_to(res, (*lead, n, n))


def _residual_matrix(connection: Any, t: Array) -> Array:
    """H_res of each family from its raw logits (..., m), by its definition."""
    n, lead = connection.streams, t.shape[:-1]
    if connection.kind == "mhc":
        return sinkhorn(t.reshape(*lead, n, n), connection.sinkhorn_iters, connection.sinkhorn_eps)
    if connection.kind == "identity_hc":
        return np.broadcast_to(np.eye(n), (*lead, n, n))
    flat = t.reshape(-1, t.shape[-1])
    return np.stack([_one_matrix(connection.kind, row, n) for row in flat]).reshape(*lead, n, n)


def _one_matrix(kind: str, t: Array, n: int) -> Array:
    if kind == "mhc_lite":
        weights = np.exp(t - t.max()) / np.exp(t - t.max()).sum()
        return sum(w * np.eye(n)[list(order)] for w, order in zip(weights, permutations(range(n)), strict=True))
    if kind == "kromhc":
        product = np.ones((1, 1))
        for p in _sigmoid(t):
            product = np.kron(product, np.array([[p, 1 - p], [1 - p, p]]))
        return product
    square = t.reshape(n, n)
    skew = square - square.T
    return (np.linalg.inv(np.eye(n) + skew) @ (np.eye(n) - skew)) ** 2


def _branch(stack: Stack, p: dict[str, Array], layer: int, u: Array) -> Array:
    block = stack.spec.block
    if block.norm_position == "pre":
        u = _norm(u, block.norm)
    if block.kind == "transformer" and layer % 2 == 0:
        y = _attend(u, p[f"branches.{layer}.w_qkv"], block.heads) @ p[f"branches.{layer}.w_out"].T
    else:
        y = ACTIVATIONS[block.activation](u @ p[f"branches.{layer}.w_in"].T)
        if block.mlp_ratio:
            y = y @ p[f"branches.{layer}.w_out"].T
    return y * block.branch_scale


def _attend(u: Array, w_qkv: Array, heads: int) -> Array:
    batch, tokens, width = u.shape
    size = width // heads
    out = np.zeros_like(u)
    for b in range(batch):
        q, k, v = (u[b] @ w.T for w in w_qkv.reshape(3, width, width))
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            for t in range(tokens):
                scores = np.exp(k[: t + 1, part] @ q[t, part] / math.sqrt(size))
                out[b, t, part] = (scores / scores.sum()) @ v[: t + 1, part]
    return out


def _loss(stack: Stack, p: dict[str, Array], x: Array) -> float:
    spec = stack.spec
    out = _reduce(stack, p, x)
    if spec.block.norm_position == "pre":
        out = _norm(out, spec.block.norm)
    if spec.input.kind == "gaussian":
        return float((out * p["input.readout_BTC"]).sum() / (out.shape[0] * out.shape[1]))
    targets: Any = stack.input.targets_BT.numpy()  # type: ignore[operator]
    total = 0.0
    for b in range(out.shape[0]):
        for t in range(out.shape[1]):
            logits = p["input.readout_VC"] @ out[b, t]
            total += math.log(np.exp(logits).sum()) - logits[targets[b, t]]
    return total / (out.shape[0] * out.shape[1])


def _reduce(stack: Stack, p: dict[str, Array], x: Array) -> Array:
    connection = stack.spec.connection
    if connection.kind != "mhc" or connection.init != "deepseek_v4":
        return x.mean(0)
    if not connection.dynamic:
        weights = _sigmoid(p["connection.head_base"]) + connection.sinkhorn_eps
        return np.einsum("n,nbtc->btc", weights, x)
    v = np.moveaxis(x, 0, 2)
    v = v.reshape(*v.shape[:2], -1)
    raw = (v / np.sqrt((v * v).mean(-1, keepdims=True))) @ p["connection.head.phi"]
    weights = _sigmoid(raw * p["connection.head.a"] + p["connection.head.b"]) + connection.sinkhorn_eps
    return np.einsum("btn,nbtc->btc", weights, x)
