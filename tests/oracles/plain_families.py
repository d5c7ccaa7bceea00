"""Every family once more, in float64 under plain autograd: the one independent formula of each in the tests.

Written from docs/equations.md alone, one matrix and one entry at a time. `plain_stack` builds whole networks of these
formulas in torch, and `tests/core/reference.py` in numpy. A family is in one of three tables: MAPS has H_res of its
logits, COEFFICIENTS all coefficients of a family without a map, and DEPTHS what layers read of earlier outputs.

Shapes: B sequences, T tokens, n streams or parts of the width, C width. Logits are (m) or (B, T, m), matrices (n, n) or
(B, T, n, n). A state is a list of n streams (B, T, C), or of n parts (B, T, C / n).
"""

import math
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import NamedTuple, TypeVar

import torch

from mhc_core.spec import RunSpec
from tests.oracles.plain_branches import Tensor, find_alpha, norm, rms, sigmoid

T = TypeVar("T")
Matrix = list[list[Tensor]]
State = list[Tensor]
Own = Callable[[str], Tensor]
"""One layer's parameters of the connection, by name."""


def take(p: Mapping[str, T], layer: int, name: str) -> T:
    """One layer's parameter of the connection: of its own module, its entry of a list, or its row of all layers'."""
    for key in (f"connection.mixers.{layer}.{name}", f"connection.{name}.{layer}"):
        if key in p:
            return p[key]
    return p[f"connection.{name}"][layer]  # type: ignore[index]


def softmax(t: Tensor) -> Tensor:
    """exp(t) over its sum, along the last axis."""
    sizes = torch.exp(t - t.detach().amax(-1, keepdim=True))
    return sizes / sizes.sum(-1, keepdim=True)


# Maps: H_res of logits.


def project(spec: RunSpec, t: Tensor) -> Tensor:
    """mHC: the rounds of `sinkhorn_iters`, DeepSeek-V4's form of them, or their limit."""
    square, connection = t.unflatten(-1, (spec.streams, spec.streams)), spec.connection
    if connection.projection == "newton":
        return scale_fully(square)
    if connection.sinkhorn_eps and connection.sinkhorn_iters:
        return sinkhorn_of_deepseek(square, connection.sinkhorn_iters, connection.sinkhorn_eps)
    return sinkhorn(square, connection.sinkhorn_iters)


def sinkhorn(t: Tensor, rounds: int) -> Tensor:
    """mHC, Eq. 8 and 9: exp, then columns first and rows last, so many rounds."""
    if rounds == 0:
        return torch.exp(t)
    m = torch.exp(t - t.detach().amax((-1, -2), keepdim=True))
    for _ in range(rounds):
        m = m / m.sum(-2, keepdim=True)
        m = m / m.sum(-1, keepdim=True)
    return m


def sinkhorn_of_deepseek(t: Tensor, rounds: int, eps: float) -> Tensor:
    """DeepSeek-V4's form, whose comb[j, k] goes from stream j to stream k: H_res is its transpose."""
    comb = torch.exp(t.transpose(-1, -2))
    comb = comb / comb.sum(-1, keepdim=True) + eps
    comb = comb / (comb.sum(-2, keepdim=True) + eps)
    for _ in range(rounds - 1):
        comb = comb / (comb.sum(-1, keepdim=True) + eps)
        comb = comb / (comb.sum(-2, keepdim=True) + eps)
    return comb.transpose(-1, -2)


def scale_fully(t: Tensor) -> Tensor:
    """Columns and rows of exp(t) divided in turn until nothing changes, or 100,000 times."""
    m, before = torch.exp(t - t.detach().amax((-1, -2), keepdim=True)), torch.zeros_like(t)
    for _ in range(100_000):
        if (m - before).abs().max() < 1e-15:
            break
        before = m
        m = m / m.sum(-2, keepdim=True)
        m = m / m.sum(-1, keepdim=True)
    return m


