"""The network and its loss once more, in plain numpy float64: loops and sums as the papers print them.

It takes parameters from a stack and shares no arithmetic with it. Shapes: x (n, B, T, C).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from mhc_core.spec import RunSpec
from mhc_core.stack import Stack
from tests.core.edits import plain

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
    if spec.family.reads is not None:
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
        if spec.connection.kind == "laurel":
            down, up = (parameters[f"connection.{name}.{layer}"] for name in ("down", "up"))
            x = x + x @ (down @ up)
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
    outputs: list[Array] = []
    states, read = [embedded], embedded
    skip = spec.depth**0.25 if spec.block.scaling == "deepnorm" else 1.0
    for layer in range(spec.depth):
        y = _branch(stack, p, layer, read, found.values)
        outputs.append(plain.edit_output(spec, layer, y, base.y[layer] if base else None))
        found.u.append(read)
        found.y.append(outputs[-1])
        if spec.connection.kind == "attnres":
            weights = weigh_depth(spec, p, embedded, outputs)
        else:  # after the last layer of a block
            weights = p.get(f"connection.weights.{layer}", np.zeros(0))[None, None, None]
        kept = base.attention[layer] if base else None
        found.attention.append(plain.edit_attention(spec, layer + 1, weights, kept) if weights.size else weights)
        if spec.connection.kind == "attnres":
            read = read_depth(spec, p, embedded, outputs, found.attention[-1])
        else:
            read = skip * read + outputs[-1]
            if (layer + 1) % spec.connection.depth_block == 0 or layer + 1 == spec.depth:
                states.append(read)
                read = np.zeros_like(embedded)
                for weight, state in zip(found.attention[-1].ravel(), states, strict=True):
                    read += weight * state
        if spec.block.norm_position == "post":
            read = _norm(read, spec.block.norm)
        found.states.append(read[None])
        found.merged.append(read)
    found.loss = _loss(stack, p, read[None])
    return found


def weigh_depth(spec: Any, p: dict[str, Array], embedded: Array, outputs: list[Array]) -> Array:
    """The weights of the sources behind that many outputs (B, T, H, K), by one softmax for each token and head."""
    connection, sources = spec.connection, _list_sources(spec, embedded, outputs)
    heads = connection.depth_heads
    weights, part = np.zeros((*embedded.shape[:2], heads, len(sources))), spec.width // heads
    for b in range(embedded.shape[0]) if sources else []:
        for t in range(embedded.shape[1]):
            rows = [source[b, t] for source in sources]
            normed = [row / math.sqrt((row * row).mean() + 1e-6) for row in rows]
            for head in range(heads):
                own = slice(head * part, (head + 1) * part)
                logits = np.array([p[f"connection.queries.{len(outputs) - 1}"][own] @ row[own] for row in normed])
                if connection.depth_values == "normed":
                    logits = logits / math.sqrt(part)
                weights[b, t, head] = np.exp(logits) / np.exp(logits).sum()
    return weights


def _list_sources(spec: Any, embedded: Array, outputs: list[Array]) -> list[Array]:
    """What is weighed behind that many outputs; nothing where the read-out takes the plain state."""
    size, done = spec.connection.depth_block, len(outputs)
    blocks = [sum(outputs[first : first + size], start=np.zeros_like(embedded)) for first in range(0, done, size)]
    if spec.connection.depth_form != "replace":
        return [] if done == spec.depth else [embedded, *blocks[: done // size]]
    return [embedded, *blocks]


def read_depth(
    spec: Any, p: dict[str, Array], embedded: Array, outputs: list[Array], weights: Array | None = None
) -> Array:
    """What is read behind that many outputs (B, T, C), by these weights or by those that the queries make."""
    connection, done = spec.connection, len(outputs)
    weights = weigh_depth(spec, p, embedded, outputs) if weights is None else weights
    found, part = np.zeros_like(embedded), spec.width // connection.depth_heads
    for place, source in enumerate(_list_sources(spec, embedded, outputs)):
        size = np.sqrt((source * source).mean(-1, keepdims=True) + 1e-6)
        value = source / size if connection.depth_values == "normed" else source
        for head in range(connection.depth_heads):
            own = slice(head * part, (head + 1) * part)
            found[..., own] += weights[..., head, place, None] * value[..., own]
    plain, is_delta = embedded + sum(outputs), connection.depth_form != "replace"
    if is_delta and done == spec.depth:
        return plain
    gate = p[f"connection.gates.{done - 1}"] if connection.depth_form == "delta_gated" else 1.0
    return plain + gate * found if is_delta else found


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
    connection, family, n = stack.spec.connection, stack.spec.family, len(x)
    if connection.kind == "laurel":
        shares = np.exp(p[f"connection.weights.{layer}"])
        a, b = 2 * shares / shares.sum()
        one = np.ones(x.shape[1:3])
        return one[..., None], a * one[..., None], b * one[..., None, None]
    if not family.has_streams:
        one = np.ones(x.shape[1:3])
        return one[..., None], one[..., None], one[..., None, None] * family.skips
    prefix = f"connection.mixers.{layer}." if connection.is_dynamic else "connection."

    def get(name: str) -> Array:
        value = p[prefix + name]
        return value if connection.is_dynamic else value[layer]

    if family.by_feature:
        pre, post = _weigh_features(get, x), 2 * _sigmoid(_norm_together(x) @ get("w_post").T / n)
        return pre, post, np.broadcast_to(np.eye(n), (*x.shape[1:3], n, n))
    if not family.is_mapped:
        normed = np.moveaxis(_norm(x, "rmsnorm"), 0, 2) if connection.dynamic else None  # (B, T, n, C), or parts
        pre, post, res = COEFFICIENTS[connection.kind](get, normed)
    else:
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
        eps = connection.sinkhorn_eps if stack.spec.family.iterates else 0.0
        pre, post = _sigmoid(t_pre) + eps, 2 * _sigmoid(t_post)
        res = find_residual_matrices(stack.spec, t_res)
    lead = x.shape[1:3]
    pre = np.broadcast_to(pre, (*lead, n, n) if family.streams == "parts" else (*lead, n))
    return pre, np.broadcast_to(post, (*lead, n)), np.broadcast_to(res, (*lead, n, n))


def _norm_together(x: Array) -> Array:
    """Each stream over its root mean square, all of them one after the other, (B, T, n C)."""
    return np.concatenate(list(_norm(x, "rmsnorm")), axis=-1)


def _weigh_features(get: Callable[[str], Array], x: Array) -> Array:
    """The weight of each feature of each stream in what is read, (B, T, n, C)."""
    low = _norm_together(x) @ get("w_down").T / len(x)
    gates = _sigmoid((low * _sigmoid(low)) @ get("w_up").T)
    sizes = np.sqrt((x * x).mean(-1, keepdims=True) + 1e-20)
    return np.stack(
        [part / (len(x) * size) for part, size in zip(np.split(gates, len(x), axis=-1), sizes, strict=True)], 2
    )


def _hyper(get: Callable[[str], Array], normed: Array | None) -> tuple[Array, Array, Array]:
    a_m, b, a_r = get("a_m"), get("b"), get("a_r")
    if normed is not None:
        a_m = a_m + get("s_a") * np.tanh(normed @ get("w_m"))[..., 0]
        b = b + get("s_b") * np.tanh(normed @ get("w_b"))[..., 0]
        a_r = a_r + get("s_a") * np.tanh(normed @ get("w_r"))
    return a_m, b, np.swapaxes(a_r, -1, -2)


def _fraction(get: Callable[[str], Array], normed: Array | None) -> tuple[Array, Array, Array]:
    y, b, a = get("y"), get("b"), get("a")
    if normed is not None:
        y = y + get("s_a") * np.tanh(normed @ get("w_y"))
        b = b + get("s_b") * np.tanh(normed @ get("w_b"))[..., 0]
        a = a + get("s_a") * np.tanh(normed @ get("w_a"))
    return np.swapaxes(y, -1, -2), b, np.swapaxes(a, -1, -2)


def _add_source(get: Callable[[str], Array], normed: Array | None) -> tuple[Array, Array, Array]:
    a, b = get("weights")
    return np.array([a, b]), np.eye(2)[0], np.array([[a, b], np.eye(2)[1]])


# All coefficients of one layer from its parameters, by the definition of each family without a map.
COEFFICIENTS: dict[str, Callable[[Callable[[str], Array], Array | None], tuple[Array, Array, Array]]] = {
    "hc": _hyper,
    "frac": _fraction,
    "weighted": _add_source,
}


def _project(t: Array, connection: Any) -> Array:
    n = connection.streams
    if connection.projection == "newton":
        return scale_fully(t.reshape(n, n))
    return sinkhorn(t.reshape(n, n), connection.sinkhorn_iters, connection.sinkhorn_eps)


def scale_fully(logits: Array) -> Array:
    """Divide columns and rows in turn until nothing changes, or 100,000 times."""
    matrix, before = np.exp(logits - logits.max()), np.zeros_like(logits)
    for _ in range(100_000):
        if np.abs(matrix - before).max() < 1e-15:
            break
        before = matrix
        matrix = matrix / matrix.sum(0)
        matrix = matrix / matrix.sum(1, keepdims=True)
    return matrix


def _combine(t: Array, connection: Any) -> Array:
    n, weights = connection.streams, np.exp(t - t.max()) / np.exp(t - t.max()).sum()
    return sum(w * np.eye(n)[list(order)] for w, order in zip(weights, permutations(range(n)), strict=True))


def _multiply(t: Array, connection: Any) -> Array:
    product = np.ones((1, 1))
    for p in _sigmoid(t):
        product = np.kron(product, np.array([[p, 1 - p], [1 - p, p]]))
    return product


def _square(t: Array, connection: Any) -> Array:
    n = connection.streams
    skew = t.reshape(n, n) - t.reshape(n, n).T
    return (np.linalg.inv(np.eye(n) + skew) @ (np.eye(n) - skew)) ** 2


def _sum_blocks(t: Array, connection: Any) -> Array:
    n = connection.streams
    skew = t.reshape(2 * n, 2 * n) - t.reshape(2 * n, 2 * n).T
    q = np.linalg.inv(np.eye(2 * n) - skew) @ (np.eye(2 * n) + skew)
    return np.array([[(q[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] ** 2).sum() / 2 for j in range(n)] for i in range(n)])


def _transport(t: Array, connection: Any) -> Array:
    n, places = connection.streams, iter(_sigmoid(t))
    x, rows, columns = np.zeros((n, n)), np.ones(n), np.ones(n)
    for i in range(n):
        for j in range(n):
            least = max(0.0, rows[i] - columns[j + 1 :].sum(), columns[j] - rows[i + 1 :].sum())
            most = min(rows[i], columns[j])
            x[i, j] = most if n - 1 in (i, j) else least + (most - least) * next(places)
            rows[i], columns[j] = rows[i] - x[i, j], columns[j] - x[i, j]
    d = _sigmoid(np.array(-8.0))
    return (1 - d) * x.T + d / n


def _add_shifts(t: Array, connection: Any, depth: int) -> Array:
    n, g = connection.streams, min(4 / (2 * depth), 1)
    weights = np.exp(t - t.max()) / np.exp(t - t.max()).sum()
    matrix = (1 - g) * np.eye(n)
    for i in range(n):
        for k in range(n):
            matrix[i, (i + k) % n] += g * weights[k]
    return matrix


def _divide(t: Array, connection: Any) -> Array:
    rows = t.reshape(connection.streams, connection.streams)
    return np.array([np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in rows])


def _rotate(t: Array, connection: Any) -> Array:
    """(I - A) (I + A)^-1 from the eigenvectors of the Hermitian matrix i A, of eigenvalues w: (1 + i w) / (1 - i w)."""
    return _by_eigenvalues(t, connection.streams, lambda w: (1 + 1j * w) / (1 - 1j * w))


def _iterate(t: Array, connection: Any) -> Array:
    """Two steps of the iteration, for each eigenvalue of W alone."""

    def step_twice(w: Array) -> Array:
        turn = -0.1j * w
        first = 1 + turn / 2 * (2 + turn)
        return 1 + turn / 2 * (1 + first)

    return _by_eigenvalues(t, connection.streams, step_twice)


def _by_eigenvalues(t: Array, n: int, function: Callable[[Array], Array]) -> Array:
    """A function of A = T - T^t, given as one of w where the eigenvalues of A are -i w."""
    w, vectors = np.linalg.eigh(1j * (t.reshape(n, n) - t.reshape(n, n).T))
    return ((vectors * function(w)) @ vectors.conj().T).real


def _conjugate(t: Array, connection: Any) -> Array:
    """Quaternions as complex 2 x 2 matrices: X -> P X Q^H, for each of the units."""

    def to_complex(a: float, b: float, c: float, d: float) -> Array:
        return np.array([[a + b * 1j, c + d * 1j], [-c + d * 1j, a - b * 1j]])

    p, q = (to_complex(*(part / np.linalg.norm(part))) for part in (t[:4], t[4:]))
    turned = [p @ to_complex(*unit) @ q.conj().T for unit in np.eye(4)]
    return np.array([[x[0, 0].real, x[0, 0].imag, x[0, 1].real, x[0, 1].imag] for x in turned]).T


def _scale_differences(t: Array, connection: Any) -> Array:
    """J/n + Z U S V^t Z^t, where column j of Z is (1, ..., 1, -j, 0, ..., 0) to unit norm."""
    n = connection.streams
    k = (n - 1) * (n - 2) // 2
    stairs = [[1] * j + [-j] + [0] * (n - j - 1) for j in range(1, n)]
    z = np.array(stairs, dtype=float).reshape(n - 1, n).T
    z = z / np.linalg.norm(z, axis=0)
    sides = []
    for angles in (t[:k], t[k : 2 * k]):
        skew = np.zeros((n - 1, n - 1))
        skew[np.triu_indices(n - 1, 1)] = np.tanh(angles)
        skew = skew - skew.T
        sides.append(z @ (np.eye(n - 1) - skew) @ np.linalg.inv(np.eye(n - 1) + skew))
    return np.ones((n, n)) / n + sides[0] @ np.diag(np.tanh(t[2 * k :])) @ sides[1].T


# H_res of one layer and token from its raw logits (m), by the definition of each family that has a map.
RESIDUAL_MATRICES: dict[str, Callable[[Array, Any], Array]] = {
    "mhc": _project,
    "mhc_lite": _combine,
    "kromhc": _multiply,
    "orthostochastic": _square,
    "identity_hc": lambda t, connection: np.eye(connection.streams),
    "go_mhc": _sum_blocks,
    "tbp": _transport,
    "one_sided": _divide,
    "orthogonal": _rotate,
    "jpmhc": _iterate,
    "quaternion": _conjugate,
    "shc": _scale_differences,
}
# The same for families whose mixing depends on the depth of the stack, which comes last.
RESIDUAL_MATRICES_BY_DEPTH: dict[str, Callable[[Array, Any, int], Array]] = {"circulant": _add_shifts}


def find_residual_matrices(spec: RunSpec, t: Array) -> Array:
    """H_res (..., n, n) from raw logits (..., m)."""
    connection = spec.connection
    flat = t.reshape(math.prod(t.shape[:-1]), t.shape[-1])
    if spec.family.by_depth:
        matrices = [RESIDUAL_MATRICES_BY_DEPTH[connection.kind](row, connection, spec.depth) for row in flat]
    else:
        matrices = [RESIDUAL_MATRICES[connection.kind](row, connection) for row in flat]
    return np.stack(matrices).reshape(*t.shape[:-1], connection.streams, connection.streams)


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
        weights = _weigh_features(lambda name: p[f"connection.output.gates.{name}"], x)
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