def combine_permutations(spec: RunSpec, t: Tensor) -> Tensor:
    """mHC-lite: sum_k softmax(t)_k P_k over all n! permutations, in lexical order; P_k x [i] = x[order[i]]."""
    n, weights = spec.streams, softmax(t)
    total = torch.zeros(*t.shape[:-1], n, n, dtype=t.dtype)
    for k, order in enumerate(permutations(range(n))):
        matrix = torch.zeros(n, n, dtype=t.dtype)
        for i in range(n):
            matrix[i, order[i]] = 1.0
        total = total + weights[..., k, None, None] * matrix
    return total


def multiply_pairs(spec: RunSpec, t: Tensor) -> Tensor:
    """KromHC: Kronecker product of [[p, 1 - p], [1 - p, p]], p = sigmoid(t); the first factor has the highest digit."""
    n, p = spec.streams, sigmoid(t)
    factors = p.shape[-1]
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            entry = torch.ones_like(p[..., 0])
            for k in range(factors):
                bit = factors - 1 - k
                is_same = (i >> bit) % 2 == (j >> bit) % 2
                entry = entry * (p[..., k] if is_same else 1 - p[..., k])
            row.append(entry)
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)


def keep_streams(spec: RunSpec, t: Tensor) -> Tensor:
    """HY-V4: the identity."""
    return torch.eye(spec.streams, dtype=t.dtype).expand(*t.shape[:-1], -1, -1)


def stack_entries(entries: Matrix) -> Tensor:
    """A matrix (..., rows, columns) of its entries (...)."""
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def make_skew(t: Tensor, n: int) -> Tensor:
    """T - T^t of n^2 logits."""
    return stack_entries([[t[..., i * n + j] - t[..., j * n + i] for j in range(n)] for i in range(n)])


def transform(skew: Tensor) -> Tensor:
    """Cayley's (I + A)^-1 (I - A)."""
    eye = torch.eye(skew.shape[-1], dtype=skew.dtype)
    return torch.linalg.inv(eye + skew) @ (eye - skew)


def square_entries(spec: RunSpec, t: Tensor) -> Tensor:
    """Orthostochastic."""
    n = spec.streams
    q = transform(make_skew(t, n))
    return q * q


def sum_block_energy(spec: RunSpec, t: Tensor) -> Tensor:
    """go-mHC: what block i of two rows takes of block j, with the transform of -A."""
    n = spec.streams
    q = transform(-make_skew(t, 2 * n))
    energy = [
        [sum((q[..., 2 * i + k, 2 * j + m] ** 2 for k in (0, 1) for m in (0, 1)), 0 * t[..., 0]) / 2 for j in range(n)]
        for i in range(n)
    ]
    return stack_entries(energy)


def fill_entries(spec: RunSpec, t: Tensor) -> Tensor:
    """TBP-mHC: X row by row, each entry a share of what its row and column leave; then (1 - d) X^t + d/n."""
    n = spec.streams
    one, share = torch.ones(t.shape[:-1], dtype=t.dtype), sigmoid(t)
    x: Matrix = []
    for i in range(n - 1):
        row: list[Tensor] = []
        for j in range(n - 1):
            of_row = one - sum(row, 0 * one)
            of_columns = [one - sum((above[k] for above in x), 0 * one) for k in range(n)]
            least = (of_row - sum(of_columns[j + 1 :], 0 * one)).clamp_min(0)
            most = torch.where(of_row < of_columns[j], of_row, of_columns[j])
            row.append(least + (most - least) * share[..., i * (n - 1) + j])
        x.append([*row, one - sum(row, 0 * one)])
    x.append([one - sum((above[k] for above in x), 0 * one) for k in range(n)])
    d = 1 / (1 + math.exp(8))
    return (1 - d) * stack_entries([[x[j][i] for j in range(n)] for i in range(n)]) + d / n


def add_shifts(spec: RunSpec, t: Tensor) -> Tensor:
    """C-mHC: stream i reads stream i + k with the weight of shift k."""
    n = spec.streams
    g, shares = min(1.0, 4 / (2 * spec.depth)), softmax(t)
    return stack_entries([[g * shares[..., (j - i) % n] + (1 - g) * (i == j) for j in range(n)] for i in range(n)])


def divide_rows(spec: RunSpec, t: Tensor) -> Tensor:
    """osHC: a softmax of each row."""
    n = spec.streams
    return softmax(t.unflatten(-1, (n, n)))


def rotate(spec: RunSpec, t: Tensor) -> Tensor:
    """Orthogonal mixing."""
    n = spec.streams
    return transform(make_skew(t, n))


def iterate(spec: RunSpec, t: Tensor) -> Tensor:
    """JPmHC as a polynomial of a W: 1 + t + t^2/2 + t^3/4."""
    n = spec.streams
    power = 0.1 * make_skew(t, n)
    return torch.eye(n, dtype=t.dtype) + power + power @ power / 2 + power @ power @ power / 4


def multiply_quaternions(p: list[Tensor], q: list[Tensor]) -> list[Tensor]:
    """Hamilton's product."""
    (a, b, c, d), (e, f, g, h) = p, q
    return [
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    ]


def conjugate(spec: RunSpec, t: Tensor) -> Tensor:
    """oHC: column j is p e_j conj(q)."""
    p, q = (
        t[..., first : first + 4] / t[..., first : first + 4].square().sum(-1, keepdim=True).sqrt() for first in (0, 4)
    )
    left, right = list(p.unbind(-1)), [q[..., 0], -q[..., 1], -q[..., 2], -q[..., 3]]
    units = [[torch.full_like(left[0], float(i == j)) for i in range(4)] for j in range(4)]
    columns = [multiply_quaternions(multiply_quaternions(left, unit), right) for unit in units]
    return stack_entries(columns).transpose(-1, -2)


def scale_differences(spec: RunSpec, t: Tensor) -> Tensor:
    """sHC: J/n + Z U diag(tanh s) V^t Z^t; column k of Z has k + 1 equal entries and one that makes its sum 0."""
    n = spec.streams
    size, s = n - 1, torch.tanh(t)
    z = torch.zeros(n, size, dtype=t.dtype)
    for k in range(size):
        z[: k + 1, k], z[k + 1, k] = 1 / math.sqrt((k + 1) * (k + 2)), -math.sqrt((k + 1) / (k + 2))
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]

    def turn(angles: Tensor) -> Tensor:
        entries = [[0 * t[..., 0] for _ in range(size)] for _ in range(size)]
        for place, (i, j) in enumerate(pairs):
            entries[i][j], entries[j][i] = angles[..., place], -angles[..., place]
        return transform(stack_entries(entries))

    k = len(pairs)
    u, v = turn(s[..., :k]), turn(s[..., k : 2 * k])
    return 1 / n + z @ u @ torch.diag_embed(s[..., 2 * k :]) @ v.transpose(-1, -2) @ z.T


# H_res (..., n, n) of logits (..., m), for each family with a map.
MAPS: dict[str, Callable[[RunSpec, Tensor], Tensor]] = {
    "mhc": project,
    "mhc_lite": combine_permutations,
    "kromhc": multiply_pairs,
    "orthostochastic": square_entries,
    "identity_hc": keep_streams,
    "go_mhc": sum_block_energy,
    "tbp": fill_entries,
    "circulant": add_shifts,
    "one_sided": divide_rows,
    "orthogonal": rotate,
    "jpmhc": iterate,
    "quaternion": conjugate,
    "shc": scale_differences,
}


# Coefficients of families without a map: H_pre (n), of parts (n, n), of features (n, C); H_post (n); H_res (n, n).
# Those that depend on the token have (B, T) in front.


def pass_nothing(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """A plain network: x' = F(x)."""
    one = torch.ones(1, dtype=torch.float64)
    return one, one, 0 * one[:, None]


def add_output(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """A residual network: x' = x + F(x)."""
    one = torch.ones(1, dtype=torch.float64)
    return one, one, one[:, None]


def find_hyper(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """HC, Eq. 10 to 13: A_m, B and A_r with row j for stream j, its norm over C; row j of A_r says where j goes."""
    a_m, b, a_r = own("a_m"), own("b"), own("a_r")
    if spec.connection.dynamic:
        normed = [norm(x, "rmsnorm") for x in state]
        a_m = a_m + own("s_a") * torch.stack([torch.tanh(x @ own("w_m")[:, 0]) for x in normed], dim=-1)
        b = b + own("s_b") * torch.stack([torch.tanh(x @ own("w_b")[:, 0]) for x in normed], dim=-1)
        a_r = a_r + own("s_a") * torch.stack([torch.tanh(x @ own("w_r")) for x in normed], dim=-2)
    return a_m, b, a_r.transpose(-1, -2)


def find_fractional(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """Frac-Connections, Eq. 8 and 11 to 14: u = Y^T H and H' = B^T F(u) + A^T H; Y and A share a gate."""
    y, b, a = own("y"), own("b"), own("a")
    if spec.connection.dynamic:
        normed = [norm(x, "rmsnorm") for x in state]
        y = y + own("s_a") * torch.stack([torch.tanh(x @ own("w_y")) for x in normed], dim=-2)
        b = b + own("s_b") * torch.stack([torch.tanh(x @ own("w_b")[:, 0]) for x in normed], dim=-1)
        a = a + own("s_a") * torch.stack([torch.tanh(x @ own("w_a")) for x in normed], dim=-2)
    return y.transpose(-1, -2), b, a.transpose(-1, -2)


def find_gated(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """Gated Residual: a weight of every feature of every stream, 2 sigmoid(W_post v / n), and the identity."""
    n, v = len(state), torch.cat([x / rms(x) for x in state], dim=-1)
    post = 2 * sigmoid(v @ own("w_post").T / n)
    return weigh_features(own, state), post, torch.eye(n, dtype=torch.float64)


def weigh_features(own: Own, state: State) -> Tensor:
    """g / (n rms), (B, T, n, C), with g = sigmoid(W_up silu(W_down v / n)); the read-out has such weights too."""
    n, v = len(state), torch.cat([x / rms(x) for x in state], dim=-1)
    low = v @ own("w_down").T / n
    gates = sigmoid(low * sigmoid(low) @ own("w_up").T).chunk(n, dim=-1)
    return torch.stack([g / (n * rms(x)) for g, x in zip(gates, state, strict=True)], dim=-2)


def add_source(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted residuals of nanochat: z = a x + b x_0, x' = z + F(z); stream 1 is x_0 and stays."""
    weights, unit = own("weights"), torch.eye(2, dtype=torch.float64)
    return weights, unit[0], torch.stack([weights, unit[1]])


def share_output(spec: RunSpec, own: Own, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """LAuReL: x' = a F(x) + b (x + x A B), (a, b) = 2 softmax(w)."""
    shares = 2 * softmax(own("weights"))
    return torch.ones(1, dtype=torch.float64), shares[:1], shares[1:, None]


def add_low_rank(own: Own, x: Tensor) -> Tensor:
    """LAuReL: x + x A B."""
    return x + x @ own("down") @ own("up")


COEFFICIENTS: dict[str, Callable[[RunSpec, Own, State], tuple[Tensor, Tensor, Tensor]]] = {
    "none": pass_nothing,
    "residual": add_output,
    "hc": find_hyper,
    "frac": find_fractional,
    "gated": find_gated,
    "weighted": add_source,
    "laurel": share_output,
}
# What a family does to the features of a stream before H_res multiplies it.
PASSES: dict[str, Callable[[Own, Tensor], Tensor]] = {"laurel": add_low_rank}


# Depth: what is read behind some layers, from what they read (`reads`, the embedding first) and their outputs.


class Depth(NamedTuple):
    """The weights over depth (B, T, H, K) behind the last output, K = 0 where nothing is weighed, and the read."""

    weigh: Callable[[RunSpec, dict[str, Tensor], State, State], Tensor]
    read: Callable[[RunSpec, dict[str, Tensor], State, State, Tensor], Tensor]


def list_sources(spec: RunSpec, reads: State, outputs: State) -> State:
    """attnres: the embedding, and the sum of outputs of each block, of `delta` of each full one.

    There are none behind the last layer of `delta`: the read-out takes the plain residual state.
    """
    is_delta, size, done = spec.connection.depth_form != "replace", spec.connection.depth_block, len(outputs)
    if is_delta and done == spec.depth:
        return []
    blocks = [sum(outputs[k + 1 : k + size], outputs[k]) for k in range(0, done, size)]
    return [reads[0], *(blocks[: done // size] if is_delta else blocks)]


def weigh_sources(spec: RunSpec, p: dict[str, Tensor], reads: State, outputs: State) -> Tensor:
    """attnres: softmax_i(q . s_i / rms(s_i)) in each slice of the width."""
    sources, heads = list_sources(spec, reads, outputs), spec.connection.depth_heads
    if not sources:
        return torch.zeros(*reads[0].shape[:-1], heads, 0, dtype=torch.float64)
    query, size, slices = p[f"connection.queries.{len(outputs) - 1}"], spec.width // heads, []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        logits = torch.stack([(divide_by_size(s)[..., own] * query[own]).sum(-1) for s in sources], dim=-1)
        slices.append(softmax(logits / math.sqrt(size) if spec.connection.depth_values == "normed" else logits))
    return torch.stack(slices, dim=-2)


def divide_by_size(s: Tensor) -> Tensor:
    """s / rms(s), with the eps of attention over depth."""
    return s / torch.sqrt((s * s).mean(-1, keepdim=True) + 1e-6)


def read_sources(spec: RunSpec, p: dict[str, Tensor], reads: State, outputs: State, weights: Tensor) -> Tensor:
    """attnres: sum_i a_i s_i, of `delta` on top of the plain residual state."""
    sources, form = list_sources(spec, reads, outputs), spec.connection.depth_form
    state = reads[0] + sum(outputs[1:], outputs[0])
    if not sources:
        return state
    values = [divide_by_size(s) for s in sources] if spec.connection.depth_values == "normed" else sources
    size, slices = spec.width // spec.connection.depth_heads, []
    for head in range(spec.connection.depth_heads):
        terms = [weights[..., head, i, None] * v[..., head * size : (head + 1) * size] for i, v in enumerate(values)]
        slices.append(sum(terms[1:], terms[0]))
    found = torch.cat(slices, dim=-1)
    if form == "replace":
        return found
    return state + (p[f"connection.gates.{len(outputs) - 1}"] * found if form == "delta_gated" else found)


def ends_block(spec: RunSpec, layer: int) -> bool:
    """denseformer: whether states are averaged behind this layer."""
    return (layer + 1) % spec.connection.depth_block == 0 or layer + 1 == spec.depth


def weigh_states(spec: RunSpec, p: dict[str, Tensor], reads: State, outputs: State) -> Tensor:
    """denseformer: the a_ij behind block i."""
    layer = len(outputs) - 1
    weights = p[f"connection.weights.{layer}"] if ends_block(spec, layer) else torch.zeros(0, dtype=torch.float64)
    return weights[None, None, None]


def read_states(spec: RunSpec, p: dict[str, Tensor], reads: State, outputs: State, weights: Tensor) -> Tensor:
    """denseformer: X_j + F(X_j) inside a block, and Y_i = sum_j a_ij X_j behind it."""
    passed = [find_alpha(spec) * x + y for x, y in zip(reads, outputs, strict=True)]
    if not ends_block(spec, len(outputs) - 1):
        return passed[-1]
    states = [reads[0], *(x for layer, x in enumerate(passed) if ends_block(spec, layer))]
    terms = [weights[..., 0, j, None] * x for j, x in enumerate(states)]
    return sum(terms[1:], terms[0])


DEPTHS: dict[str, Depth] = {
    "attnres": Depth(weigh_sources, read_sources),
    "denseformer": Depth(weigh_states, read_states),
}
